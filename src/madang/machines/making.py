"""How machines are made, defined anew and removed. Each may be begun again after a kill -9 at any moment."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from madang.kernel import clock
from madang.kernel.errors import Conflict, MadangError, NotFound
from madang.machines.fleet import Fleet
from madang.machines.hosts.shapes import DiskInfo, Seen
from madang.machines.model import Machine, Run, State
from madang.machines.restoring import Restoring
from madang.machines.rules import begun, followed, media_of, plan_start
from madang.machines.work import Changes, Outcome, Room, Work


def rooms(making: Making) -> dict[str, Room]:
    return {
        "create": Room(making.create, can_cancel=True, undo=making.undo),
        "start": Room(making.start),
        "delete": Room(making.delete),
        "title": Room(making.title),
    }


class Making:
    def __init__(self, fleet: Fleet, restoring: Restoring) -> None:
        self._fleet = fleet
        self._restoring = restoring

    async def create(self, work: Work) -> Outcome:
        """Disk, definition and, if asked for, the first start. What fails leaves nothing behind."""
        try:
            work.progress(None, "disk")
            disk = await self._disk(work)
            work.progress(None, "defining")
            await self.define(work)
            if work.given.get("backup"):
                await self._restoring.further(work)
        except (MadangError, asyncio.CancelledError):
            await self.undo(work)
            raise

        def made(now: Machine, seen: Seen | None) -> Mapping[str, Any]:
            return {**_made(now, seen), "disk_bytes": disk.virtual_bytes, "disk_used": disk.real_bytes}

        if not work.given.get("start"):
            return Outcome(made)
        work.progress(None, "starting")
        begun = await self.start(work)
        return Outcome(lambda now, seen: {**made(now, seen), **begun.changes(now, seen)})

    async def undo(self, work: Work) -> bool:
        """Nothing is left of it."""
        if work.given.get("backup"):
            await self._restoring.remove_further(work)
        with contextlib.suppress(MadangError):
            await work.host.undefine(work.machine.id, [work.machine.disk_path])
            await self._fleet.clear(work.machine, work.host)
        return True

    async def _disk(self, work: Work) -> DiskInfo:
        """An empty one, or one of a template's or of a backup's."""
        path, source = work.machine.disk_path, work.given.get("source")
        try:
            if work.given.get("backup"):
                return await self._restoring.first(work)
            if source is None:
                return await work.host.create_disk(path, work.machine.disk_bytes)
            linked = bool(work.given.get("linked"))
            return await work.host.clone_disk(str(source), path, linked, work.progress, work.machine.parent)
        except Conflict as error:
            # Its name is the machine's id: whoever was at it before has made it.
            if error.code != "disk_exists":
                raise
        return await work.host.disk(path, work.machine.id)

    async def define(self, work: Work) -> None:
        try:
            await work.host.define(await self._fleet.wish(work.machine, work.host))
        except Conflict as error:
            if error.code != "machine_exists":
                raise

    async def start(self, work: Work) -> Outcome:
        """By the order that is kept, or the one for this start alone; one that runs already was started before."""
        try:
            seen = await work.host.look(work.machine.id)
        except NotFound:
            await self.define(work)
            seen = await work.host.look(work.machine.id)
        if not seen.off:
            if not work.again and work.operation.kind == "start":
                raise Conflict(
                    "It runs already.", code="machine_running", title="The machine runs", hint="Shut it down first."
                )
            return Outcome(started(work.machine, followed(work.machine, seen, clock.now()).get("run")))
        plan = plan_start(work.machine)
        if work.again and await asyncio.to_thread(_ran, seen, work.operation.started_at):
            return Outcome(started(work.machine, begun(work.machine, plan)))
        await work.host.start_machine(work.machine.id, plan.first, plan.on_reboot)
        return Outcome(started(work.machine, begun(work.machine, plan)))

    async def delete(self, work: Work) -> Outcome:
        """Its definition, and its disk where that is asked for and was made for it."""
        machine = work.machine
        remove = work.given.get("disks") == "remove" and self._fleet.is_ours(machine)
        await work.host.undefine(machine.id, [machine.disk_path] if remove else [])
        if remove:
            await self._fleet.clear(machine, work.host)
        return Outcome(gone=True)

    async def title(self, work: Work) -> Outcome:
        await work.host.set_title(work.machine.id, work.machine.name)
        return Outcome()


def _made(machine: Machine, seen: Seen | None) -> Mapping[str, Any]:
    if seen is None:
        return {"state": State.SHUT_OFF, "failure": None}
    return {"state": State.SHUT_OFF, "failure": None, "media": media_of(seen, live=False)}


def started(before: Machine, run: Run | None) -> Changes:
    """What the start of `run` makes of the record, which was as `before`: what was for one start alone is used up.

    A run that is over already is noted all the same: why it ended, and whether another one follows from that, is what
    the next look decides.
    """
    used = {"next_boot": None, "next_boot_why": None, "asked_off_at": None, "failure": None, "unknown_since": None}

    def changes(machine: Machine, seen: Seen | None) -> Mapping[str, Any]:
        if seen is None or seen.off:
            noted = machine.run if machine.run is not None and not _same(machine.run, before.run) else run
            return {**used, "state": State.STARTING, "run": noted}
        return {**used, **followed(machine, seen, clock.now()), "asked_off_at": None}

    return changes


def _ran(seen: Seen, since: float | None) -> bool:
    """Whether a run has begun since then, and is over: its firmware has said something. An installer that somebody
    before us has started, and that came to its end while no portal was there, is not started again."""
    try:
        status = Path(seen.inactive.boot_log or "").stat()
    except OSError:
        return False
    return since is not None and status.st_size > 0 and status.st_mtime >= since


def _same(run: Run, other: Run | None) -> bool:
    return other is not None and run.since == other.since
