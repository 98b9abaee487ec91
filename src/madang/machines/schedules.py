"""Backups that come by themselves: the loop that begins them, and what their owners choose."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from madang.identity.model import Visitor
from madang.kernel import clock
from madang.kernel.errors import Conflict, Forbidden, LimitReached, NotFound
from madang.kernel.log import logger
from madang.kernel.loops import Loop
from madang.kernel.settings import SiteSettings
from madang.machines.backups import new_id
from madang.machines.model import Machine, Operation, Schedule
from madang.machines.schedule import SiteSchedule, begun, in_force, is_due, timed
from madang.machines.service import Machines
from madang.machines.settings import MachinesSettings
from madang.machines.store import Stale

log = logger("machines")
TRIES = 10


def site_schedule(site: SiteSettings, limits: MachinesSettings) -> SiteSchedule:
    usual = Schedule(limits.every, limits.backup_hour, limits.weekday)
    return SiteSchedule(limits.rule, usual, ZoneInfo(site.time_zone) if site.time_zone else None)


class Schedules:
    def __init__(self, machines: Machines, site: SiteSchedule) -> None:
        self.site = site
        self._machines = machines
        self._known: dict[str, Machine] = {}
        self.loop = Loop("machines backups", self.cycle, machines.settings.backup_look_seconds, lease=True)

    # What owners do.

    @property
    def zone(self) -> str:
        """The site's time zone, as people call it."""
        return str(self.site.zone or datetime.fromtimestamp(clock.now()).astimezone().tzname())

    async def of(self, visitor: Visitor, machine_id: str) -> Machine:
        return await self._machines.managed(visitor, machine_id)

    async def choose(self, visitor: Visitor, machine_id: str, own: Schedule | None) -> Machine:
        """When this machine is backed up by itself; None: whenever the site's are. Raises NotFound, Forbidden."""
        for _ in range(TRIES):
            machine = await self._machines.managed(visitor, machine_id)
            if self.site.rule != "choose":
                raise Forbidden(
                    "This site decides when machines are backed up by themselves.",
                    code="schedule_fixed",
                    hint="Make one by hand whenever you like.",
                )
            plan = timed(msgspec.structs.replace(machine.plan, own=own), self.site, clock.now())
            try:
                machine = await self._machines.note(machine, backup_plan=plan)
            except Stale:
                continue
            said = f"{machine.name}; {own.every}, {own.hour}:00" if own else f"{machine.name}; as the site's"
            await self._machines.audit.record(
                "machine.backup_schedule",
                person=visitor.person,
                object=machine.id,
                address=visitor.address,
                detail=said,
            )
            return machine
        raise Conflict("It changes all the time just now.", code="machine_busy", hint="Try again in a moment.")

    # What comes by itself.

    async def cycle(self) -> str:
        """Begin what is due, a few at once. A portal that was away for long finds all of it due, once each."""
        now = clock.now()
        self._known = {machine.id: machine for machine in await self._machines.store.all(self._known)}
        for machine in tuple(self._known.values()):
            await self._time(machine, now)
        due = sorted((one for one in self._known.values() if is_due(one, now)), key=lambda one: one.plan.next_at or 0)
        if not due:
            return ""
        at_work = [one for one in await self._machines.journal.open() if is_by_itself(one)]
        free = max(0, self._machines.settings.backups_at_once - len(at_work))
        begun_now = [machine.name for machine in due[:free] if await self._begin(machine, now)]
        return f"backing up {len(begun_now)} machines by their schedule" if begun_now else ""

    async def _time(self, machine: Machine, now: float) -> None:
        plan = timed(machine.plan, self.site, now)
        # Where nothing was said and nothing is to come, nothing needs to be kept.
        if plan == machine.plan or (machine.backup_plan is None and plan.next_at is None):
            return
        try:
            self._known[machine.id] = await self._machines.note(machine, backup_plan=plan)
        except Stale:
            return

    async def _begin(self, machine: Machine, now: float) -> bool:
        """Stored together with its next time, so that of two portals one begins it, and none when one is killed."""
        if not self.loop.runs_here:
            return False
        machines, plan = self._machines, begun(machine.plan, self.site, now)
        operation = machines.operations.draft(machine, "backup", "", {"backup": new_id()})
        try:
            await machines.operations.add(operation, seen=machine, backup_plan=plan)
        except (Stale, NotFound):
            return False
        except LimitReached as error:
            log.info("a backup has to wait", machine=machine.id, code=error.code)
            return False
        await machines.audit.record("machine.backup", person=None, object=machine.id, detail=machine.name)
        return True

    def shown(self, machine: Machine) -> Schedule:
        """What is in force for it."""
        return in_force(machine.plan, self.site)


def is_by_itself(operation: Operation) -> bool:
    return operation.kind == "backup" and not operation.asked_by
