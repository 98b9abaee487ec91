"""What an operation changed before it failed is ours: it is followed, and said to be nobody else's doing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from madang.kernel.errors import Conflict, MadangError, Unavailable
from madang.kernel.ground import Ground
from madang.machines.hosts.shapes import Seen
from madang.machines.journal import Journal
from madang.machines.model import Machine, OperationState
from madang.machines.operations import Operations
from madang.machines.rules import Sight, Step, decide
from madang.machines.store import MachineStore, Quota
from madang.machines.work import Outcome, Room, Work
from tests.unit.machines.made import T0, machine, seen

ORDER = frozenset({"boot_order"})


class OneHost:
    """A host with one machine, whose order somebody changes."""

    connected = True

    def __init__(self) -> None:
        self.has = machine()

    async def look(self, _machine: str) -> Seen:
        return seen(self.has)


class House:
    def __init__(self, ground: Ground) -> None:
        self.store, self.journal = MachineStore(ground.database), Journal(ground.database, queue_most=3)
        self.host = OneHost()
        self.error: MadangError = Conflict("The second half failed.", code="half")
        self.operations = Operations(
            self.store, self.journal, "a", alone=lambda: True, beat_seconds=0.02, host_seconds=0.0
        )
        self.operations.host_of = lambda _machine: self.host  # type: ignore[assignment,return-value]
        self.operations.rooms = {"boot_order": Room(self.half, edits=True, alters=ORDER), "create": Room(self.half)}

    async def half(self, _work: Work) -> Outcome:
        self.host.has = msgspec.structs.replace(self.host.has, boot_order="hd")
        raise self.error

    async def machine(self) -> Machine:
        found = await self.store.get("m1")
        assert found is not None
        return found

    async def fail(self) -> None:
        operation = await self.operations.add(self.operations.draft(await self.machine(), "boot_order", "kim"))
        with pytest.raises(type(self.error)):
            await self.operations.wait(operation, 5)

    async def look(self, record: Machine) -> Machine:
        newest = await self.journal.newest("m1", 5)
        unsure = frozenset[str]().union(*(self.operations.alters(one) for one in newest))
        decision = decide(record, Sight(True, seen=seen(self.host.has), unsure=unsure), T0, 60.0)
        return msgspec.structs.replace(record, **decision.changes) if decision.step is not Step.NOTHING else record


@pytest.fixture
async def house(ground: Ground) -> AsyncIterator[House]:
    made = House(ground)
    created = made.operations.draft(made.host.has, "create", "kim")
    await made.store.add(made.host.has, msgspec.structs.replace(created, state=OperationState.DONE), Quota())
    yield made
    await made.operations.stop()
    await asyncio.sleep(0)


async def test_what_was_done_before_it_failed_is_in_the_record(house: House) -> None:
    before = await house.machine()
    await house.fail()
    after = await house.machine()
    assert (after.boot_order, after.outside) == ("hd", ()) and after.edition > before.edition
    assert await house.look(after) == after, "the next look finds nothing that it does not know"


async def test_of_a_lost_host_it_is_found_out_once_that_is_back(house: House) -> None:
    house.error = Unavailable("away", code="host_unreachable")
    await house.fail()
    unknown = await house.machine()
    assert unknown.boot_order == "cdrom_hd" and unknown.unknown_since is not None
    back = await house.look(unknown)
    assert (back.boot_order, back.outside, back.unknown_since) == ("hd", (), None)


async def test_what_it_could_not_have_done_is_somebody_elses(house: House) -> None:
    house.error = Unavailable("away", code="host_unreachable")
    await house.fail()
    house.host.has = msgspec.structs.replace(house.host.has, cpus=4)
    back = await house.look(await house.machine())
    assert (back.boot_order, back.cpus, back.outside) == ("hd", 4, ("cpus",))
