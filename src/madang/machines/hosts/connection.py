"""The connection to one libvirt host: made again whenever it is lost, with its events.

libvirt's own event loop runs in one thread of the process. Calls block, so they run in threads of the connection;
what they raise becomes one of our errors. A host that hangs is noticed by libvirt's keepalive, and holds no thread of
others.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from madang.kernel import clock
from madang.kernel.errors import MadangError
from madang.kernel.log import logger
from madang.machines.hosts import events, failures
from madang.machines.hosts.binding import libvirt
from madang.machines.hosts.link import Link, Lost
from madang.machines.hosts.shapes import Change, Limits
from madang.machines.hosts.threads import Threads

log = logger("machines")
P = ParamSpec("P")
R = TypeVar("R")
_THREADS = 12
# Attempts that hang; each holds a thread until its ssh gives up, which may take minutes.
_MOST_HANGING = 3

_loop_lock = threading.Lock()
_loop_runs = False


def run_event_loop() -> None:
    """libvirt's event loop, once in the process: it has to be there before the first connection is opened."""
    global _loop_runs
    with _loop_lock:
        if _loop_runs:
            return
        libvirt.virEventRegisterDefaultImpl()
        # Otherwise every error is printed as well.
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        threading.Thread(target=_run_events, name="libvirt events", daemon=True).start()
        _loop_runs = True


def _run_events() -> None:
    while True:
        with contextlib.suppress(libvirt.libvirtError):
            libvirt.virEventRunDefaultImpl()


class Connection:
    """One host. `on_change` and `on_connection` are called in the thread of the asyncio loop."""

    def __init__(
        self,
        name: str,
        uri: str,
        limits: Limits,
        on_change: Callable[[Change], None],
        on_connection: Callable[[bool], None],
    ) -> None:
        self.name = name
        self.uri = uri
        self.down_since: float | None = None
        self.problem = "not connected yet"
        self._limits = limits
        self._on_change = on_change
        self._on_connection = on_connection
        self._threads = Threads(_THREADS, f"libvirt {name}")
        self._link: Link | None = None
        self._opening: asyncio.Future[Link] | None = None
        self._hanging = 0
        self._lost = asyncio.Event()
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        return self._link is not None

    async def start(self) -> None:
        """Returns once the first attempt is over, whatever came of it."""
        self.down_since = clock.now()
        self._task = asyncio.create_task(self._stay_connected())
        await self._tried.wait()

    async def stop(self) -> None:
        while self._task is not None and not self._task.done():
            # wait_for loses a cancellation that comes together with what it waits for.
            self._task.cancel()
            await asyncio.wait([self._task], timeout=self._limits.retry)
        link, self._link = self._link, None
        if link is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._in_thread(link.end), self._limits.call)
        self._threads.shutdown(cancel_futures=True)

    async def call(self, work: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """`work(connection, ...)` in a thread. Raises what it raises, and Unavailable (host_unreachable) while the host
        does not answer."""
        link = self._link
        if link is None:
            raise failures.unreachable(self.name, self.problem)
        try:
            # What has not begun by then never will; a thread that waits for libvirt is left to end by itself.
            return await asyncio.wait_for(self._in_thread(partial(link.run, work, *args, **kwargs)), self._limits.call)
        except TimeoutError as error:
            raise failures.unreachable(self.name, f"no answer within {self._limits.call:g} s") from error
        except Lost as error:
            self._lose(link, str(error))
            raise failures.unreachable(self.name, str(error)) from error
        except libvirt.libvirtError as error:
            raise failures.from_libvirt(error, self.name) from error

    def _in_thread(self, work: Callable[..., R], *arguments: Any) -> asyncio.Future[R]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def _lose(self, link: Link, why: str) -> None:
        if link is not self._link:
            return
        self._link = None
        self.problem, self.down_since = why, clock.now()
        log.warning("host lost", host=self.name, why=why)
        self._in_thread(link.end).add_done_callback(_forget)
        self._lost.set()
        self._on_connection(False)

    async def _stay_connected(self) -> None:
        while True:
            if not self.connected:
                await self._connect()
                self._tried.set()
            if self.connected:
                await self._lost.wait()
            else:
                await asyncio.sleep(self._limits.retry)

    async def _connect(self) -> None:
        self._lost.clear()
        loop = asyncio.get_running_loop()
        if self._opening is None:
            self._opening = self._in_thread(self._open, loop)
        try:
            link = await asyncio.wait_for(asyncio.shield(self._opening), self._limits.connect)
        except TimeoutError:
            self._failed(f"no connection within {self._limits.connect:g} s")
            # A new one gets through at once where the network is back, the old one perhaps in a minute. When several
            # hang, the last one is waited for.
            if self._hanging < _MOST_HANGING:
                self._leave(self._opening)
                self._opening = None
            return
        except (libvirt.libvirtError, MadangError) as error:
            self._opening = None
            self._failed(_sentence(error))
            return
        self._opening = None
        self._link = link
        self.problem, self.down_since = "", None
        log.info("host connected", host=self.name)
        self._on_connection(True)

    def _leave(self, opening: asyncio.Future[Link]) -> None:
        """Nobody waits for this one any more; should it get through after all, it is closed."""
        self._hanging += 1

        def ended(future: asyncio.Future[Link]) -> None:
            self._hanging -= 1
            if not future.cancelled() and future.exception() is None:
                with contextlib.suppress(RuntimeError):  # the threads have ended with the portal
                    self._in_thread(future.result().end).add_done_callback(_forget)

        opening.add_done_callback(ended)

    def _failed(self, why: str) -> None:
        if why != self.problem:
            log.warning("host cannot be reached", host=self.name, why=why)
        self.problem = why

    def _open(self, loop: asyncio.AbstractEventLoop) -> Link:
        """A connection that reports its events and its own end. Runs in a thread."""
        run_event_loop()
        link = Link(self.uri, self._limits.silent)

        def in_loop(told: Callable[..., None], *arguments: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(told, link, *arguments)

        def closed(_connection: Any, reason: int, _opaque: Any) -> None:
            in_loop(self._lose, _WHY_CLOSED.get(reason, "the connection was lost"))

        try:
            link.events.registerCloseCallback(closed, None)
            link.registered = events.register(link.events, partial(in_loop, self._report))
            link.registered_endings = events.register_endings(link.events, partial(in_loop, self._report))
        except BaseException:
            link.end()
            raise
        return link

    def _report(self, link: Link, change: Change) -> None:
        # Of a link that is not taken over yet; not of one that was lost.
        if self._link in (link, None):
            self._on_change(change)


# VIR_CONNECT_CLOSE_REASON_*
_WHY_CLOSED = {
    0: "the connection failed",
    1: "libvirt ended the connection",
    2: "libvirt did not answer any more",
    3: "the connection was closed",
}


def _forget(future: asyncio.Future[Any]) -> None:
    """Nobody waits for this any more; its error is not to be complained about."""
    if not future.cancelled():
        future.exception()


def _sentence(error: Exception) -> str:
    if isinstance(error, MadangError):
        return error.detail
    return str(error).strip() or type(error).__name__
