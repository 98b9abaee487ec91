"""One process of the portal: assembles services, brings the database up to date, listens until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from types import FrameType

import uvicorn

from madang.kernel import log, supervision
from madang.kernel.edge import Edge
from madang.kernel.errors import SiteError
from madang.kernel.ground import Ground, Parts, Service
from madang.kernel.http import build_app
from madang.kernel.settings import HttpSettings, Settings, SiteSettings
from madang.live_socket import live_socket
from madang.migrations import upgrade
from madang.services import SERVICES

LOOK_SECONDS = 1.0  # how exact the Date header is


class Portal:
    """A process that serves some services on one port."""

    def __init__(self, settings: Settings, services: Sequence[Service], *, shared: bool) -> None:
        site = settings[SiteSettings]
        log.configure(site.log_level, site.log_format)
        logging.getLogger("uvicorn.error").addFilter(_not_a_false_alarm)
        self.settings = settings
        self.ground = Ground(settings, shared=shared)
        self._services = services

    async def run(self, on_ready: Callable[[Ground], Awaitable[None]]) -> None:
        """Serve until SIGINT or SIGTERM. `on_ready(ground)` is awaited once the port answers."""
        http = self.settings[HttpSettings]
        listener = listen(http.host, http.port, http.stall_seconds)
        await upgrade(self.ground.database)
        app = assemble(self.ground, self._services)
        server = Server(
            ground=self.ground,
            on_ready=lambda: on_ready(self.ground),
            config=uvicorn.Config(
                app,
                loop="uvloop",
                http="httptools",
                ws="websockets-sansio",
                ws_per_message_deflate=False,
                ws_ping_interval=http.ping_seconds,
                ws_ping_timeout=http.ping_seconds,
                access_log=False,
                server_header=False,
                log_config=None,
                proxy_headers=True,
                forwarded_allow_ips=list(http.trusted_proxies),
                timeout_graceful_shutdown=max(1, round(http.close_seconds)),
            ),
        )
        # What was made during the start lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        try:
            await server.serve(sockets=[listener])
        finally:
            listener.close()
        if not server.started:
            raise SiteError("The portal could not start; its log says why.", code="start_failed")


class Server(uvicorn.Server):
    """uvicorn, saying when it listens, and asleep when there is nothing to do."""

    def __init__(self, config: uvicorn.Config, ground: Ground, on_ready: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._ground = ground
        self._on_ready = on_ready
        self._drain_seconds = ground.settings[HttpSettings].drain_seconds
        self._manager = supervision.Manager()
        self._asked_to_exit = asyncio.Event()
        self._signals = 0
        self._wake: Callable[[], object] = self._asked_to_exit.set

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            await self._on_ready()
            self._manager.ready()

    async def main_loop(self) -> None:
        """uvicorn looks ten times a second whether it should exit; this is told, and only keeps the Date header."""
        loop = asyncio.get_running_loop()
        self._wake = lambda: loop.call_soon_threadsafe(self._asked_to_exit.set)
        while not await self._look():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked_to_exit.wait(), LOOK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Here and not in the loop: who is told to stop while it starts never comes to the loop.
        self._manager.stopping()
        await self._drain()
        await super().shutdown(sockets)

    async def _look(self) -> bool:
        self._manager.alive()
        return await self.on_tick(0)

    async def _drain(self) -> None:
        """Go on serving while /ready says no; a second signal ends the wait."""
        self._ground.leaving = True
        until = time.monotonic() + self._drain_seconds
        while (left := until - time.monotonic()) > 0 and self._signals < 2:
            self._asked_to_exit.clear()
            await self._look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked_to_exit.wait(), min(left, LOOK_SECONDS))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._signals += 1
        if sig == signal.SIGTERM:
            # uvicorn would raise it again once all is closed: to be told to stop and to stop is no failure.
            self._captured_signals.remove(sig)
        self._wake()


def assemble(ground: Ground, services: Sequence[Service]) -> Edge:
    """The application of these services; every process has the live updates."""
    ground.services = [service.name for service in SERVICES]
    return build_app(
        ground, [Parts(sockets={"/api/live": live_socket(ground)}), *(service.assemble(ground) for service in services)]
    )


def _not_a_false_alarm(record: logging.LogRecord) -> bool:
    """uvicorn takes every WebSocket that was refused by a proper answer for one that nobody answered."""
    return "without completing handshake" not in record.getMessage()


def listen(host: str, port: int, stall_seconds: float) -> socket.socket:
    """The listening socket. Raises SiteError when the address is taken or not this machine's."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # The kernel itself cuts a peer that takes nothing for so long, whatever its WebSocket does (tcp(7)).
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(stall_seconds * 1000))
        listener.bind(address)
        listener.listen(1024)
        listener.setblocking(False)
    except OSError as error:
        raise SiteError(
            f"Cannot listen on {host}:{port}: {error.strerror}.",
            code="cannot_listen",
            hint="Another program may use this port: set http.port (MADANG_HTTP_PORT) to a free one.",
        ) from error
    return listener
