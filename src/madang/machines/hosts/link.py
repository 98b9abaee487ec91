"""The connections to one libvirt that stand and fall together: one that hears events, and one for each call under way.

Never two calls on one connection: libvirt's client (9.0) crashes the process when several threads wait on one that is
lost, or when it is closed below a call.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from madang.kernel.errors import MadangError
from madang.machines.hosts import address
from madang.machines.hosts.binding import libvirt, libvirt_qemu

P = ParamSpec("P")
R = TypeVar("R")
_MOST_IDLE = 4
# On the network each is an ssh, which takes longer to come up than most calls. Servers of ssh drop some of those that
# come up at the same time (MaxStartups, from 10 on).
_MOST_IDLE_FAR = 12
_MOST_OPENING = 4
# How often a silent connection may fail to answer before it is given up.
_SILENCES = 2


class Lost(Exception):
    """The host does not answer any more; why."""


class Link:
    """Everything here blocks. Raises Lost, also when it was ended before."""

    def __init__(self, uri: str, silent_seconds: float) -> None:
        self.uri = uri
        self._silent_seconds = silent_seconds
        self._most_idle = _MOST_IDLE if address.parse(uri).local else _MOST_IDLE_FAR
        self._opening = threading.Semaphore(_MOST_OPENING)
        self._lock = threading.Lock()
        self._idle: list[Any] = []
        self._ended = False
        self.events = self._open()
        self.registered: list[int] = []
        self.registered_endings: list[int] = []

    def run(self, work: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """`work(connection, ...)`, with a connection of its own for that time."""
        connection = self._take()
        usable = False
        try:
            result = work(connection, *args, **kwargs)
            usable = True
            return result
        except (libvirt.libvirtError, MadangError) as error:
            cause = error if isinstance(error, libvirt.libvirtError) else error.__cause__
            # Was it the question that failed, or the connection?
            usable = not isinstance(cause, libvirt.libvirtError) or _answers(connection)
            if not usable:
                raise Lost(str(cause)) from error
            raise
        finally:
            self._give_back(connection, usable)

    def end(self) -> None:
        """Connections that wait for an answer are closed by who waits."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            idle, self._idle = self._idle, []
        with contextlib.suppress(libvirt.libvirtError):
            self.events.unregisterCloseCallback()
        for number in self.registered:
            with contextlib.suppress(libvirt.libvirtError):
                self.events.domainEventDeregisterAny(number)
        for number in self.registered_endings:
            with contextlib.suppress(libvirt.libvirtError):
                libvirt_qemu.qemuMonitorEventDeregister(self.events, number)
        for connection in (self.events, *idle):
            _close(connection)

    def _open(self) -> Any:
        return connect(self.uri, self._silent_seconds)

    def _take(self) -> Any:
        if (connection := self._take_idle()) is not None:
            return connection
        with self._opening:
            if (connection := self._take_idle()) is not None:  # given back meanwhile
                return connection
            try:
                return self._open()
            except libvirt.libvirtError as error:
                raise Lost(str(error)) from error

    def _take_idle(self) -> Any:
        with self._lock:
            if self._ended:
                raise Lost("the connection was lost")
            return self._idle.pop() if self._idle else None

    def _give_back(self, connection: Any, usable: bool) -> None:
        with self._lock:
            keep = usable and not self._ended and len(self._idle) < self._most_idle
            if keep:
                self._idle.append(connection)
        if not keep:
            _close(connection)


def connect(uri: str, silent_seconds: float) -> Any:
    """A connection that ends when the other side is silent for some times so long."""
    connection = libvirt.open(uri)
    with contextlib.suppress(libvirt.libvirtError):  # drivers without a daemon have none
        connection.setKeepAlive(max(1, round(silent_seconds)), _SILENCES)
    return connection


def _answers(connection: Any) -> bool:
    try:
        return bool(connection.isAlive()) and connection.getLibVersion() > 0
    except libvirt.libvirtError:
        return False


def _close(connection: Any) -> None:
    with contextlib.suppress(libvirt.libvirtError):
        connection.close()
