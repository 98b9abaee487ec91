"""The last hour of each session's CPU and memory, a point a minute, for the small charts.

Kept by the portal that hears the agent, and written once a minute to live state, all sessions together: so any portal
can show it, and whichever hears the agent next goes on with it. Lost, the charts begin anew.
"""

from __future__ import annotations

from array import array

import msgspec

from madang.compute.order import Pulse
from madang.kernel import clock
from madang.kernel.live import Live

STEP_SECONDS = 60
POINTS = 60


class MeasuresView(msgspec.Struct):
    """Points of [seconds since the epoch, percent of one core, bytes], the oldest first."""

    step_seconds: int
    points: list[tuple[float, float, float]]


class _Ring:
    """Of one session: points as flat numbers (three each), and what is gathered for the next one."""

    __slots__ = ("count", "cpu", "fresh", "memory", "numbers", "step")

    def __init__(self, numbers: array[float]) -> None:
        self.numbers = numbers
        self.step = 0
        self.cpu = 0.0
        self.memory = 0.0
        self.count = 0
        self.fresh = False  # whether there is a point that was not written yet

    def add(self, pulse: Pulse, now: float) -> None:
        step = int(now // STEP_SECONDS)
        if step != self.step:
            self.close()
            self.step = step
        self.cpu += pulse.cpu_percent
        self.memory = max(self.memory, float(pulse.memory_bytes))
        self.count += 1

    def close(self) -> None:
        """Make a point of what was gathered."""
        if self.count:
            at = float(self.step * STEP_SECONDS)
            self.numbers.extend((at, round(self.cpu / self.count, 1), self.memory))
            del self.numbers[: -3 * POINTS]
            self.fresh = True
        self.cpu, self.memory, self.count = 0.0, 0.0, 0


class Measures:
    """Those of one service's sessions."""

    def __init__(self, live: Live, service: str) -> None:
        self._live = live
        self._prefix = f"{service}:measures:"
        self._rings: dict[str, _Ring] = {}

    async def add(self, session: str, pulse: Pulse) -> None:
        """What an agent said just now."""
        ring = self._rings.get(session)
        if ring is None:
            # Its agent was heard by another portal before, or by this one before it was started anew.
            numbers = await self._kept(session)
            ring = self._rings.setdefault(session, _Ring(numbers))
        ring.add(pulse, clock.now())

    async def get(self, session: str) -> MeasuresView:
        ring = self._rings.get(session)
        kept = await self._kept(session)
        # Another portal may hear its agent by now, and know more.
        if ring is not None and (len(kept) < 3 or (len(ring.numbers) >= 3 and ring.numbers[-3] >= kept[-3])):
            kept = ring.numbers
        oldest = clock.now() - STEP_SECONDS * (POINTS + 1)
        points = [(kept[i], kept[i + 1], kept[i + 2]) for i in range(0, len(kept), 3)]
        return MeasuresView(STEP_SECONDS, [point for point in points if point[0] >= oldest])

    async def write(self) -> str:
        """Once a minute: tell the other portals."""
        fresh = {self._prefix + session: list(ring.numbers) for session, ring in self._rings.items() if ring.fresh}
        for ring in self._rings.values():
            ring.fresh = False
        if fresh:
            await self._live.put_many(fresh, STEP_SECONDS * POINTS)
        return ""

    def forget(self, session: str) -> None:
        self._rings.pop(session, None)

    async def delete(self, session: str) -> None:
        self.forget(session)
        await self._live.delete(self._prefix + session)

    async def _kept(self, session: str) -> array[float]:
        found = await self._live.get(self._prefix + session)
        numbers = array("d", found if isinstance(found, list) else ())
        return numbers[: len(numbers) - len(numbers) % 3]
