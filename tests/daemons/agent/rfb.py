"""As much of RFB (RFC 6143) as the tests need, on a connected socket."""

from __future__ import annotations

import select
import socket
import struct


class Client:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        connection.setblocking(True)
        connection.settimeout(10)
        self.read(12)
        connection.sendall(b"RFB 003.008\n")
        self.security = self.read(self.read(1)[0])
        connection.sendall(b"\x01")
        assert self.read(4) == bytes(4)
        connection.sendall(b"\x01")
        self.width, self.height = struct.unpack(">HH", self.read(4))
        self.read(16)
        self.name = self.read(struct.unpack(">I", self.read(4))[0]).decode()

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._connection.recv(size - len(data))
            assert part, "the server hung up"
            data += part
        return data

    def point(self, x: int, y: int) -> None:
        self._connection.sendall(struct.pack(">BBHH", 5, 0, x, y))

    def press(self, keysym: int) -> None:
        for down in (1, 0):
            self._connection.sendall(struct.pack(">BBxxI", 4, down, keysym))

    def resize(self, width: int, height: int) -> None:
        """SetDesktopSize; needs the ExtendedDesktopSize encoding, which is announced first."""
        self._connection.sendall(struct.pack(">BxHii", 2, 2, 0, -308))
        self._connection.sendall(struct.pack(">BBHHHH", 3, 0, 0, 0, self.width, self.height))
        self.read(1)
        screen = struct.pack(">IHHHHI", 0, 0, 0, width, height, 0)
        self._connection.sendall(struct.pack(">BxHHBx", 251, width, height, 1) + screen)

    def resize_without_answer(self, width: int, height: int) -> None:
        screen = struct.pack(">IHHHHI", 0, 0, 0, width, height, 0)
        self._connection.sendall(struct.pack(">BxHHBx", 251, width, height, 1) + screen)

    def ask_for_picture(self) -> None:
        self._connection.sendall(struct.pack(">BBHHHH", 3, 0, 0, 0, self.width, self.height))

    def set_encodings(self, *encodings: int) -> None:
        self.say(struct.pack(f">BxH{len(encodings)}i", 2, len(encodings), *encodings))

    def say(self, data: bytes) -> None:
        self._connection.sendall(data)

    def next_cut_text(self) -> str:
        """What the server says next has to be its clipboard, the old way."""
        assert self.read(1) == b"\x03"
        return self.read(struct.unpack(">3xi", self.read(7))[0]).decode("latin-1")

    def next_flags(self, seconds: float) -> int | None:
        """The flags of what the server says next, which has to be of its clipboard; None: it says nothing.

        A clipboard that is told the old way counts as all flags.
        """
        if not select.select([self._connection], [], [], seconds)[0]:
            return None
        assert self.read(1) == b"\x03"
        length = struct.unpack(">3xi", self.read(7))[0]
        data = self.read(abs(length))
        return int(struct.unpack(">I", data[:4])[0]) if length < 0 else 0xFFFFFFFF
