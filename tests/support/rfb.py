"""A small RFB 3.8 client (RFC 6143) on a WebSocket, as a browser's noVNC is one."""

from __future__ import annotations

import contextlib
import json
import struct
from typing import Any, Self

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.support.people import Client

Pixels = bytes
RAW = 0
CLIPBOARD, BELL, COLOURS, UPDATE = 3, 2, 1, 0


def open_socket(url: str, headers: dict[str, str], **more: Any) -> ClientConnection:
    """A WebSocket; raises InvalidStatus when the handshake is refused."""
    settings: dict[str, Any] = {"compression": None, "proxy": None, "open_timeout": 10, "close_timeout": 1}
    settings |= {"legacy": True}  # closed by us, not by a block
    return connect(url, additional_headers=headers, max_size=None, **(settings | more))


def refusal(url: str, headers: dict[str, str], **more: Any) -> tuple[int, dict[str, Any]]:
    """Status and problem of a handshake that is refused."""
    try:
        open_socket(url, headers, **more).close()
    except InvalidStatus as error:
        body = error.response.body or b"{}"
        assert error.response.headers.get("content-type") == "application/problem+json", body
        return error.response.status_code, dict(json.loads(body))
    raise AssertionError(f"{url} let us in")


def close_code(socket: ClientConnection, seconds: float) -> int:
    """Why the other side closed: reads on until it does."""
    try:
        while True:
            socket.recv(seconds)
    except ConnectionClosed as error:
        assert error.rcvd is not None, "cut without a close"
        return error.rcvd.code


class Viewer:
    """Somebody who looks at a desktop."""

    def __init__(self, client: Client, session: str, **more: Any) -> None:
        url = f"ws{str(client.base_url).removeprefix('http').rstrip('/')}/vncproxy/{session}"
        self.socket = open_socket(url, client.socket_headers, subprotocols=["binary"], **more)
        self._unread = b""
        self._shake_hands()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ConnectionClosed, OSError):
            self.socket.close()

    def _shake_hands(self) -> None:
        version = self.read(12)
        assert version == b"RFB 003.008\n", version
        self.socket.send(version)
        kinds = self.read(self.read(1)[0])
        assert 1 in kinds, f"wants a password: {kinds!r}"
        self.socket.send(b"\x01")
        assert struct.unpack("!I", self.read(4)) == (0,)
        self.socket.send(b"\x01")  # shared
        self.width, self.height = struct.unpack("!HH", self.read(4))
        self.read(16)
        self.name = self.read(struct.unpack("!I", self.read(4))[0]).decode()
        # 32 bits a pixel, true colour; raw rectangles only.
        pixels = struct.pack("!BxxxBBBBHHHBBBxxx", 0, 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
        self.socket.send(pixels + struct.pack("!BxHi", 2, 1, RAW))

    def read(self, count: int, seconds: float = 10) -> bytes:
        while len(self._unread) < count:
            part = self.socket.recv(seconds)
            self._unread += part if isinstance(part, bytes) else part.encode()
        found, self._unread = self._unread[:count], self._unread[count:]
        return found

    def key(self, symbol: int) -> None:
        """Press and release a key (X11 keysym)."""
        self.socket.send(struct.pack("!BBxxI", 4, 1, symbol) + struct.pack("!BBxxI", 4, 0, symbol))

    def request(self, x: int, y: int, width: int, height: int, *, incremental: bool = False) -> None:
        self.socket.send(struct.pack("!BBHHHH", 3, incremental, x, y, width, height))

    def picture(self, x: int = 0, y: int = 0, width: int = 64, height: int = 64) -> Pixels:
        """What is there now."""
        self.request(x, y, width, height)
        return self.update()

    def update(self) -> Pixels:
        """The pixels of the next update."""
        while True:
            kind = self.read(1)[0]
            if kind == UPDATE:
                count = struct.unpack("!xH", self.read(3))[0]
                return b"".join(self._rectangle() for _ in range(count))
            if kind == COLOURS:
                self.read(6 * struct.unpack("!xHH", self.read(5))[1])
            elif kind == CLIPBOARD:
                self.read(abs(struct.unpack("!xxxi", self.read(7))[0]))  # negative: an extended message
            else:
                assert kind == BELL, kind

    def _rectangle(self) -> Pixels:
        _x, _y, width, height, encoding = struct.unpack("!HHHHi", self.read(12))
        assert encoding == RAW, encoding
        return self.read(width * height * 4)

    def works(self) -> bool:
        """Whether keys go in and a picture comes out."""
        self.key(0xFFE1)  # Shift
        return len(self.picture()) == 64 * 64 * 4

    def closed_with(self, seconds: float) -> int:
        return close_code(self.socket, seconds)
