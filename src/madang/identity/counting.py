"""Counts and locks of sign-in attempts: in live state, and in this process while that does not answer.

So a Redis that is away neither keeps people out nor lets somebody guess without end: each portal counts for itself.
"""

from __future__ import annotations

import time
from typing import Any

from madang.kernel.errors import Unavailable
from madang.kernel.live import Live

MOST_KEPT = 10_000  # keys; a flood of names makes the oldest forgotten, addresses are counted too


class Counting:
    """What Attempts needs of live state."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._here: dict[str, tuple[Any, float]] = {}

    async def get(self, key: str) -> Any | None:
        found = await self._live.get(key)
        return self._kept(key) if found is None else found

    async def put(self, key: str, value: Any, seconds: float) -> None:
        await self._live.put(key, value, seconds)
        if not self._live.reachable:
            self._keep(key, value, time.monotonic() + seconds)

    async def delete(self, key: str) -> None:
        self._here.pop(key, None)
        await self._live.delete(key)

    async def count(self, key: str, seconds: float) -> int:
        """Count one more; the count begins anew `seconds` after the first."""
        try:
            return await self._live.count(key, seconds)
        except Unavailable:
            before, until = (self._kept(key) or 0), self._here.get(key, (0, 0.0))[1]
            self._keep(key, before + 1, until if before else time.monotonic() + seconds)
            return int(before) + 1

    def _kept(self, key: str) -> Any | None:
        value, until = self._here.get(key, (None, 0.0))
        return value if time.monotonic() < until else None

    def _keep(self, key: str, value: Any, until: float) -> None:
        self._here[key] = (value, until)
        while len(self._here) > MOST_KEPT:
            del self._here[next(iter(self._here))]
