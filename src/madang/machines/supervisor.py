"""Carries machines on: looks at the hosts, decides by the rules, notes what it saw, starts again what restarted.

Hosts tell of changes by events, which only say which machine to look at: what counts is what the look shows. All of
them are looked at every few seconds, so nothing is lost with an event, a host's restart or a portal's.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence

from madang.kernel import clock, metrics
from madang.kernel.errors import MadangError
from madang.kernel.log import logger
from madang.kernel.loops import Loop
from madang.machines.hosts import files
from madang.machines.hosts.host import Host
from madang.machines.hosts.shapes import Change, Seen
from madang.machines.model import Installation, Machine
from madang.machines.rules import Decision, Sight, Step, decide
from madang.machines.service import Machines
from madang.machines.store import Stale
from madang.machines.uploads import Uploads

log = logger("machines")
HOUSEKEEPING_SECONDS = 60.0
USED_STEP = 16 * 1024**2  # a disk's size on the host is noted when it changed by so much
NOTE_SECONDS = 1.0  # an operation's end and what it makes of the record are not written down in the same moment
SETTLE_SECONDS = 0.02  # events come in swarms: one look for all of them
# What a machine boots from is no event: it is looked at so often at first, as long as firmware may take.
BOOT_SECONDS = 1.0
BOOT_MOST_SECONDS = 30.0
FEW = 10  # so many are looked at one by one; more than that, all in one pass
Sights = Mapping[str, Mapping[str, Seen]]  # what hosts that answer have, by host and machine


class Supervisor:
    """The loop over all machines, and the one over the ISO folders."""

    def __init__(self, machines: Machines, uploads: Uploads) -> None:
        settings = machines.settings
        self._machines = machines
        self._fleet = machines.fleet
        self._uploads = uploads
        self._known: dict[str, Machine] = {}
        self._told_of: set[str] = set()  # machines that want a look before all are due again
        self._all_due = True
        self._looked_at = 0.0  # all of them
        self._asked: dict[str, float | None] = {}  # machines whose guest was asked in this run, by its beginning
        self._kept_house_at = 0.0
        self._waking: asyncio.TimerHandle | None = None
        self._booting: set[str] = set()  # machines that have not said yet what they boot from
        self._boot_look: asyncio.TimerHandle | None = None
        self.loop = Loop("machines", self.cycle, settings.look_seconds, lease=True)
        self.catalogue_loop = Loop("machines catalogue", self.look_at_catalogue, settings.catalogue_seconds)

    async def start(self) -> None:
        self._machines.wake = self._wake
        await self._machines.catalogue.scan()
        await self._fleet.start(self._changed, self._connected)

    async def stop(self) -> None:
        for handle in (self._waking, self._boot_look):
            if handle is not None:
                handle.cancel()
        await self._fleet.stop()

    def _changed(self, _host: Host, change: Change) -> None:
        self._wake(change.uuid)

    def _connected(self, host: Host, there: bool) -> None:
        log.info("host is there" if there else "host is lost", host=host.name, problem=host.problem)
        self._all_due = True
        self._wake()

    def _wake(self, machine_id: str | None = None) -> None:
        if machine_id is not None:
            self._told_of.add(machine_id)
        if self._waking is None:
            self._waking = asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._woken)

    def _woken(self) -> None:
        self._waking = None
        self.loop.wake()

    def _look_at_boot(self) -> None:
        self._boot_look = None
        booting, self._booting = self._booting, set()
        for machine_id in booting:
            self._wake(machine_id)

    async def look_at_catalogue(self) -> str:
        if await self._machines.catalogue.scan():
            await self._machines.tell_isos()
        return ""

    async def cycle(self) -> str:
        """Look at the machines that something was told of; at all of them when that is due.

        Records are read before the hosts are looked at: whatever is begun in between makes the record another one, and
        what was seen is not stored over it.
        """
        chosen, self._told_of = self._told_of, set()
        if self._due(chosen):
            self._looked_at, self._all_due = time.monotonic(), False
            self._known = {machine.id: machine for machine in await self._machines.store.all(self._known)}
            if self._known:
                self._fleet.need()
            await self._look_through(tuple(self._known.values()), None)
        else:
            machines = await self._machines.store.many(sorted(chosen))
            self._known |= {machine.id: machine for machine in machines}
            await self._look_through(machines, machines)
        if self.loop.runs_here and time.monotonic() - self._kept_house_at > HOUSEKEEPING_SECONDS:
            self._kept_house_at = time.monotonic()
            await self._keep_house()
        return ""

    def _due(self, chosen: set[str]) -> bool:
        late = time.monotonic() - self._looked_at >= self._machines.settings.look_seconds
        return self._all_due or late or not 0 < len(chosen) <= FEW

    async def _look_through(self, machines: Sequence[Machine], asked: Sequence[Machine] | None) -> None:
        if not machines:
            return
        busy = {operation.machine_id for operation in await self._machines.journal.open()}
        seen = await self._see(asked)
        missing = await self._missing(machines)
        for machine in machines:
            if not self.loop.runs_here:  # this process was stopped meanwhile, and another one took over
                return
            await self._look_at(machine, seen, busy, missing)

    async def _see(self, machines: Sequence[Machine] | None) -> Sights:
        """By host, what it has of these machines (None: all it has); of hosts that answer."""
        hosts = [host for host in self._fleet.hosts.values() if host.connected]
        ids = [None if machines is None else [one.id for one in machines if one.host == host.name] for host in hosts]
        found = await asyncio.gather(*(self._see_one(host, some) for host, some in zip(hosts, ids, strict=True)))
        return {host.name: seen for host, seen in zip(hosts, found, strict=True) if seen is not None}

    async def _see_one(self, host: Host, ids: Sequence[str] | None) -> Mapping[str, Seen] | None:
        try:
            return await host.snapshot(ids)
        except MadangError as error:
            log.warning("a host cannot be looked at", host=host.name, code=error.code, detail=error.detail)
            return None

    async def _missing(self, machines: Sequence[Machine]) -> frozenset[str]:
        paths = {medium.path for machine in machines for medium in machine.media if medium.path}
        return await self._machines.catalogue.missing(paths)

    async def _look_at(self, machine: Machine, seen: Sights, busy: set[str], missing: frozenset[str]) -> None:
        """One machine that cannot be looked at does not keep the others waiting."""
        try:
            sight = await self._sight(machine, seen, machine.id in busy, missing)
            decision = decide(machine, sight, clock.now(), self._machines.settings.shut_down_seconds)
            if decision.step is not Step.NOTHING:
                machine = await self._take_step(machine, decision)
            self._follow_boot(machine)
            if machine.id not in busy:
                await self._ask_guest(machine)
        except Stale:
            self._wake(machine.id)
        except MadangError as error:
            log.warning("step failed", machine=machine.id, code=error.code, detail=error.detail)
        except Exception:
            metrics.bugs.labels("machines").inc()
            log.exception("a machine cannot be looked at", machine=machine.id)

    async def _sight(
        self, machine: Machine, seen: Mapping[str, Mapping[str, Seen]], busy: bool, missing: frozenset[str]
    ) -> Sight:
        host = self._fleet.hosts.get(machine.host)
        there = seen.get(machine.host)
        found = there.get(machine.id) if there is not None else None
        unsaid = machine.run is not None and machine.run.boot_device is None
        if host is not None and found is not None and found.off and unsaid:
            found = await host.look(machine.id)  # what a run that is over was booted from is read of one alone
        return Sight(
            connected=there is not None,
            down_since=host.down_since if host else None,
            seen=found,
            busy=busy,
            unsure=await self._unsure(machine) if there is not None else frozenset(),
            missing=tuple(sorted({one.path for one in machine.media if one.path} & missing)),
            disk_used=await self._disk_used(machine, host),
        )

    async def _unsure(self, machine: Machine) -> frozenset[str]:
        """What operations may have changed that have failed since it is not seen."""
        since = machine.unknown_since
        if since is None:
            return frozenset()
        newest = await self._machines.journal.newest(machine.id, self._machines.settings.queue_most + 1)
        failed = [one for one in newest if one.ended_at is not None and one.ended_at > since - NOTE_SECONDS]
        return frozenset[str]().union(*(self._machines.operations.alters(one) for one in failed))

    async def _disk_used(self, machine: Machine, host: Host | None) -> int | None:
        """What its disk takes; None where that is as good as it was, or only its host could say it."""
        if host is None or not (host.is_local or self._fleet.is_ours(machine)):
            return None
        used = await asyncio.to_thread(files.real_size, machine.disk_path)
        if used is None or (machine.disk_used is not None and abs(used - machine.disk_used) < USED_STEP):
            return None
        return used

    async def _take_step(self, machine: Machine, decision: Decision) -> Machine:
        changes = decision.changes
        if "unknown_since" in changes or "state" in changes:
            log.info("machine", machine=machine.id, step=decision.why, state=str(changes.get("state", "")))
        if decision.step is Step.RESTART:
            changed = await self._machines.start_again(machine, changes)
        else:
            changed = await self._machines.note(machine, **changes)
        self._known[machine.id] = changed
        return changed

    def _follow_boot(self, machine: Machine) -> None:
        run = machine.run
        if run is None or run.boot_device is not None or run.since is None:
            return
        if clock.now() - run.since < BOOT_MOST_SECONDS:
            self._booting.add(machine.id)
            if self._boot_look is None:
                self._boot_look = asyncio.get_running_loop().call_later(BOOT_SECONDS, self._look_at_boot)

    async def _ask_guest(self, machine: Machine) -> None:
        """Once a run, where the guest can say whether it is an installed system: that is a sign, no more."""
        run = machine.run
        if run is None or not run.agent or machine.installation is Installation.INSTALLED or machine.sign is not None:
            return
        if self._asked.get(machine.id, 0.0) == run.since:
            return
        self._asked[machine.id] = run.since
        system = await self._fleet.host_of(machine).guest_system(machine.id)
        if system is not None and system.root_on_disk:
            self._known[machine.id] = await self._machines.note(machine, sign="agent")

    async def _keep_house(self) -> None:
        self._asked = {key: since for key, since in self._asked.items() if key in self._known}
        await self._machines.journal.forget(clock.now() - self._machines.settings.operation_days * 86_400)
        with contextlib.suppress(OSError):
            await self._uploads.sweep()
