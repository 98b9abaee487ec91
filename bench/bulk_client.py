"""A WebSocket client that only counts what comes: it costs as little as possible beside what is measured."""

from __future__ import annotations

import base64
import os
import socket
import struct
import time

from bench.processes import Trouble

BUFFER = bytearray(1 << 20)


class BulkClient:
    """One WebSocket. Frames of a server are not masked, so the bytes received are the payload and a few headers."""

    def __init__(self, port: int, path: str, headers: dict[str, str]) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: binary",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = self._socket.recv(4096)
            if not part:
                break
            answer += part
        if not answer.startswith(b"HTTP/1.1 101"):
            raise Trouble(f"the WebSocket was refused: {answer[:300]!r}")
        self.received = len(answer.partition(b"\r\n\r\n")[2])
        self._expected = 0

    def send(self, data: bytes) -> None:
        """One binary message of less than 126 bytes, masked with zeros as a client must."""
        self._socket.sendall(struct.pack(">BB4x", 0x82, 0x80 | len(data)) + data)

    def take(self, expected: int) -> None:
        """Receive until so many bytes more have come, counted from the last time."""
        self._expected += expected
        while self.received < self._expected:
            self._receive()

    def take_for(self, seconds: float) -> int:
        until, before = time.monotonic() + seconds, self.received
        while time.monotonic() < until:
            self._receive()
        return self.received - before

    def _receive(self) -> None:
        got = self._socket.recv_into(BUFFER)
        if not got:
            raise Trouble("the WebSocket was closed")
        self.received += got

    def close(self) -> None:
        self._socket.close()
