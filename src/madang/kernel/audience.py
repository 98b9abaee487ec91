"""Whose pages are open in other portals, so that what nobody hears need not be told.

A portal with pages says whose they are when that changes and every `live.tell_seconds`; what it said counts for three
times as long. Until every portal that is there had the time to answer, everybody counts as listening.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from madang.kernel.pauses import pause

MESSAGE = "audience"
FORGOTTEN_AFTER = 3  # times that a portal was not heard
ANSWER_SECONDS = 2.0  # how long portals take to answer, far above what they need
GATHER_SECONDS = 0.1  # of several pages that open at once the portal tells once

Call = Callable[[str, Any], Awaitable[None]]


class Audience:
    """The pages of this process, and what is known of those of others."""

    def __init__(self, call: Call, tell_seconds: float) -> None:
        """`call(name, data)` tells the other processes."""
        self._call = call
        self._tell_seconds = tell_seconds
        self._me = secrets.token_hex(8)
        self._own: Counter[str | None] = Counter()
        self._others: dict[str, tuple[frozenset[str | None], float]] = {}
        self._asked = 0.0
        self._asks = False
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def page(self, person: str | None) -> Iterator[None]:
        """A page of this person is open; None: it hears of everybody."""
        self._own[person] += 1
        self._tell_if(self._own[person] == 1)
        try:
            yield
        finally:
            self._own[person] -= 1
            if not self._own[person]:
                del self._own[person]
            self._tell_if(person not in self._own)

    def elsewhere(self, person: str | None) -> bool:
        """Whether another process may have a page that hears of this person."""
        if not self._asked:
            self._ask()
        now = time.monotonic()
        if now - self._asked < ANSWER_SECONDS:
            return True
        return any(now < until and not persons.isdisjoint((None, person)) for persons, until in self._others.values())

    def gap(self) -> None:
        """Messages may have been missed: what is known may be wrong, here and there."""
        self._others.clear()
        if self._asked:
            self._ask()
        else:
            self._tell_if(bool(self._own))

    def _ask(self) -> None:
        self._asked, self._asks = time.monotonic(), True
        self._tell_if(True)

    def hear(self, said: dict[str, Any]) -> None:
        """What another process tells or asks."""
        if said["pages"]:
            until = time.monotonic() + self._tell_seconds * FORGOTTEN_AFTER
            self._others[said["portal"]] = (frozenset(said["pages"]), until)
        else:
            self._others.pop(said["portal"], None)
        if said["asks"]:
            self._tell_if(bool(self._own))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._own:
            self._own.clear()
            await self._say()

    def _tell_if(self, wanted: bool) -> None:
        if not wanted:
            return
        self._changed.set()
        if self._task is None:
            self._task = asyncio.create_task(self._tell(), name="audience")

    async def _tell(self) -> None:
        while True:
            # With no page there is nothing to repeat.
            await pause(self._tell_seconds if self._own else None, self._changed)
            await asyncio.sleep(GATHER_SECONDS)
            self._changed.clear()
            await self._say()

    async def _say(self) -> None:
        asks, self._asks = self._asks, False
        await self._call(MESSAGE, {"portal": self._me, "pages": list(self._own), "asks": asks})
