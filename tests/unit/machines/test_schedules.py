"""The loop of backups that come by themselves: once each, a few at once, also with two portals or one that was away."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from madang.identity.audit import Audit
from madang.identity.model import Visitor
from madang.kernel import clock
from madang.kernel.errors import Forbidden, SiteError
from madang.kernel.ground import Ground
from madang.machines.backup_work import Backing, backed_up
from madang.machines.catalogue import Catalogue
from madang.machines.fleet import Fleet
from madang.machines.journal import Journal
from madang.machines.model import Machine, OperationState, Schedule
from madang.machines.operations import Operations
from madang.machines.schedule import SiteSchedule
from madang.machines.schedules import Schedules
from madang.machines.service import Machines
from madang.machines.settings import MachinesSettings
from madang.machines.store import MachineStore, Quota
from madang.machines.suggestions import suggestions
from madang.machines.work import Outcome, Work
from tests.unit.machines.made import machine
from tests.unit.machines.test_operations import NoHost

DAY = 86_400.0
DAILY, OFF = Schedule("daily", 2, "sunday"), Schedule("off", 2, "sunday")


class Site:
    """Machines that are backed up daily, on a database, and portals of it. Only libvirt is a stand-in."""

    def __init__(self, ground: Ground, folder: Path) -> None:
        self.ground = ground
        self.folder = folder
        self.now = 1_700_000_000.0
        self.go = asyncio.Event()
        self.go.set()
        self.failing = False
        self.store = MachineStore(ground.database)
        self.journal = Journal(ground.database, queue_most=20)
        self.processes: list[Operations] = []

    def portal(self, name: str, site: SiteSchedule, **settings: Any) -> Schedules:
        limits = MachinesSettings(**settings)
        operations = Operations(
            self.store, self.journal, name, alone=lambda: False, beat_seconds=60.0, host_seconds=1.0
        )
        room = Backing(None, None, 1, 1).rooms()["backup"]  # type: ignore[arg-type]
        operations.rooms = {"backup": msgspec.structs.replace(room, run=self.back_up)}
        fleet = Fleet({}, self.folder, "qemu", 0)
        audit = Audit(self.ground)
        made = Machines(self.ground, limits, fleet, Catalogue([]), operations, self.store, self.journal, audit)
        operations.host_of = lambda _machine: NoHost()  # type: ignore[assignment,return-value]
        self.processes.append(operations)
        return Schedules(made, site)

    async def back_up(self, work: Work) -> Outcome:
        await self.go.wait()
        if self.failing:
            raise SiteError("no room", code="no_space")
        return Outcome(backed_up, {"backup": str(work.given["backup"])})

    async def add(self, name: str) -> Machine:
        record = machine(id=name, name=name, person_id="id-kim")
        operations = self.processes[0]
        made = msgspec.structs.replace(
            operations.draft(record, "create", "kim"), state=OperationState.DONE, ended_at=1.0, created_at=0.5
        )
        await self.store.add(record, made, Quota())
        return record

    async def backups(self) -> list[str]:
        """The machines that were backed up or are being, in order."""
        found = []
        for record in await self.store.all():
            found += [one for one in await self.journal.newest(record.id, 100) if one.kind == "backup"]
        return [one.machine_id for one in sorted(found, key=lambda one: one.created_at)]

    async def settled(self) -> None:
        async with asyncio.timeout(5):
            while await self.journal.open():
                await asyncio.sleep(0.01)


@pytest.fixture
async def site(ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = Site(ground, tmp_path)
    monkeypatch.setattr("madang.kernel.clock.now", lambda: made.now)
    yield made
    made.go.set()
    for process in made.processes:
        await process.stop()


def its(rule: str = "choose", usual: Schedule = DAILY) -> SiteSchedule:
    return SiteSchedule(rule, usual)  # type: ignore[arg-type]


async def test_a_machine_is_backed_up_when_its_time_has_come_and_then_the_next_day(site: Site):
    portal = site.portal("a", its())
    await site.add("m1")
    await portal.cycle()
    assert await site.backups() == []
    for count in (1, 2, 3):
        site.now += DAY
        await portal.cycle()
        await portal.cycle()
        await site.settled()
        assert await site.backups() == ["m1"] * count
    (newest, *_) = await site.journal.newest("m1", 1)
    assert newest.asked_by == "" and newest.state is OperationState.DONE


async def test_a_portal_that_was_away_catches_up_once(site: Site):
    portal = site.portal("a", its())
    await site.add("m1")
    await portal.cycle()
    site.now += 10 * DAY
    again = site.portal("b", its())
    for _ in range(3):
        await again.cycle()
        await site.settled()
    assert await site.backups() == ["m1"]
    plan = (await site.store.all())[0].plan
    assert plan.next_at is not None and clock.now() < plan.next_at <= clock.now() + DAY


async def test_two_portals_do_not_make_the_same_twice(site: Site):
    one, other = site.portal("a", its(), backups_at_once=100), site.portal("b", its(), backups_at_once=100)
    for number in range(5):
        await site.add(f"m{number}")
    await one.cycle()
    await other.cycle()
    site.now += DAY
    # Both have seen the same, and neither asks the other.
    await asyncio.gather(one.cycle(), other.cycle(), one.cycle(), other.cycle())
    await site.settled()
    assert sorted(await site.backups()) == [f"m{number}" for number in range(5)]


async def test_a_few_at_once_and_the_rest_when_those_are_done(site: Site):
    portal = site.portal("a", its(), backups_at_once=2)
    for number in range(5):
        await site.add(f"m{number}")
    await portal.cycle()
    site.now += DAY
    site.go.clear()
    for _ in range(3):
        await portal.cycle()
        assert len(await site.journal.open()) == 2
    site.go.set()
    for count in (4, 5, 5):
        await site.settled()
        await portal.cycle()
        await site.settled()
        assert len(await site.backups()) == count


async def test_its_owner_chooses_unless_the_site_has_decided(site: Site, kim: Visitor):
    portal = site.portal("a", its(usual=OFF))
    await site.add("m1")
    await portal.cycle()
    assert (await site.store.all())[0].plan.next_at is None
    chosen = await portal.choose(kim, "m1", DAILY)
    assert chosen.plan.next_at is not None and portal.shown(chosen) == DAILY
    assert (await portal.choose(kim, "m1", None)).plan.next_at is None
    for rule, usual, found in (("force", DAILY, DAILY), ("forbid", DAILY, OFF)):
        decided = site.portal(rule, its(rule, usual))
        with pytest.raises(Forbidden):
            await decided.choose(kim, "m1", OFF)
        await decided.cycle()
        now = (await site.store.all())[0]
        assert decided.shown(now) == found
        assert (now.plan.next_at is None) == (found is OFF)


async def test_a_failure_is_said_on_the_machine_until_one_is_made(site: Site):
    portal = site.portal("a", its())
    await site.add("m1")
    await portal.cycle()
    site.failing = True
    for failing in (True, False):
        site.failing = failing
        site.now += DAY
        await portal.cycle()
        await site.settled()
        now = (await site.store.all())[0]
        assert (now.plan.failure is not None) == failing
        assert ("backup_failed" in [one.code for one in suggestions(now)]) == failing
