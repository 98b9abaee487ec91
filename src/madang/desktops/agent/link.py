"""The link to the portal: reports go up, instructions come down. It may be away at any time; the session goes on."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from madang.compute.order import AgentOrder, Instruction, Report
from madang.desktops.agent.log import log

_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 2.0
# The longer the portal is away, the rarer we knock: after a restart of a few seconds we are back in well under one.
_PAUSE_PER_SECOND_AWAY = 0.05
_OPEN_SECONDS = 5.0
_PING_SECONDS = 20.0


def pause(away_seconds: float) -> float:
    """How long to wait before the next attempt, when the portal has been away for so long."""
    return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS + _PAUSE_PER_SECOND_AWAY * away_seconds)


class Link:
    """Keeps trying for as long as run() runs; always sends the newest report, never a queue of old ones."""

    def __init__(self, order: AgentOrder, obey: Callable[[Instruction], None]) -> None:
        self._url = f"ws{order.portal.removeprefix('http').rstrip('/')}/api/vnc/agents/{order.session}"
        self._headers = {"Authorization": f"Bearer {order.agent_secret}"}
        self._obey = obey
        self._report = b""
        self._news = asyncio.Event()
        self.connected = False
        self.dismissed = asyncio.Event()  # the portal said bye, or does not know us

    def send(self, report: Report) -> None:
        """Has this report sent as soon as can be."""
        self._report = msgspec.json.encode(report)
        self._news.set()

    async def run(self) -> None:
        away_since = time.monotonic()
        said = ""
        while not self.dismissed.is_set():
            try:
                async with connect(
                    self._url,
                    additional_headers=self._headers,
                    compression=None,
                    proxy=None,
                    open_timeout=_OPEN_SECONDS,
                    ping_interval=_PING_SECONDS,
                    ping_timeout=_PING_SECONDS,
                    close_timeout=1,
                    max_size=64 * 1024,
                    user_agent_header=None,
                ) as connection:
                    log("link: the portal answers")
                    said = ""
                    self.connected = True
                    try:
                        await self._talk(connection)
                    finally:
                        self.connected = False
                        away_since = time.monotonic()
            except InvalidStatus as error:
                if self._is_unwanted(error):
                    return
                now = f"the portal answers {error.response.status_code}"
            except (OSError, TimeoutError, WebSocketException, EOFError) as error:
                now = f"the portal is away ({type(error).__name__})"
            else:
                now = "the portal hung up"
            if now != said:
                log(f"link: {now}")
                said = now
            await asyncio.sleep(pause(time.monotonic() - away_since) * random.uniform(0.8, 1.2))

    def _is_unwanted(self, error: InvalidStatus) -> bool:
        """Only the portal itself can send us away; a stranger on its port, while it is down, cannot."""
        response = error.response
        kind = response.headers.get("Content-Type", "")
        if response.status_code not in (401, 404) or not kind.startswith("application/problem+json"):
            return False
        log(f"link: the portal does not know this session ({response.status_code})")
        self.dismissed.set()
        self._obey(Instruction("end", "unknown_session"))
        return True

    async def _talk(self, connection: ClientConnection) -> None:
        self._news.set()
        sending = asyncio.create_task(self._send(connection))
        try:
            async for text in connection:
                self._take(text)
                if self.dismissed.is_set():
                    return
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, WebSocketException, OSError):
                await sending

    async def _send(self, connection: ClientConnection) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if self._report:
                await connection.send(self._report, text=True)

    def _take(self, text: str | bytes) -> None:
        try:
            instruction = msgspec.json.decode(text, type=Instruction)
        except msgspec.MsgspecError as error:
            log(f"link: not understood: {error}")
            return
        if instruction.do == "bye":
            self.dismissed.set()
        else:
            self._obey(instruction)
