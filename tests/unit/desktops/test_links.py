"""When agents were heard, by whichever portal."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from madang.compute.order import Pulse
from madang.desktops import links as links_module
from madang.desktops import pulses as pulses_module
from madang.desktops.links import Links
from madang.desktops.pulses import Pulses
from madang.kernel.live_embedded import EmbeddedLive

HEARTBEAT, SILENT, LOOK = 8.0, 20.0, 3.0


class Clock:
    """Stands in for the module `time`, of one portal."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


class Portal:
    def __init__(self, file: Path, *, shared: bool = True) -> None:
        self.live = EmbeddedLive(file, shared=shared)
        self.pulses = Pulses(self.live, "vnc")
        self.links = Links(self.pulses, fresh_seconds=2 * HEARTBEAT, keep_seconds=HEARTBEAT + SILENT, look_seconds=LOOK)

    def connect(self, session: str) -> None:
        self.links._links[session] = object()  # type: ignore[assignment]
        self.links.saw(session)

    def disconnect(self, session: str) -> None:
        del self.links._links[session]
        self.pulses.unlinked(session, HEARTBEAT + SILENT)

    async def written(self) -> None:
        while self.pulses._writing is not None:
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        await self.pulses.stop()
        await self.live.stop()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(links_module, "time", found)
    monkeypatch.setattr(pulses_module, "GATHER_SECONDS", 0.005)
    return found


@pytest.fixture
async def pair(clock: Clock, tmp_path: Path) -> AsyncIterator[tuple[Portal, Portal]]:
    found = Portal(tmp_path / "live.sqlite3"), Portal(tmp_path / "live.sqlite3")
    yield found
    for portal in found:
        await portal.stop()


async def goes_on(clock: Clock, hearing: Portal | None, looking: Portal, seconds: float) -> None:
    """The one portal hears an agent at each heartbeat, the other one looks after all sessions."""
    end = clock.now + seconds
    heartbeat = clock.now
    while clock.now < end:
        clock.now += 1
        if hearing and clock.now >= heartbeat + HEARTBEAT:
            heartbeat = clock.now
            hearing.links.saw("s1")
            await hearing.pulses.put("s1", Pulse(at=clock.now), 0, HEARTBEAT + SILENT)
            await hearing.written()
        if clock.now % LOOK == 0:
            await looking.links.refresh({"s1"})


def silence(clock: Clock, portal: Portal) -> float:
    return clock.now - portal.links.seen_at("s1")


async def test_an_agent_of_another_portal_is_seen_as_connected(clock: Clock, pair: tuple[Portal, Portal]):
    one, other = pair
    await one.links.refresh()
    other.connect("s1")
    for _ in range(10):
        await goes_on(clock, other, one, HEARTBEAT)
        assert one.links.linked("s1")
        assert silence(clock, one) <= HEARTBEAT + LOOK
    assert (await one.pulses.get("s1")) is not None


async def test_an_agent_that_falls_silent_at_another_portal_is_silent(clock: Clock, pair: tuple[Portal, Portal]):
    one, other = pair
    await one.links.refresh()
    other.connect("s1")
    await goes_on(clock, other, one, 3 * HEARTBEAT)
    await goes_on(clock, None, one, 2 * SILENT)
    assert silence(clock, one) > SILENT
    assert not one.links.linked("s1")


async def test_a_link_that_ends_at_another_portal_is_no_link(clock: Clock, pair: tuple[Portal, Portal]):
    one, other = pair
    await one.links.refresh()
    other.connect("s1")
    await goes_on(clock, other, one, 2 * HEARTBEAT)
    other.disconnect("s1")
    await other.written()
    await one.links.refresh()
    assert not one.links.linked("s1")


async def test_when_live_state_is_emptied_silence_counts_from_then(clock: Clock, pair: tuple[Portal, Portal]):
    """Just after a heartbeat was kept that nobody had seen yet."""
    one, other = pair
    await one.links.refresh()
    other.connect("s1")
    await goes_on(clock, other, one, 3 * HEARTBEAT)
    clock.now += HEARTBEAT
    os.unlink(one.live.file)
    await one.links.refresh()
    assert silence(clock, one) == 0
    await goes_on(clock, None, one, SILENT / 2)
    assert silence(clock, one) <= SILENT / 2 + LOOK


async def test_while_live_state_is_away_nothing_of_others_is_silent_but_ones_own_is(
    clock: Clock, pair: tuple[Portal, Portal]
):
    one, other = pair
    one.connect("own")
    other.connect("s1")
    await goes_on(clock, other, one, 3 * HEARTBEAT)
    one.live._broken = True
    one.live._try = lambda work: (_ for _ in ()).throw(one.live._unavailable(OSError("away")))  # type: ignore[method-assign]
    await goes_on(clock, None, one, 3 * SILENT)
    assert silence(clock, one) <= LOOK
    assert clock.now - one.links.seen_at("own") > 3 * SILENT


async def test_whoever_takes_over_counts_silence_from_then(clock: Clock, pair: tuple[Portal, Portal]):
    one, other = pair
    await one.links.refresh()
    clock.now += 3600  # another portal ran the loop
    assert (silence(clock, one), one.links.linked("s1")) == (0, False)
    await one.links.refresh()
    assert silence(clock, one) == 0
    await goes_on(clock, None, one, SILENT)
    assert silence(clock, one) >= SILENT - LOOK
    del other


async def test_a_portal_that_was_stopped_does_not_take_its_own_agents_for_silent(clock: Clock, pair):
    one, _ = pair
    one.connect("s1")
    await one.links.refresh()
    clock.now += 600
    await one.links.refresh()
    assert silence(clock, one) == 0


async def test_clocks_of_portals_may_differ(clock: Clock, pair: tuple[Portal, Portal], monkeypatch: pytest.MonkeyPatch):
    one, other = pair
    monkeypatch.setattr(pulses_module.clock, "now", lambda: clock.now - 300)
    await one.links.refresh()
    other.connect("s1")
    await goes_on(clock, other, one, 3 * HEARTBEAT)
    assert one.links.linked("s1")
    assert silence(clock, one) <= HEARTBEAT + LOOK


async def test_alone_live_state_is_not_asked(clock: Clock, tmp_path: Path):
    alone = Portal(tmp_path / "live.sqlite3", shared=False)
    alone.connect("s1")
    await goes_on(clock, None, alone, 2 * SILENT)
    assert silence(clock, alone) >= 2 * SILENT - LOOK  # from the first look on
    assert not alone.live.file.exists()
    await alone.stop()


async def test_what_does_not_run_any_more_is_forgotten(clock: Clock, pair: tuple[Portal, Portal]):
    one, other = pair
    one.links.saw("gone")
    one.connect("connected meanwhile")
    other.connect("s1")
    await other.written()
    await one.links.refresh({"s1"})
    assert set(one.links._seen) == {"connected meanwhile"} and set(one.links._elsewhere) >= {"s1"}
    await one.links.refresh(set())
    assert "s1" not in one.links._elsewhere
