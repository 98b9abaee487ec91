"""Leases: each loop runs in one of the portals, and in another one soon after that is gone.

A process says in live state, three times within `live.lease_seconds`, that it holds its leases. Clean stop gives them
back; whatever else ends or stops it lets them run out. They save work, nothing rests on them: every step of a loop is
guarded by its record's version and may be repeated, so two that hold the same one for a moment do no harm.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import Callable

from madang.kernel import metrics
from madang.kernel.errors import Unavailable
from madang.kernel.live import Live
from madang.kernel.log import logger
from madang.kernel.pauses import pause

log = logger("leases")
RENEWALS = 3  # within the time of a lease: two may be lost


def clock() -> float:
    """Seconds that go on while the process, or the whole machine, is stopped."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def holder_name() -> str:
    """Says to an operator where the holder runs; no two processes have the same."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class Lease:
    """One lease as this process knows it."""

    def __init__(self, name: str, leases: Leases, gained: Callable[[], None]) -> None:
        self.name = name
        self.key = f"lease:{name}"
        self.until = 0.0
        self.said = False  # whether it was held when we looked last
        self.gained = gained
        self._leases = leases

    @property
    def held(self) -> bool:
        """Whether to act. Ask again before each step: a process that was stopped does not know how long."""
        return self._leases.everywhere or clock() < self.until


class Leases:
    """The leases of one process, renewed together."""

    def __init__(self, live: Live, seconds: float, holder: str | None = None) -> None:
        self.holder = holder or holder_name()
        self._live = live
        self._seconds = seconds
        self._leases: dict[str, Lease] = {}
        self._failed = False
        self._answered = clock()
        self._again = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def everywhere(self) -> bool:
        """Whether everybody may act: nobody is beside us, or nobody can be told who holds what.

        The latter is better than that nobody acts: what two do at once, the records' versions sort out.
        """
        return not self._live.shared or (self._failed and clock() > self._answered + self._seconds)

    def lease(self, name: str, gained: Callable[[], None]) -> Lease:
        """A lease that is held from some moment on; `gained` is called then. Alone it is held at once, for nothing."""
        lease = self._leases[name] = Lease(name, self, gained)
        if self._live.shared:
            self._again.set()
            if self._task is None:
                self._task = asyncio.create_task(self._run(), name="leases")
        return lease

    async def stop(self) -> None:
        """Give everything back, so that another process need not wait."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
            for lease in self._leases.values():
                lease.until = 0.0
            await self._live.release([lease.key for lease in self._leases.values()], self.holder)

    async def _run(self) -> None:
        while True:
            self._again.clear()
            await self._renew()
            for lease in self._leases.values():
                self._notice(lease)
            await pause(self._seconds / RENEWALS, self._again)

    async def _renew(self) -> None:
        leases, asked = list(self._leases.values()), clock()
        try:
            mine = await self._live.hold([lease.key for lease in leases], self.holder, self._seconds)
        except Unavailable:
            self._failed = True
            return
        except Exception:
            self._failed = True
            log.exception("leases cannot be renewed")
            return
        self._failed, self._answered = False, asked
        for lease in leases:
            # Counted from before we asked: it never lasts longer here than there.
            lease.until = asked + self._seconds if lease.key in mine else 0.0

    def _notice(self, lease: Lease) -> None:
        if lease.held == lease.said:
            return
        lease.said = lease.held
        metrics.lease_held.labels(lease.name).set(lease.said)
        log.info("runs here now" if lease.said else "runs elsewhere now", loop=lease.name)
        if lease.said:
            lease.gained()
