"""As much of RFB (RFC 6143) as the tests need, on a connected socket."""

from __future__ import annotations

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
