"""WebSockets on plain ASGI, so that a door can refuse with a problem before it accepts and pump without a framework.

ASGI messages: https://asgi.readthedocs.io/en/latest/specs/www.html#websocket (the refusal uses its extension
`websocket.http.response`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from madang.kernel.errors import MadangError

# Close code: whoever was let in may not stay, so the page does not come back (docs/architecture.md).
NO_LONGER_ALLOWED = 4003


class Closed(Exception):
    """The other side is gone."""


class WebSocket:
    """One WebSocket, not accepted yet."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self.headers: dict[str, str] = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        self.open = False

    async def refuse(self, error: MadangError) -> None:
        """Answer the handshake with the error as problem details."""
        await self._receive()
        body = msgspec.json.encode(error.problem(self.scope["path"]))
        headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
        await self._send({"type": "websocket.http.response.start", "status": error.status, "headers": headers})
        await self._send({"type": "websocket.http.response.body", "body": body})

    async def accept(self, subprotocol: str | None = None) -> None:
        await self._receive()
        await self._send({"type": "websocket.accept", "subprotocol": subprotocol})
        self.open = True

    async def receive(self) -> bytes | str:
        """The next message. Raises Closed."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self.open = False
            raise Closed
        data: bytes | str | None = message.get("bytes")
        return data if data is not None else message["text"]

    async def send_bytes(self, data: bytes | memoryview) -> None:
        """Send, waiting while the other side's buffer is full; the bytes are copied when it returns. Raises Closed."""
        try:
            await self._send({"type": "websocket.send", "bytes": data})
        except Exception as error:  # each server has its own type for "gone"
            self.open = False
            raise Closed from error

    async def send_text(self, text: str) -> None:
        try:
            await self._send({"type": "websocket.send", "text": text})
        except Exception as error:
            self.open = False
            raise Closed from error

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close; nothing happens when the other side is gone already."""
        if not self.open:
            return
        self.open = False
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except Exception:
            return
