"""How backups are made and verified. Each may be begun again at any moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from madang.kernel import clock
from madang.kernel.errors import Conflict, Failure, NoSpace
from madang.machines.disk_store import DiskStore
from madang.machines.hosts import files
from madang.machines.hosts.shapes import Seen
from madang.machines.model import Machine
from madang.machines.shelf import Backup, Shelf
from madang.machines.work import Changes, Outcome, Room, Work

BUSY_PAUSE_SECONDS = 1.0
BUSY_SECONDS = 600.0


class Backing:
    def __init__(self, shelf: Shelf, disks: DiskStore, most: int, most_safety: int) -> None:
        """A machine keeps its `most` newest ones, and beside them so many of those made before a restore."""
        self.shelf = shelf
        self._disks = disks
        self._most = most
        self._most_safety = most_safety

    def rooms(self) -> dict[str, Room]:
        return {
            "backup": Room(self.backup, can_cancel=True, failed=not_backed_up, undo=self.undo),
            "verify_backup": Room(self.verify, can_cancel=True),
        }

    async def backup(self, work: Work) -> Outcome:
        backup = await self.make(work, str(work.given["backup"]), safety=False)
        await self.prune(work.machine.id)
        return Outcome(backed_up, {"backup": backup.id, "size": backup.size})

    async def make(self, work: Work, backup_id: str, *, safety: bool, without: Collection[str] = ()) -> Backup:
        """One of all disks but those files; the same again where it was made before. Raises NoSpace."""
        machine = work.machine
        if work.again:
            # Whoever was at it before may be gone between freezing and thawing; a cancel does not stop this.
            await work.host.thaw(machine.id)
        there = await asyncio.to_thread(self.shelf.of, machine.id)
        if (made := next((one for one in there if one.id == backup_id), None)) is not None:
            return made
        await asyncio.to_thread(self.shelf.sweep, machine.id)
        await self._refuse_without_room(work, without)
        until = time.monotonic() + BUSY_SECONDS
        while True:
            folder = await asyncio.to_thread(self.shelf.make, machine.id, backup_id)
            try:
                written = await work.host.backup(machine.id, folder, work.progress, without)
                break
            except Conflict as error:
                # Whoever was at it before is gone; what it had QEMU do goes on.
                if not work.again or error.code != "machine_busy" or time.monotonic() > until:
                    raise
            await asyncio.sleep(BUSY_PAUSE_SECONDS)
        names = {disk.path: disk.name for disk in await self._disks.of_machine(machine.id)}
        backup = Backup(backup_id, machine, clock.now(), written, safety, names=names)
        await asyncio.to_thread(self.shelf.write, backup)
        return backup

    async def undo(self, work: Work) -> bool:
        """Nothing is left of one that somebody had begun, and its guest is not left frozen."""
        await work.host.thaw(work.machine.id)
        await asyncio.to_thread(self.shelf.sweep, work.machine.id)
        return True

    async def _refuse_without_room(self, work: Work, without: Collection[str]) -> None:
        seen = await work.host.look(work.machine.id)
        paths = [drive.path for drive in seen.definition.disks if drive.path and drive.path not in without]
        needed = await asyncio.to_thread(taken, paths)
        free, _device = await asyncio.to_thread(self.shelf.free_bytes)
        refuse_beyond(needed, free, "backups")

    async def prune(self, machine_id: str) -> None:
        await asyncio.to_thread(self.shelf.prune, machine_id, self._most, self._most_safety)

    async def verify(self, work: Work) -> Outcome:
        backup = await asyncio.to_thread(self.shelf.get, work.machine.id, str(work.given["backup"]))
        for file in backup.files:
            await work.host.verify(file.path, work.progress)
        await asyncio.to_thread(self.shelf.write, msgspec.structs.replace(backup, verified_at=clock.now()))
        return Outcome(result={"backup": backup.id})


def taken(paths: Collection[str]) -> int:
    """What these files take of this machine's disks; none for those that are not there."""
    return sum(files.real_size(path) or 0 for path in paths)


def refuse_beyond(needed: int, free: int, where: str) -> None:
    """Raise NoSpace."""
    if needed > free:
        raise NoSpace(
            f"It takes {needed} bytes, and {free} are free where {where} are.",
            hint="Delete what is not needed, or ask the site's operator for room. Nothing was changed.",
            needed=needed,
            free=free,
        )


def backed_up(machine: Machine, _seen: Seen | None) -> Mapping[str, Any]:
    """What a backup makes of the record."""
    if machine.plan.failure is None:
        return {}
    dismissed = tuple(code for code in machine.dismissed if code != "backup_failed")
    return {"backup_plan": msgspec.structs.replace(machine.plan, failure=None), "dismissed": dismissed}


def not_backed_up(failure: Failure) -> Changes:
    """The machine says so until a backup is made."""

    def changes(machine: Machine, _seen: Seen | None) -> Mapping[str, Any]:
        dismissed = tuple(code for code in machine.dismissed if code != "backup_failed")
        return {"backup_plan": msgspec.structs.replace(machine.plan, failure=failure), "dismissed": dismissed}

    return changes
