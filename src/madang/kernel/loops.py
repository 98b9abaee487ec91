"""Loops that look at reality and move records one step."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from madang.kernel import metrics
from madang.kernel.errors import MadangError
from madang.kernel.leases import Lease, Leases
from madang.kernel.log import logger
from madang.kernel.pauses import pause

log = logger("loops")


class Loop:
    """Runs `cycle` every `seconds`, and at once when woken. A failing cycle is logged and tried again.

    `cycle` returns one sentence on what it did, or an empty string when there was nothing to do. With `lease`, of
    several portals only the one that holds the loop's lease runs cycles; waking it elsewhere does no harm.
    """

    def __init__(self, name: str, cycle: Callable[[], Awaitable[str]], seconds: float, *, lease: bool = False) -> None:
        self.name = name
        self._leased = lease
        self._lease: Lease | None = None
        self._cycle = cycle
        self._seconds = seconds
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.last_success: float | None = None

    def wake(self) -> None:
        """Look again now."""
        self._wake.set()

    @property
    def runs_here(self) -> bool:
        """Whether cycles are this process's. A long cycle asks before each step: it may have been stopped meanwhile."""
        return self._lease is None or self._lease.held

    def start(self, leases: Leases | None = None) -> None:
        """`leases`: those of this process; without, the loop runs in any case."""
        if self._leased and leases is not None:
            self._lease = leases.lease(self.name, self.wake)
        self._task = asyncio.create_task(self._run(), name=f"loop {self.name}")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            if self.runs_here:
                await self.run_once()
            await pause(self._seconds, self._wake)

    async def run_once(self) -> None:
        begin = time.perf_counter()
        outcome = "failed"
        try:
            sentence = await self._cycle()
            outcome = "done"
            self.last_success = time.time()
            if sentence:
                log.info(sentence, loop=self.name)
        except MadangError as error:
            log.warning("cycle failed", loop=self.name, code=error.code, detail=error.detail)
        except Exception:
            metrics.bugs.labels(self.name).inc()
            log.exception("cycle failed", loop=self.name)
        metrics.loop_cycles.labels(self.name, outcome).inc()
        metrics.loop_seconds.labels(self.name).observe(time.perf_counter() - begin)
