"""Who looks at a session through two portals, and doors that are closed in both."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from madang.doors.open_doors import OpenDoor, OpenDoors
from madang.doors.watchers import Closing, Watchers
from madang.kernel.events import Event, Events
from madang.kernel.live_embedded import EmbeddedLive

TELL_SECONDS = 0.1


class Portal:
    """The doors of one portal."""

    def __init__(self, file: Path, *, shared: bool = True) -> None:
        self.live = EmbeddedLive(file, shared=shared)
        self.events = Events(self.live)
        self.doors = OpenDoors()
        self.watchers = Watchers("vnc", self.doors, self.live, self.events, TELL_SECONDS)
        self.changes: list[str] = []
        self.watchers.changed.append(self.changes.append)
        self.looking: list[asyncio.Task[tuple[int, str] | None]] = []

    def look(self, session: str, name: str, **rights: str) -> asyncio.Task[tuple[int, str] | None]:
        """Somebody looks until their door is closed; gives what they were told."""

        async def still() -> bool:
            return True

        async def looking() -> tuple[int, str] | None:
            person = None if rights.get("via") == "link" else f"id-{name}"
            door = OpenDoor(None, session, person, None, still, name=name, **rights)  # type: ignore[arg-type]
            with contextlib.suppress(asyncio.CancelledError), self.doors.register(door):
                await asyncio.Event().wait()
            return door.closing

        self.looking.append(asyncio.create_task(looking()))
        return self.looking[-1]

    async def names(self, session: str) -> list[str]:
        return [watcher.name for watcher in await self.watchers.watchers(session)]

    async def stop(self) -> None:
        await self.watchers.stop()
        for task in self.looking:
            task.cancel()
        await asyncio.gather(*self.looking, return_exceptions=True)
        await self.events.stop()
        await self.live.stop()


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Portal, Portal]]:
    found = Portal(tmp_path / "live.sqlite3"), Portal(tmp_path / "live.sqlite3")
    for portal in found:
        await portal.live.start()
    yield found
    for portal in found:
        await portal.stop()


async def until(look, seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not await look():
            await asyncio.sleep(0.01)


async def test_all_portals_know_who_looks_through_any(pair: tuple[Portal, Portal]):
    one, other = pair
    one.look("s1", "kim")
    await asyncio.sleep(0.01)
    other.look("s1", "guest", via="link", mode="view", share="share1")
    other.look("s2", "lee", via="operator", mode="view")
    for portal in pair:

        async def both(portal: Portal = portal) -> bool:
            return await portal.names("s1") == ["kim", "guest"]

        await until(both)
        kim, guest = await portal.watchers.watchers("s1")
        assert (kim.via, kim.mode, kim.person, kim.share) == ("owner", "control", "id-kim", None)
        assert (guest.via, guest.mode, guest.person, guest.share) == ("link", "view", None, "share1")
        everybody = await portal.watchers.everybody()
        assert {session: [who.name for who in there] for session, there in everybody.items()} == {
            "s1": ["kim", "guest"],
            "s2": ["lee"],
        }
        assert (portal.watchers.count("s1"), portal.watchers.count("s2"), portal.watchers.count("s3")) == (2, 1, 0)


async def test_who_leaves_is_gone_at_once_and_a_change_is_said_once_by_its_own_portal(pair: tuple[Portal, Portal]):
    one, other = pair
    leaving = other.look("s1", "lee")

    async def seen() -> bool:
        return await one.names("s1") == ["lee"]

    await until(seen)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)

    async def gone() -> bool:
        return await one.names("s1") == [] and await other.names("s1") == []

    await until(gone, 1)
    await asyncio.sleep(0.05)
    assert (one.changes, other.changes) == ([], ["s1", "s1"])


async def test_who_looks_stays_known_for_long_and_is_forgotten_with_a_killed_portal(pair: tuple[Portal, Portal]):
    one, other = pair
    other.look("s1", "lee")
    await asyncio.sleep(6 * TELL_SECONDS)
    assert await one.names("s1") == ["lee"]
    other.watchers._telling.cancel()  # type: ignore[union-attr]  # as if it were killed: nothing is said any more

    async def gone() -> bool:
        return await one.names("s1") == []

    await until(gone)


async def test_a_revoked_share_is_closed_in_all_portals_and_nothing_else_is(pair: tuple[Portal, Portal]):
    one, other = pair
    pages: list[Event] = []
    kept = [one.look("s1", "kim"), other.look("s2", "guest", via="link", share="share2")]
    closed = [portal.look("s1", "guest", via="link", share="share1") for portal in pair]
    await asyncio.sleep(0.05)
    async with other.events.listen(lambda event: pages.append(event) is None, "kim"):
        await one.watchers.close(Closing(4003, "not shared any more", session="s1", share="share1"))
        async with asyncio.timeout(5):
            assert await asyncio.gather(*closed) == [(4003, "not shared any more")] * 2
    assert not any(task.done() for task in kept)
    assert pages == []


async def test_a_closing_that_names_nothing_closes_nothing(pair: tuple[Portal, Portal]):
    looking = pair[0].look("s1", "kim")
    await asyncio.sleep(0.01)
    await pair[0].watchers.close(Closing(4001, "over"))
    await asyncio.sleep(0.05)
    assert not looking.done()


async def test_alone_nothing_is_written(tmp_path: Path):
    alone = Portal(tmp_path / "live.sqlite3", shared=False)
    looking = alone.look("s1", "kim")
    await asyncio.sleep(3 * TELL_SECONDS)
    assert await alone.names("s1") == ["kim"]
    assert (alone.watchers.count("s1"), list(await alone.watchers.everybody()), alone.changes) == (1, ["s1"], ["s1"])
    await alone.watchers.close(Closing(4001, "over", session="s1"))
    assert await looking == (4001, "over")
    await alone.stop()
    assert not alone.live.file.exists()
