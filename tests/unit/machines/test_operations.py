"""Operations: one at a time, in order, cancelled, and carried on by whoever comes next."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from madang.kernel.errors import Conflict, LimitReached, Unavailable
from madang.kernel.ground import Ground
from madang.machines.journal import Journal
from madang.machines.model import Machine, Operation, OperationState, State
from madang.machines.operations import IDLE_BEATS, Operations
from madang.machines.store import MachineStore, Quota, Stale, StaleEdit
from madang.machines.work import Outcome, Room, Work
from tests.unit.machines.made import machine


class NoHost:
    """Stands for a host that is asked nothing."""

    connected = True

    async def look(self, _machine: str) -> None:
        raise Unavailable("nobody looks", code="host_unreachable")


class House:
    """A database with one machine, and processes that work on it."""

    def __init__(self, ground: Ground) -> None:
        self.store = MachineStore(ground.database)
        self.journal = Journal(ground.database, queue_most=3)
        self.did: list[str] = []
        self.go = asyncio.Event()
        self.alone = False
        self.made: list[Operations] = []

    def process(self, name: str) -> Operations:
        made = Operations(self.store, self.journal, name, alone=lambda: self.alone, beat_seconds=0.02, host_seconds=1.0)
        made.host_of = lambda _machine: NoHost()  # type: ignore[assignment,return-value]
        made.rooms = {
            "quick": Room(self.work("quick")),
            "slow": Room(self.work("slow", wait=True), can_cancel=True),
            "edit": Room(self.work("edit"), edits=True),
            "once": Room(self.work("once", wait=True), repeatable=False),
            "undone": Room(self.work("undone"), can_cancel=True, undo=self.undo),
            "wrong": Room(self.fail),
            "lost": Room(self.lose),
            "create": Room(self.fail),
            "kept": Room(self.work("kept"), dropped=self.drop),
        }
        self.made.append(made)
        return made

    async def drop(self, operation: Operation) -> None:
        self.did.append(f"dropped {operation.kind}")

    def work(self, name: str, *, wait: bool = False) -> Callable[[Work], Any]:
        async def run(work: Work) -> Outcome:
            self.did.append(f"{name} again" if work.again else name)
            if wait:
                await self.go.wait()
            return Outcome(lambda _machine, _seen: {"notes": name}, {"answer": 42})

        return run

    async def undo(self, work: Work) -> bool:
        self.did.append("undo")
        return not work.given.get("late")

    async def fail(self, _work: Work) -> Outcome:
        raise Conflict("It is not possible.", code="impossible")

    async def lose(self, work: Work) -> Outcome:
        self.did.append("lost again" if work.again else "lost")
        if not work.again:
            raise Unavailable("away", code="host_unreachable")
        return Outcome()

    async def states(self) -> list[str]:
        return [one.state.value for one in reversed(await self.journal.newest("m1", 50))]

    async def until(self, *states: str) -> None:
        async with asyncio.timeout(5):
            while await self.states() != list(states):
                await asyncio.sleep(0.01)


@pytest.fixture
async def house(ground: Ground):
    made = House(ground)
    now = machine()
    made_it = msgspec.structs.replace(
        made.process("first").draft(now, "create", "kim"), state=OperationState.DONE, ended_at=1.0, created_at=0.5
    )
    await made.store.add(now, made_it, Quota())
    yield made
    made.go.set()
    for process in made.made:
        await process.stop()


async def its(house: House) -> Machine:
    found = await house.store.get("m1")
    assert found is not None
    return found


async def add(house: House, process: Operations, kind: str, etag: str | None = None) -> Operation:
    return await process.add(process.draft(await its(house), kind, "kim"), etag)


async def test_the_outcome_is_stored_with_the_machine(house: House):
    process = house.process("a")
    over = await process.wait(await add(house, process, "quick"), 5)
    assert (over.state, over.result) == (OperationState.DONE, {"answer": 42})
    assert (await its(house)).notes == "quick"


async def test_what_fails_is_raised_and_can_be_read_later(house: House):
    process = house.process("a")
    operation = await add(house, process, "wrong")
    with pytest.raises(Conflict, match="not possible"):
        await process.wait(operation, 5)
    (kept,) = [one for one in await house.journal.newest("m1", 5) if one.kind == "wrong"]
    assert kept.failure is not None and kept.failure.code == "impossible"


async def test_one_at_a_time_in_the_order_they_were_asked_for(house: House):
    process = house.process("a")
    slow = await add(house, process, "slow")
    for _ in range(3):
        waiting = await add(house, process, "quick")
        assert waiting.state is OperationState.QUEUED
        await asyncio.sleep(0.002)
    with pytest.raises(LimitReached):
        await add(house, process, "quick")
    assert house.did == ["slow"]
    house.go.set()
    await process.wait(slow, 5)
    await house.until("done", "done", "done", "done", "done")
    assert house.did == ["slow", "quick", "quick", "quick"]


async def test_one_that_waits_is_cancelled_at_once_and_one_at_work_where_it_can_be(house: House):
    process = house.process("a")
    slow, waiting = await add(house, process, "slow"), await add(house, process, "quick")
    cancelled = await process.cancel("m1", waiting.id)
    assert cancelled is not None and cancelled.state is OperationState.CANCELLED
    await process.cancel("m1", slow.id)
    assert (await process.wait(slow, 5)).state is OperationState.CANCELLED
    assert house.did == ["slow"] and await process.cancel("m1", "none") is None


async def test_one_that_is_cancelled_before_it_began_is_dropped_once(house: House):
    process = house.process("a")
    slow, waiting = await add(house, process, "slow"), await add(house, process, "kept")
    for _again in range(2):
        await process.cancel("m1", waiting.id)
    assert house.did == ["slow", "dropped kept"]
    house.go.set()
    await process.wait(slow, 5)
    done = await add(house, process, "kept")
    await process.wait(done, 5)
    await process.cancel("m1", done.id)
    assert house.did == ["slow", "dropped kept", "kept"]


async def test_another_process_asks_for_a_cancel_too(house: House):
    here, there = house.process("a"), house.process("b")
    slow = await add(house, here, "slow")
    await there.cancel("m1", slow.id)
    await here.cycle()
    assert (await here.wait(slow, 5)).state is OperationState.CANCELLED


async def test_one_that_is_cancelled_before_its_first_step_is_not_done(house: House):
    process = house.process("a")
    slow = await process.add(process.draft(await its(house), "slow", "kim"))
    process._cancel_here(msgspec.structs.replace(slow, cancel=True))  # before the loop gets to it
    assert (await process.wait(slow, 5)).state is OperationState.CANCELLED
    assert house.did == []


async def test_what_a_killed_process_left_is_done_again_once_its_beat_stands_still(house: House):
    dead, alive = house.process("dead"), house.process("alive")
    await house.journal.add(dead.draft(await its(house), "quick", "kim"), "dead")
    await alive.cycle()
    assert house.did == [], "it may be at work"
    async with asyncio.timeout(5):
        while "quick again" not in house.did:
            await alive.cycle()
            await asyncio.sleep(0.02)
    await house.until("done", "done")


async def test_alone_nobody_else_can_be_at_work(house: House):
    house.alone = True
    alive = house.process("alive")
    await house.journal.add(alive.draft(await its(house), "quick", "kim"), "dead")
    await alive.cycle()
    await house.until("done", "done")
    assert house.did == ["quick again"]


async def test_alone_what_a_request_left_behind_is_found_after_a_rest(house: House):
    house.alone = True
    here = house.process("here")
    await here.cycle()  # nothing is open
    await house.journal.add(here.draft(await its(house), "quick", "kim"), "here")  # and nobody begins with it
    for _ in range(IDLE_BEATS):
        await here.cycle()
    assert house.did == []
    await here.cycle()
    await house.until("done", "done")


async def test_what_beats_is_left_alone(house: House):
    here, there = house.process("a"), house.process("b")
    slow = await add(house, here, "slow")
    for _ in range(10):
        await here.cycle()
        await there.cycle()
        await asyncio.sleep(0.02)
    assert house.did == ["slow"]
    house.go.set()
    await here.wait(slow, 5)


async def test_a_process_that_stops_leaves_its_work_to_the_next_one(house: House):
    stops, goes_on = house.process("a"), house.process("b")
    await add(house, stops, "slow")
    async with asyncio.timeout(5):
        while house.did != ["slow"]:
            await asyncio.sleep(0.01)
    await stops.stop()
    house.go.set()
    await goes_on.cycle()
    await house.until("done", "done")
    assert house.did == ["slow", "slow again"]


async def test_what_may_not_be_repeated_has_failed_when_it_was_cut_off(house: House):
    house.alone = True
    alive = house.process("alive")
    await house.journal.add(alive.draft(await its(house), "once", "kim"), "dead")
    await alive.cycle()
    await house.until("done", "failed")
    assert house.did == []


@pytest.mark.parametrize(
    ("late", "did", "state"), [(False, ["undo"], "cancelled"), (True, ["undo", "undone again"], "done")]
)
async def test_what_a_killed_process_had_begun_and_is_cancelled_is_undone_while_it_can_be(
    house: House, late: bool, did: list[str], state: str
):
    house.alone = True
    alive = house.process("alive")
    left = await house.journal.add(alive.draft(await its(house), "undone", "kim", {"late": late}), "dead")
    await house.journal.ask_to_cancel("m1", left.id)
    await alive.cycle()
    await house.until("done", state)
    assert house.did == did


async def test_a_host_that_is_lost_in_the_middle_and_back_soon_is_asked_again(house: House):
    process = house.process("a")
    assert (await process.wait(await add(house, process, "lost"), 5)).state is OperationState.DONE
    assert house.did == ["lost", "lost again"]


async def test_a_machine_that_cannot_be_made_says_why(house: House):
    process = house.process("a")
    with pytest.raises(Conflict):
        await process.wait(await add(house, process, "create"), 5)
    failed = await its(house)
    assert failed.state is State.FAILED and failed.failure is not None and failed.failure.code == "impossible"


async def test_of_two_edits_on_the_same_edition_the_later_one_is_told_also_while_the_first_one_waits(house: House):
    process = house.process("a")
    await add(house, process, "slow")
    seen = str((await its(house)).edition)
    assert (await add(house, process, "edit", seen)).state is OperationState.QUEUED
    with pytest.raises(StaleEdit):
        await add(house, process, "edit", seen)


async def test_what_follows_from_a_look_is_stored_with_it_or_not_at_all(house: House):
    process = house.process("a")
    old = await its(house)
    await house.store.change(old, notes="changed meanwhile")
    with pytest.raises(Stale):
        await process.follow(process.draft(old, "quick", ""), old, {"name": "seen"})
    slow = await add(house, process, "slow")
    now = await its(house)
    with pytest.raises(Stale):  # something is at work on it already
        await process.follow(process.draft(now, "quick", ""), now, {"name": "seen"})
    house.go.set()
    await process.wait(slow, 5)
    now = await its(house)
    assert now.name == "web" and house.did == ["slow"]
    assert (await process.follow(process.draft(now, "quick", ""), now, {"name": "seen"})).name == "seen"
    await house.until("done", "done", "done")
    assert house.did == ["slow", "quick"]
