"""A machine's first serial port as a socket. Bytes move in the thread of libvirt's events, which never waits."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

from madang.machines.hosts import console, failures, link
from madang.machines.hosts.binding import libvirt

_PART_BYTES = 16_384
_MOST_BYTES = 65_536


def open_port(_connection: Any, uri: str, uuid: str, silent_seconds: float) -> socket.socket:
    """Whoever had the port before loses it. Raises Conflict (machine_not_running, no_console)."""
    connection = link.connect(uri, silent_seconds)  # of its own: it stays with the port
    try:
        domain = console.running(connection, uuid)
        stream = connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
        try:
            domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
        except libvirt.libvirtError as error:
            if domain.isActive():
                raise failures.no_console(str(error)) from error
            raise
    except BaseException:
        connection.close()
        raise
    ours, theirs = socket.socketpair()
    _Bridge(connection, stream, ours)
    return theirs


class _Bridge:
    """Between the stream of a port and a socket; closes both when either ends."""

    def __init__(self, connection: Any, stream: Any, ours: socket.socket) -> None:
        self._connection, self._stream, self._socket = connection, stream, ours
        self._out, self._in = b"", b""  # on the way to who looks, and to the port
        self._over = False
        self._lock = threading.Lock()
        ours.setblocking(False)
        with self._lock:  # something may move at once
            self._handle = libvirt.virEventAddHandle(ours.fileno(), self._events(b"", b""), self._moved, None)
            stream.eventAddCallback(self._events(b"", b""), self._moved, None)

    def _events(self, to_read: bytes, to_write: bytes) -> int:
        """What to wait for at one end: room in the buffer that it fills, something in the one that it empties. Both
        ends have the same numbers for it (virStreamEventType, virEventHandleType)."""
        reads = libvirt.VIR_EVENT_HANDLE_READABLE if len(to_read) < _MOST_BYTES else 0
        return int(reads | (libvirt.VIR_EVENT_HANDLE_WRITABLE if to_write else 0))

    def _moved(self, *_event: Any) -> None:
        with self._lock:
            if self._over:
                return
            try:
                self._move()
                libvirt.virEventUpdateHandle(self._handle, self._events(self._in, self._out))
                self._stream.eventUpdateCallback(self._events(self._out, self._in))
            except (libvirt.libvirtError, OSError, EOFError):
                self._end()

    def _move(self) -> None:
        """As much as goes without waiting. Raises EOFError when either end has ended."""
        if len(self._out) < _MOST_BYTES:
            part = self._stream.recv(_PART_BYTES)
            if part == b"":
                raise EOFError
            self._out += part if isinstance(part, bytes) else b""
        with contextlib.suppress(BlockingIOError):
            if len(self._in) < _MOST_BYTES:
                part = self._socket.recv(_PART_BYTES)
                if not part:
                    raise EOFError
                self._in += part
        with contextlib.suppress(BlockingIOError):
            self._out = self._out[self._socket.send(self._out) :] if self._out else b""
        if self._in:
            sent = self._stream.send(self._in)
            self._in = self._in[max(sent, 0) :]

    def _end(self) -> None:
        self._over = True
        libvirt.virEventRemoveHandle(self._handle)
        with contextlib.suppress(libvirt.libvirtError):
            self._stream.eventRemoveCallback()
        self._socket.close()
        # These ask libvirt, and wait.
        threading.Thread(target=self._close, name="serial port", daemon=True).start()

    def _close(self) -> None:
        with contextlib.suppress(libvirt.libvirtError):
            self._stream.abort()
        with contextlib.suppress(libvirt.libvirtError):
            self._connection.close()
