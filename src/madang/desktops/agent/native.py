"""A listener for native VNC clients, opened on request and for one of them: the verb `native`.

RFB 3.8 with VeNCrypt 0.2, subtype X509Vnc: TLS first, with the agent's certificate, then a password. It has 8
characters (VNC's way takes no more), is good once, for three tries and a few minutes; nothing without TLS is let in.
https://github.com/rfbproto/rfbproto/blob/master/rfbproto.rst#vencrypt
"""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable

from madang.desktops.agent import des
from madang.desktops.agent.carry import Desktop, carry
from madang.desktops.agent.certificate import Certificate
from madang.desktops.agent.clock import Clock
from madang.desktops.agent.door import NoFreePort, bind_one_of
from madang.desktops.agent.guest import Guest, Refusal
from madang.desktops.agent.log import log
from madang.desktops.agent.rfb import VERSION, exactly, greet_engine
from madang.doors.wires import SocketWire, TlsWire, Wire, keep_alive

_VENCRYPT = 19
_VENCRYPT_VERSION = b"\x00\x02"
_X509_VNC = 261
_LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that look alike
_PASSWORD_LETTERS = 8
_TRIES = 3
_SECONDS = (10, 3600)
_DEFAULT_SECONDS = 300
_PATIENCE_SECONDS = 10.0
# Who has not shown the password makes room for who comes next.
_MOST_WAITING = 8


class NotThisWay(Exception):
    """A client that cannot be let in; says why."""


class Native:
    """At most one listener at a time: asking again makes a new password and ends the old one."""

    def __init__(
        self,
        ports: tuple[int, int] | None,
        desktop: Desktop,
        clock: Clock,
        certificate: Callable[[], Awaitable[Certificate]],
    ) -> None:
        self._ports = ports
        self._desktop = desktop
        self._clock = clock
        self._certificate = certificate
        self._opening: Opening | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def __call__(self, guest: Guest) -> None:
        if self._ports is None:
            raise Refusal("native_off", "This site lets no native clients in.")
        seconds = guest.number("seconds", *_SECONDS, default=_DEFAULT_SECONDS)
        own = await self._certificate()
        if self._opening is not None:
            self._opening.close()
        try:
            self._opening = Opening(bind_one_of(self._ports), own.context, seconds, self._enter)
        except NoFreePort as error:
            hint = "Try again in a moment, or use the browser."
            raise Refusal("no_free_port", "No port is free for a native client.", str(error), hint) from error
        log(f"native: open on port {self._opening.port} for {seconds} s")
        await guest.say(
            port=self._opening.port,
            password=self._opening.password,
            fingerprint=own.fingerprint,
            certificate=own.pem,
            expires_at=self._clock.now() + seconds,
        )

    def close(self) -> None:
        """Its password is good no more, and who is in is cut off. Asked again, it opens anew."""
        if self._opening is not None:
            self._opening.close()
        for client in self._clients:
            client.cancel()
        if self._clients:
            log("native: cut off")

    async def _enter(self, wire: Wire) -> None:
        """A client with the right password: from now on it is one like any other."""
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)
        log("native: a client is in")
        engine = await self._desktop.connect()
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await greet_engine(engine)
            await wire.send_all(struct.pack(">I", 0))
            await carry(wire, engine)
        finally:
            engine.close()
            log("native: the client is gone")


class Opening:
    """One password and its listener, until somebody came in, too many tried, or its time is over."""

    def __init__(
        self, listener: socket.socket, context: ssl.SSLContext, seconds: float, enter: Callable[[Wire], Awaitable[None]]
    ) -> None:
        self.password = "".join(secrets.choice(_LETTERS) for _ in range(_PASSWORD_LETTERS))
        self.port = int(listener.getsockname()[1])
        self._listener: socket.socket | None = listener
        self._context = context
        self._seconds = seconds
        self._enter = enter
        self._tries = _TRIES
        self._waiting: dict[asyncio.Task[None], None] = {}
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        loop.add_reader(listener, self._welcome)
        self._end = loop.call_later(seconds, self.close)

    @property
    def is_open(self) -> bool:
        return self._listener is not None

    def close(self) -> None:
        """The password is good no more; a client that came in stays."""
        if self._listener is None:
            return
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        self._listener = None
        self._end.cancel()
        current = asyncio.current_task()
        for client in self._waiting:
            if client is not current:
                client.cancel()

    def _welcome(self) -> None:
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if len(self._waiting) >= _MOST_WAITING:
            next(iter(self._waiting)).cancel()
        client = asyncio.get_running_loop().create_task(self._serve(connection))
        self._waiting[client] = None
        client.add_done_callback(self._gone)

    def _gone(self, client: asyncio.Task[None]) -> None:
        self._waiting.pop(client, None)
        if not client.cancelled() and (error := client.exception()) is not None:
            log(f"native: {error!r}")

    async def _serve(self, connection: socket.socket) -> None:
        wire: Wire = SocketWire(connection)
        try:
            keep_alive(connection)
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await _agree_on_tls(wire)
                wire = TlsWire(connection, self._context, server=True)
                await wire.handshake()
            async with asyncio.timeout(self._seconds):  # somebody may be typing
                await self._ask_password(wire)
            await self._enter(wire)
        except (NotThisWay, Refusal) as error:
            log(f"native: refused, {error}")
        except OSError as error:
            log(f"native: {type(error).__name__}")
        finally:
            wire.close()
            connection.close()

    async def _ask_password(self, wire: Wire) -> None:
        """Returns for the first one who knows it. Raises NotThisWay."""
        challenge = os.urandom(16)
        await wire.send_all(challenge)
        answer = await exactly(wire, 16)
        right = hmac.compare_digest(answer, des.response(challenge, self.password))
        if not self.is_open:
            right = False
        elif not right:
            self._tries -= 1
            if not self._tries:
                self.close()
        if not right:
            reason = b"The password is wrong, or is good no more."
            await wire.send_all(struct.pack(">II", 1, len(reason)) + reason)
            raise NotThisWay(f"a wrong password ({self._tries} more tries)")
        self._waiting.pop(asyncio.current_task(), None)  # type: ignore[arg-type]
        self.close()


async def _agree_on_tls(wire: Wire) -> None:
    await wire.send_all(VERSION)
    if await exactly(wire, 12) != VERSION:
        raise NotThisWay("another version of RFB")
    await wire.send_all(bytes([1, _VENCRYPT]))
    if (await exactly(wire, 1))[0] != _VENCRYPT:
        raise NotThisWay("a client without VeNCrypt")
    await wire.send_all(_VENCRYPT_VERSION)
    if await exactly(wire, 2) != _VENCRYPT_VERSION:
        await wire.send_all(b"\x01")
        raise NotThisWay("another version of VeNCrypt")
    await wire.send_all(struct.pack(">BBI", 0, 1, _X509_VNC))
    if struct.unpack(">I", await exactly(wire, 4))[0] != _X509_VNC:
        await wire.send_all(b"\x00")
        raise NotThisWay("another kind of VeNCrypt")
    await wire.send_all(b"\x01")
