"""Unix sockets with somebody untrusted at the other end, who must not be able to stop the portal.

Three things would: a descriptor that was sent along and blocks in close() (a TCP socket that lingers, a file of a FUSE
server; also one that is only thrown away with what was not read, or waits in the queue of a socket that is closed);
O_NONBLOCK, which whoever has the same socket can take away; as many descriptors as fit. So nothing of a stranger's is
closed in the event loop's thread, nothing that was sent along is left for the kernel to throw away, and nothing relies
on O_NONBLOCK.
"""

from __future__ import annotations

import array
import contextlib
import os
import socket
import threading
from collections import deque
from collections.abc import Iterable, Sequence

from madang.doors.wires import SocketWire, until_ready

_SIZE = array.array("i").itemsize
# As many as one message may hold (SCM_MAX_FD): what has no room here, the kernel would close in our thread.
ROOM = socket.CMSG_SPACE(253 * _SIZE)
FLAGS = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
_MOST_THREADS = 32


def descriptors(ancillary: Iterable[tuple[int, int, bytes]]) -> list[int]:
    """Those that came along with a message; they are the caller's to get rid of."""
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % _SIZE])
    return list(found)


class StrangersWire(SocketWire):
    """A connection to a stranger's process. What it sends along with its bytes ends the connection."""

    def _receive(self, buffer: bytearray | memoryview) -> int:
        try:
            count, ancillary, _, _ = self.socket.recvmsg_into([buffer], ROOM, FLAGS)
        except (BlockingIOError, InterruptedError):
            return -1
        if ancillary:
            get_rid_of(descriptors(ancillary))
            raise ConnectionAbortedError("something was sent along that nobody asked for")
        return count

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[self.socket.send(left, socket.MSG_DONTWAIT) :]
            except (BlockingIOError, InterruptedError):
                await until_ready(self.socket.fileno(), writable=True)

    def close(self) -> None:
        if self.socket.fileno() >= 0:
            get_rid_of([self.socket.detach()])


def get_rid_of(descriptors: Sequence[int]) -> None:
    """Close them elsewhere, however long that takes."""
    if descriptors:
        _closers.add(descriptors)


class _Closers:
    """Threads that close; each may be held up by what it closes."""

    def __init__(self) -> None:
        self._left: deque[Sequence[int]] = deque()
        self._there_is_one = threading.Condition()
        self._threads = 0
        self._idle = 0

    def add(self, descriptors: Sequence[int]) -> None:
        with self._there_is_one:
            self._left.append(descriptors)
            if self._idle < len(self._left) and self._threads < _MOST_THREADS:
                self._threads += 1
                threading.Thread(target=self._close, name="closer", daemon=True).start()
            else:
                self._there_is_one.notify()

    def _close(self) -> None:
        while True:
            with self._there_is_one:
                self._idle += 1
                while not self._left:
                    self._there_is_one.wait()
                self._idle -= 1
                chosen = self._left.popleft()
            for descriptor in chosen:
                with contextlib.suppress(OSError):
                    os.close(descriptor)


_closers = _Closers()
