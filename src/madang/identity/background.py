"""Writes that no request waits for: when somebody was last seen, the trail of what was refused.

They are gathered and written together in one transaction. While another writer holds the database they wait; what
was tried often enough is given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Executable

from madang.kernel.database import Database, retried
from madang.kernel.errors import MadangError
from madang.kernel.ground import Ground
from madang.kernel.log import logger

log = logger("identity")
Shared = TypeVar("Shared")


@dataclass
class _Entry:
    statement: Executable
    tries: int
    lost: Callable[[], None]


class Background:
    """Gathers statements and writes them soon."""

    MOST = 10_000
    AGAIN_SECONDS = 1.0
    STOP_SECONDS = 2.0

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, _Entry] = {}
        self._task: asyncio.Task[None] | None = None

    def put(self, key: str, statement: Executable, *, tries: int, lost: Callable[[], None]) -> None:
        """Write the statement soon, in place of one that waits under the same key. `lost` is called if it cannot be."""
        if key not in self._waiting and len(self._waiting) >= self.MOST:
            lost()
            return
        self._waiting[key] = _Entry(statement, tries, lost)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="identity background")

    async def settled(self) -> None:
        """Wait until nothing waits any more, at the most for the tries that are left."""
        while self._task is not None and not self._task.done():
            await asyncio.wait({self._task})

    async def stop(self) -> None:
        """Write what waits, or give it up: no longer than STOP_SECONDS and the one wait for a writer under way."""
        if self._task is None:
            return
        _, unfinished = await asyncio.wait({self._task}, timeout=self.STOP_SECONDS)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)

    async def _run(self) -> None:
        batch: dict[str, _Entry] = {}
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, {}
                await self._try(batch)
                batch = {}
        except asyncio.CancelledError:
            for entry in (*batch.values(), *self._waiting.values()):
                entry.lost()
            raise

    async def _try(self, batch: dict[str, _Entry]) -> None:
        if await self._write(batch):
            return
        for key in list(batch):
            entry = batch.pop(key)
            entry.tries -= 1
            if entry.tries > 0:
                self._waiting.setdefault(key, entry)
            else:
                entry.lost()
        await asyncio.sleep(self.AGAIN_SECONDS)

    async def _write(self, batch: dict[str, _Entry]) -> bool:
        try:
            await self._write_all(batch)
        except MadangError:
            return False
        except Exception:
            log.exception("writing in the background failed", statements=len(batch))
            return False
        return True

    @retried
    async def _write_all(self, batch: dict[str, _Entry]) -> None:
        # Where nobody knows whether it was kept it is written again: a trail had rather an entry twice than none.
        async with self._database.write() as connection:
            for entry in batch.values():
                await connection.execute(entry.statement)


def once_per_ground(make: Callable[[Ground], Shared]) -> Callable[[Ground], Shared]:
    """`make`, giving the same object to all who stand on one ground."""
    made: WeakKeyDictionary[Ground, Shared] = WeakKeyDictionary()

    def given(ground: Ground) -> Shared:
        if ground not in made:
            made[ground] = make(ground)
        return made[ground]

    return given


background_of = once_per_ground(lambda ground: Background(ground.database))
