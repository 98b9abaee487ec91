"""Who looks at which session, through whichever portal; and how doors are closed in all of them.

Each portal keeps a record of each of its doors in live state, as `watch:<service>:<session>:<door>`, and says every
`live.tell_seconds` that it is still open; what it did not say again is gone after three times as long, so with a
killed portal those who looked through it are. Alone there is nobody to tell, and nothing is written.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from madang.doors.open_doors import Mode, OpenDoor, OpenDoors, Via
from madang.kernel.clock import iso
from madang.kernel.events import Event, Events
from madang.kernel.live import Live
from madang.kernel.log import logger

log = logger("doors")
FORGOTTEN_AFTER = 3  # times that a door was not said to be open


class Watcher(msgspec.Struct, frozen=True):
    """Somebody who looks at a session now. `person`: their id, None for a guest; `share`: the link they came by."""

    id: str
    name: str
    mode: Mode
    since: str
    via: Via
    person: str | None = None
    share: str | None = None


class Closing(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which doors to close, those to which all that is given applies, and what their pages are told."""

    code: int
    reason: str
    session: str | None = None
    share: str | None = None
    watcher: str | None = None
    person: str | None = None
    via: Via | None = None

    def applies(self, door: OpenDoor) -> bool:
        wanted = (self.session, self.share, self.watcher, self.person, self.via)
        real = (door.session, door.share, door.id, door.person, door.via)
        return any(wanted) and all(want in (None, is_) for want, is_ in zip(wanted, real, strict=True))


class Watchers:
    """The doors of one service, of all portals."""

    def __init__(self, service: str, doors: OpenDoors, live: Live, events: Events, tell_seconds: float) -> None:
        self._prefix = f"watch:{service}:"
        self._closing = f"{service}.doors.close"
        self._doors = doors
        self._live = live
        self._events = events
        self._tell_seconds = tell_seconds
        self._others: dict[str, dict[str, Watcher]] = {}
        self._read_at = 0.0
        self._reading = False
        self._telling: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False
        # Called with a session's id when somebody begins or ceases to look at it through this portal.
        self.changed: list[Callable[[str], None]] = []
        doors.changed.append(self._door_changed)
        events.on(self._closing, self._close_here)

    async def stop(self) -> None:
        """Whoever still looks is cut with this portal."""
        self._stopped = True
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._live.shared:
            for door in self._doors.all():
                await self._live.delete(self._key(door))

    async def watchers(self, session: str) -> list[Watcher]:
        """Who looks at it now, the first to come first."""
        found = {door.id: _watcher(door) for door in self._doors.all() if door.session == session}
        if self._live.shared:
            records = await self._live.get_many(f"{self._prefix}{session}:")
            found = {key.rpartition(":")[2]: msgspec.convert(value, Watcher) for key, value in records.items()} | found
        return sorted(found.values(), key=_by_time)

    async def everybody(self) -> dict[str, list[Watcher]]:
        """The same of every session that is looked at, at the cost of one question."""
        if self._live.shared:
            await self._read()
        found = {session: dict(there) for session, there in self._others.items()}
        for door in self._doors.all():
            found.setdefault(door.session, {})[door.id] = _watcher(door)
        return {session: sorted(there.values(), key=_by_time) for session, there in found.items()}

    def count(self, session: str) -> int:
        """How many look at it, at once; of other portals as of a moment ago."""
        if self._live.shared and not self._reading and time.monotonic() - self._read_at > self._tell_seconds:
            self._reading = True
            self._begin(self._read())
        here = {door.id for door in self._doors.all() if door.session == session}
        return len(here | self._others.get(session, {}).keys())

    async def close(self, closing: Closing) -> None:
        """Close doors here and at the other portals; those are told without waiting for them."""
        await self._events.call(self._closing, closing)

    async def _close_here(self, event: Event) -> None:
        closing = msgspec.json.decode(event.data, type=Closing)
        self._doors.close_where(closing.applies, closing.code, closing.reason)

    def _door_changed(self, door: OpenDoor, opened: bool) -> None:
        if not self._stopped:
            self._begin(self._say_changed(door, opened))
            if opened and self._live.shared and self._telling is None:
                self._telling = self._begin(self._tell())

    async def _say_changed(self, door: OpenDoor, opened: bool) -> None:
        if self._live.shared:
            if opened:
                await self._put([door])
            else:
                self._others.get(door.session, {}).pop(door.id, None)
                await self._live.delete(self._key(door))
        for changed in self.changed:
            changed(door.session)

    async def _tell(self) -> None:
        while doors := self._doors.all():
            await asyncio.sleep(self._tell_seconds)
            await self._put([door for door in doors if door in self._doors])
        self._telling = None

    async def _put(self, doors: list[OpenDoor]) -> None:
        records = {self._key(door): _watcher(door) for door in doors}
        await self._live.put_many(records, self._tell_seconds * FORGOTTEN_AFTER)
        for door in doors:
            if door not in self._doors:  # closed while it was written
                await self._live.delete(self._key(door))

    async def _read(self) -> None:
        self._reading = True
        try:
            records = await self._live.get_many(self._prefix)
        finally:
            self._reading = False
        self._read_at = time.monotonic()
        own = {door.id for door in self._doors.all()}
        self._others = {}
        for key, value in records.items():
            session, _, door = key.removeprefix(self._prefix).rpartition(":")
            if door not in own:
                self._others.setdefault(session, {})[door] = msgspec.convert(value, Watcher)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("who looks cannot be told", exc_info=error)

    def _key(self, door: OpenDoor) -> str:
        return f"{self._prefix}{door.session}:{door.id}"


def _watcher(door: OpenDoor) -> Watcher:
    return Watcher(door.id, door.name, door.mode, iso(door.since), door.via, door.person, door.share)


def _by_time(watcher: Watcher) -> tuple[str, str]:
    return watcher.since, watcher.id
