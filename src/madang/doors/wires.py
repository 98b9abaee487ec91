"""Connected streams of bytes, plain or TLS, read into buffers that their user keeps.

A TLS wire works on OpenSSL's own socket and waits for it by its descriptor: asyncio's TLS copies every byte twice more
on its way through memory (`python -m bench door` has the cost).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from abc import ABC, abstractmethod

_LINE_READ_BYTES = 4096
# A peer whose host is gone without a word is noticed after 30 s, whether or not there is something to send.
_DEAD_SECONDS = 30
_KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_SECONDS * 1000),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)


class Wire(ABC):
    """One connection. Whoever has it may read in one task and write in another, and has to close it.

    Everything may raise OSError (ssl.SSLError is one).
    """

    def __init__(self) -> None:
        self._held = b""  # was read too far

    def receive_now(self, buffer: bytearray | memoryview) -> int:
        """Fills the buffer with what is there already; 0 when that has to be waited for, or is the end."""
        if not self._held:
            return max(0, self._receive(buffer))
        count = min(len(self._held), len(buffer))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count

    async def receive_into(self, buffer: bytearray | memoryview) -> int:
        """Fills the buffer with what comes, at least one byte; 0 is the end."""
        if self._held:
            return self.receive_now(buffer)
        while (count := self._receive(buffer)) < 0:
            await self._readable()
        return count

    async def read_line(self, limit: int) -> bytes:
        """One line with its newline; shorter when the other side ends or the limit is reached."""
        line = bytearray()
        part = bytearray(_LINE_READ_BYTES)
        while len(line) < limit:
            count = await self.receive_into(part)
            if not count:
                break
            end = part.find(b"\n", 0, count) + 1
            line += part[: end or count]
            if end:
                self._held = bytes(part[end:count]) + self._held
                break
        return bytes(line)

    @abstractmethod
    def _receive(self, buffer: bytearray | memoryview) -> int:
        """Reads without waiting; 0 is the end, -1 nothing yet."""

    @abstractmethod
    async def _readable(self) -> None: ...

    @abstractmethod
    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends everything, waiting while the other side does not take it."""

    @abstractmethod
    def close(self) -> None:
        """At once; may be repeated. No task may still be waiting for it."""


class SocketWire(Wire):
    """A plain socket, Unix or TCP; it becomes this wire's own."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        connection.setblocking(False)
        self.socket = connection

    def _receive(self, buffer: bytearray | memoryview) -> int:
        try:
            return self.socket.recv_into(buffer)
        except (BlockingIOError, InterruptedError):
            return -1

    async def _readable(self) -> None:
        await until_ready(self.socket.fileno(), writable=False)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    def close(self) -> None:
        self.socket.close()


class TlsWire(Wire):
    """TLS on a connected socket, which becomes this wire's own; `handshake` comes first."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext, *, server: bool = False) -> None:
        super().__init__()
        connection.setblocking(False)
        self.socket = context.wrap_socket(
            connection, server_side=server, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )

    async def handshake(self) -> None:
        while True:
            try:
                self.socket.do_handshake()
            except ssl.SSLWantReadError:
                await self._readable()
            except ssl.SSLWantWriteError:
                await self._writable()
            else:
                return

    def certificate(self) -> bytes:
        """The other side's, as DER; empty when it showed none."""
        return self.socket.getpeercert(binary_form=True) or b""

    def _receive(self, buffer: bytearray | memoryview) -> int:
        # A record holds 16 KB at most: several make one frame of the WebSocket.
        count = 0
        with memoryview(buffer) as room:
            while count < len(room):
                try:
                    part = self.socket.recv_into(room[count:])
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    return count or -1
                if not part:
                    break
                count += part
        return count

    async def _readable(self) -> None:
        await until_ready(self.socket.fileno(), writable=False)

    async def _writable(self) -> None:
        await until_ready(self.socket.fileno(), writable=True)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[self.socket.send(left) :]
            except ssl.SSLWantWriteError:
                await self._writable()
            # OpenSSL wants to read before it writes only when keys are renegotiated, which both our sides refuse.

    def close(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self.socket.fileno() >= 0:
                self.socket.setblocking(False)
                # Says that this is the end, and waits for no answer.
                self.socket.unwrap()
        self.socket.close()


def client_context() -> ssl.SSLContext:
    """For doors: whoever answers is known by the fingerprint that it told us before, not by who signed it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    return context


def keep_alive(connection: socket.socket) -> None:
    """Has the kernel notice a dead peer, and send small pieces at once."""
    for level, option, value in _KEEP_ALIVE:
        connection.setsockopt(level, option, value)


async def until_ready(descriptor: int, *, writable: bool) -> None:
    """Waits for a descriptor; one task for each direction."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    add, remove = (loop.add_writer, loop.remove_writer) if writable else (loop.add_reader, loop.remove_reader)
    add(descriptor, wake)
    try:
        await ready
    finally:
        remove(descriptor)
