"""The session's door: who shows a valid ticket may ask for one thing.

Two ways lead to it, a Unix socket in the session's 0700 folder and, for portals on other hosts, a TLS listener. What is
asked goes to the same rooms (`verbs`). Without a ticket nothing can be learned here, not even what could be asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import secrets
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import msgspec

from madang.desktops.agent.guest import Guest, Refusal, Request, Verb
from madang.desktops.agent.log import log
from madang.doors import tickets
from madang.doors.wires import SocketWire, TlsWire, keep_alive

_LONGEST_REQUEST = 64 * 1024
_PATIENCE_SECONDS = 5.0
# Who has shown no ticket yet makes room, the oldest first, for who comes next.
_MOST_WAITING = 64
_MOST_GUESTS = 128
_QUEUE = 128
# Strangers may knock as often as they like: the log has better things to remember.
_MOST_LOGGED = 200


class NoFreePort(Exception):
    pass


class Door:
    """now gives the time by the portal's clock, by which tickets expire."""

    def __init__(self, folder: Path, session: str, key: str, now: Callable[[], float], verbs: dict[str, Verb]) -> None:
        self._path = folder / "door.sock"
        self._session = session
        self._key = key
        self._now = now
        self._verbs = verbs
        self._memory = tickets.Memory()
        self._listeners: list[socket.socket] = []
        self._waiting: dict[asyncio.Task[None], None] = {}
        self._guests: set[asyncio.Task[None]] = set()
        self._logged = 0

    def open(self) -> None:
        """Listens on the Unix socket. Raises OSError."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._path))
        self._path.chmod(0o600)
        listener.listen(_QUEUE)
        self._listen(listener, None)

    def open_tls(self, ports: tuple[int, int], context: ssl.SSLContext) -> int:
        """Listens for other hosts on a port of this range, which is returned. Raises NoFreePort, OSError."""
        listener = bind_one_of(ports)
        self._listen(listener, context)
        return int(listener.getsockname()[1])

    def close(self) -> None:
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        self._listeners.clear()
        for guest in (*self._waiting, *self._guests):
            guest.cancel()
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _listen(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        listener.setblocking(False)
        self._listeners.append(listener)
        asyncio.get_running_loop().add_reader(listener, self._welcome, listener, context)

    def _welcome(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        if len(self._waiting) >= _MOST_WAITING:
            next(iter(self._waiting)).cancel()
        guest = asyncio.get_running_loop().create_task(self._serve(connection, context))
        self._waiting[guest] = None
        guest.add_done_callback(self._gone)

    def _gone(self, guest: asyncio.Task[None]) -> None:
        self._waiting.pop(guest, None)
        self._guests.discard(guest)
        if not guest.cancelled() and (error := guest.exception()) is not None:
            log(f"door: {error!r}")

    async def _serve(self, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        try:
            wire = TlsWire(connection, context, server=True) if context else SocketWire(connection)
        except OSError:
            connection.close()
            return
        try:
            with contextlib.suppress(OSError):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    if isinstance(wire, TlsWire):
                        keep_alive(connection=wire.socket)
                        await wire.handshake()
                    line = await wire.read_line(_LONGEST_REQUEST)
                await self._answer(wire, line)
        finally:
            wire.close()

    async def _answer(self, wire: SocketWire | TlsWire, line: bytes) -> None:
        guest = Guest(wire, {}, remote=isinstance(wire, TlsWire))
        try:
            guest.request = self._let_in(line)
            verb = self._verbs.get(guest.text("do", "desktop"))
            if verb is None:
                raise Refusal("verb_unknown", "This agent does not know how to do this.", "It may be older.")
            await verb(guest)
        except Refusal as refusal:
            self._note(refusal)
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await guest.refuse(refusal)

    def _let_in(self, line: bytes) -> Request:
        """The request of somebody with a good ticket, who is a guest from now on. Raises Refusal."""
        try:
            request = msgspec.json.decode(line)
            ticket = request["ticket"]
            tickets.check(self._key, self._session, str(ticket), self._memory, now=self._now())
        except tickets.TicketError as error:
            raise Refusal(error.code, "The door stays closed.", str(error)) from error
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise Refusal("ticket_invalid", "The door stays closed.", "no ticket") from error
        if len(self._guests) >= _MOST_GUESTS:
            raise Refusal("door_busy", "Too many connections are open.", hint="Try again in a moment.")
        task = asyncio.current_task()
        assert task is not None
        self._waiting.pop(task, None)
        self._guests.add(task)
        return dict(request)

    def _note(self, refusal: Refusal) -> None:
        self._logged += 1
        if self._logged <= _MOST_LOGGED:
            log(f"door: refused, {refusal}")
        if self._logged == _MOST_LOGGED:
            log("door: further refusals are not written down")


def bind_one_of(ports: tuple[int, int]) -> socket.socket:
    """A listening socket on a port of the range: having bound it is the reservation. Raises NoFreePort, OSError.

    Starts anywhere in the range, so that agents that start together seldom try the same one.
    """
    first, last = ports
    count = last - first + 1
    start = secrets.randbelow(count)
    for offset in range(count):
        if listener := _bind(first + (start + offset) % count):
            return listener
    raise NoFreePort(f"all ports from {first} to {last} are taken")


def _bind(port: int) -> socket.socket | None:
    """For IPv6 and IPv4 both, or for IPv4 alone where the kernel knows no other; None when the port is taken."""
    for family in (socket.AF_INET6, socket.AF_INET):
        listener = None
        try:
            listener = socket.socket(family, socket.SOCK_STREAM)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("", port))
            listener.listen(_QUEUE)
            return listener
        except OSError as error:
            if listener is not None:
                listener.close()
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return None
            if family == socket.AF_INET or error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise
    return None
