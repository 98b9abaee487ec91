"""Who runs a loop, among processes that share live state. Processes that are killed: tests/daemons/kernel."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from madang.kernel import leases as leases_module
from madang.kernel.leases import Leases
from madang.kernel.live import LiveStateUnavailable
from madang.kernel.live_embedded import EmbeddedLive
from madang.kernel.loops import Loop

SECONDS = 0.3


async def until(look: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not look():
            await asyncio.sleep(0.005)


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[EmbeddedLive]:
    state = EmbeddedLive(tmp_path / "live.sqlite3", shared=True)
    await state.start()
    yield state
    await state.stop()


@pytest.fixture
async def two(live: EmbeddedLive) -> AsyncIterator[tuple[Leases, Leases]]:
    found = Leases(live, SECONDS, "one"), Leases(live, SECONDS, "two")
    yield found
    for leases in found:
        await leases.stop()


class Counted:
    """A loop that counts its cycles."""

    def __init__(self, leases: Leases | None, *, lease: bool = True) -> None:
        self.cycles = 0
        self.loop = Loop("counted", self._cycle, 0.01, lease=lease)
        self.loop.start(leases)

    async def _cycle(self) -> str:
        self.cycles += 1
        return ""


async def test_a_loop_runs_in_one_of_two(two: tuple[Leases, Leases]):
    one, other = (Counted(leases) for leases in two)
    await until(lambda: one.cycles + other.cycles > 10)
    assert 0 in (one.cycles, other.cycles)
    assert one.loop.runs_here != other.loop.runs_here
    idle = other if one.cycles else one
    idle.loop.wake()
    await asyncio.sleep(SECONDS)
    assert idle.cycles == 0
    for counted in (one, other):
        await counted.loop.stop()


async def test_a_lease_that_is_given_back_is_taken_at_once(two: tuple[Leases, Leases]):
    one = Counted(two[0])
    await until(lambda: one.cycles > 0)
    other = Counted(two[1])
    await one.loop.stop()
    await two[0].stop()
    await until(lambda: other.cycles > 0, SECONDS)
    await other.loop.stop()


async def test_loops_without_a_lease_run_everywhere(two: tuple[Leases, Leases]):
    everywhere = [Counted(leases, lease=False) for leases in two]
    await until(lambda: all(counted.cycles for counted in everywhere))
    for counted in everywhere:
        await counted.loop.stop()


async def test_each_loop_has_a_lease_of_its_own(two: tuple[Leases, Leases]):
    first = two[0].lease("first", lambda: None)
    await until(lambda: first.held)
    second = two[1].lease("second", lambda: None)
    again = two[1].lease("first", lambda: None)
    await until(lambda: second.held)
    assert first.held and not again.held


async def test_alone_a_lease_is_held_at_once_and_costs_nothing(tmp_path: Path):
    alone = EmbeddedLive(tmp_path / "live.sqlite3", shared=False)
    leases = Leases(alone, SECONDS)
    assert leases.lease("loop", lambda: None).held
    await asyncio.sleep(SECONDS)
    assert not alone.file.exists()
    await leases.stop()
    await alone.stop()


async def test_whoever_was_stopped_for_long_does_not_act_before_it_asked_again(
    two: tuple[Leases, Leases], monkeypatch: pytest.MonkeyPatch
):
    lease = two[0].lease("loop", lambda: None)
    await until(lambda: lease.held)
    real = leases_module.clock
    monkeypatch.setattr(leases_module, "clock", lambda: real() + 2 * SECONDS)
    assert not lease.held


class Unreachable:
    """Live state that does not answer while it is told so."""

    shared = True

    def __init__(self, live: EmbeddedLive) -> None:
        self._live = live
        self.away = False

    async def hold(self, *arguments):
        if self.away:
            raise LiveStateUnavailable("away")
        return await self._live.hold(*arguments)

    async def release(self, *arguments) -> None:
        await self._live.release(*arguments)


async def test_without_live_state_loops_run_everywhere_and_afterwards_in_one_again(live: EmbeddedLive):
    away = Unreachable(live)
    two = [Leases(away, SECONDS, name) for name in ("one", "two")]
    held = [leases.lease("loop", lambda: None) for leases in two]
    await until(lambda: any(lease.held for lease in held))
    away.away = True
    gaps = 0
    async with asyncio.timeout(5):
        while not all(lease.held for lease in held):
            gaps += not any(lease.held for lease in held)
            await asyncio.sleep(0.005)
    assert gaps <= 2
    away.away = False
    await until(lambda: sum(lease.held for lease in held) == 1)
    for leases in two:
        await leases.stop()


async def test_when_live_state_is_emptied_somebody_goes_on(live: EmbeddedLive, two: tuple[Leases, Leases]):
    held = [leases.lease("loop", lambda: None) for leases in two]
    await until(lambda: any(lease.held for lease in held))
    await live.delete("lease:loop")
    gaps = 0
    for _ in range(60):
        gaps += not any(lease.held for lease in held)
        await asyncio.sleep(0.01)
    assert gaps == 0
    assert sum(lease.held for lease in held) == 1
