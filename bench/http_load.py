"""HTTP over kept connections, with as little work on the client's side as possible."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Sequence

from bench.processes import Trouble


class Kept:
    """One kept connection that asks the same again and again."""

    def __init__(self, port: int, path: str, token: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Authorization: Bearer {token}", "", ""]
        self._question = "\r\n".join(lines).encode()
        self._answer = b""
        self._missing: int | None = None
        self.asked_at = 0.0
        self.body_bytes = 0

    def ask(self) -> None:
        self._answer, self._missing = b"", None
        self.asked_at = time.perf_counter()
        self.socket.sendall(self._question)

    def hear(self) -> bool:
        """Take what has come; True when the answer is whole."""
        part = self.socket.recv(1 << 18)
        if not part:
            raise Trouble("the portal closed a kept connection")
        if self._missing is not None:
            self._missing -= len(part)
            return self._missing == 0
        self._answer += part
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if not found:
            return False
        if not head.startswith(b"HTTP/1.1 200"):
            raise Trouble(f"the portal answered {head[:200]!r}")
        fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
        self.body_bytes = int(fields[b"content-length"])
        self._missing = self.body_bytes - len(body)
        return self._missing == 0

    def round_trip(self) -> float:
        """Ask and wait for the answer; gives milliseconds."""
        self.ask()
        while not self.hear():
            pass
        return (time.perf_counter() - self.asked_at) * 1000


def one_by_one(port: int, path: str, token: str, times: int) -> tuple[list[float], int]:
    """Milliseconds of each request, one after the other on one connection, and the bytes of a body."""
    connection = Kept(port, path, token)
    try:
        return [connection.round_trip() for _ in range(times)], connection.body_bytes
    finally:
        connection.socket.close()


def at_once(port: int, path: str, token: str, connections: int, seconds: float) -> tuple[float, list[float]]:
    """So many connections, each asking again as soon as it is answered: requests per second, milliseconds of each."""
    kept: Sequence[Kept] = [Kept(port, path, token) for _ in range(connections)]
    took: list[float] = []
    with selectors.DefaultSelector() as selector:
        for one in kept:
            selector.register(one.socket, selectors.EVENT_READ, one)
            one.ask()
        began = time.perf_counter()
        while (now := time.perf_counter()) - began < seconds:
            for key, _ in selector.select(1):
                if key.data.hear():
                    took.append((time.perf_counter() - key.data.asked_at) * 1000)
                    key.data.ask()
    for one in kept:
        one.socket.close()
    return len(took) / (now - began), took
