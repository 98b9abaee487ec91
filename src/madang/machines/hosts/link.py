"""An open connection that is closed by the last who uses it: libvirt frees it at once, also below a call that waits."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from madang.machines.hosts.binding import libvirt

R = TypeVar("R")


class Link:
    """An open connection. Calls of one that is lost end by themselves."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.registered: list[int] = []
        self._lock = threading.Lock()
        self._users = 0
        self._ended = False

    def run(self, work: Callable[..., R], *args: Any, **kwargs: Any) -> R:
        """Raises Ended when it was given up before."""
        with self._lock:
            if self._ended:
                raise Ended
            self._users += 1
        try:
            return work(self.connection, *args, **kwargs)
        finally:
            with self._lock:
                self._users -= 1
                last = self._ended and not self._users
            if last:
                _close(self.connection, self.registered)

    def end(self) -> None:
        """Nobody begins to use it any more."""
        with self._lock:
            last = not self._ended and not self._users
            self._ended = True
        if last:
            _close(self.connection, self.registered)


class Ended(Exception):
    """The connection was given up before it could be used."""


def _close(connection: Any, registered: list[int]) -> None:
    with contextlib.suppress(libvirt.libvirtError):
        connection.unregisterCloseCallback()
    for number in registered:
        with contextlib.suppress(libvirt.libvirtError):
            connection.domainEventDeregisterAny(number)
    with contextlib.suppress(libvirt.libvirtError):
        connection.close()
