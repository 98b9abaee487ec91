"""The other end of an agent's link: hears reports, gives instructions, can go away and come back."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

Message = dict[str, Any]
PROBLEM = "application/problem+json"


class Portal:
    def __init__(self) -> None:
        self.port = 0
        self.says_bye = True
        self.says_hello = False
        self.tls: ssl.SSLContext | None = None
        self.refusal: tuple[int, str] | None = None  # status and content type for whoever knocks
        self.authorizations: set[str | None] = set()
        self.connected_at: dict[str, float] = {}
        self._reports: dict[str, list[Message]] = {}
        self._connections: dict[str, ServerConnection] = {}
        self._news = asyncio.Condition()
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await serve(self._hear, "127.0.0.1", self.port, process_request=self._judge, ssl=self.tls)
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        if self._server:
            self._server.close()
            await self._server.wait_closed()
        self._server = None
        self._connections.clear()

    def reports(self, session: str) -> list[Message]:
        return self._reports.get(session, [])

    async def say(self, session: str, **instruction: Any) -> None:
        await self._connections[session].send(json.dumps(instruction))

    async def wait(
        self, session: str, wanted: Callable[[Message], bool], seconds: float = 30, since: int = 0
    ) -> Message:
        """The first report from index `since` on that is as wanted."""

        def found() -> Message | None:
            return next((report for report in self.reports(session)[since:] if wanted(report)), None)

        async with self._news:
            try:
                await asyncio.wait_for(self._news.wait_for(lambda: found() is not None), seconds)
            except TimeoutError:
                last = self.reports(session)[-1:]
                raise AssertionError(f"no such report in {seconds} s; the last: {last}") from None
        report = found()
        assert report is not None
        return report

    def _judge(self, connection: ServerConnection, request: Request) -> Response | None:
        self.authorizations.add(request.headers.get("Authorization"))
        if self.refusal is None:
            return None
        status, kind = self.refusal
        return Response(status, "No", Headers({"Content-Type": kind, "Content-Length": "2"}), b"{}")

    async def _hear(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        session = connection.request.path.rpartition("/")[2]
        self._connections[session] = connection
        self.connected_at[session] = time.time()
        if self.says_hello:
            await connection.send(json.dumps({"do": "hello", "now": time.time()}))
        async for text in connection:
            report = json.loads(text)
            async with self._news:
                self._reports.setdefault(session, []).append(report)
                self._news.notify_all()
            if report["state"] in ("ended", "failed") and self.says_bye:
                await connection.send('{"do": "bye"}')
