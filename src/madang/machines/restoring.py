"""Putting a backup back, over its machine or into a new one: all of its disks, or none.

Over a machine, each disk is first made beside the one it is to replace. Once all are, that is noted on the shelf, and
only then they take their places: so whoever comes after one that was killed knows whether to go on with making them, or
with putting them into place, from where there is no way back. A disk that is not in the machine any more is made anew,
as a further disk of its person, named after the operation.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from madang.kernel.errors import Conflict, MadangError, NotFound
from madang.machines.backup_work import Backing, refuse_beyond, taken
from madang.machines.disk_store import Disk, DiskStore
from madang.machines.fleet import Fleet
from madang.machines.hosts.shapes import BackupFile, DiskInfo, Seen
from madang.machines.model import Machine
from madang.machines.shelf import AllMade, Backup
from madang.machines.store import MachineStore, Quota, refuse_more
from madang.machines.work import Outcome, Room, Work

Result = TypeVar("Result")


class Place(msgspec.Struct, frozen=True):
    """Where a disk of a backup comes to be: first at `made`. `disk`: the further disk that is made anew of it."""

    file: BackupFile
    path: str
    made: str
    form: str = "qcow2"
    disk: Disk | None = None


class Restoring:
    def __init__(self, backing: Backing, store: MachineStore, disks: DiskStore, fleet: Fleet, quota: Quota) -> None:
        self._backing = backing
        self._store = store
        self._disks = disks
        self._fleet = fleet
        self._quota = quota

    def rooms(self) -> dict[str, Room]:
        return {"restore": Room(self.over, can_cancel=True, edits=True, undo=self.undo)}

    # Over the machine.

    async def over(self, work: Work) -> Outcome:
        all_made = self._all_made(work) if work.again else None  # at once: a cancel comes before it, or too late
        if all_made is None:
            try:
                all_made = await self._make_all(work)
            except (MadangError, asyncio.CancelledError):
                await asyncio.shield(self.undo(work))
                raise
        safety = await _to_its_end(self._put(work, all_made))
        backup = all_made.backup
        then = backup.machine

        def changes(_machine: Machine, _seen: Seen | None) -> Mapping[str, Any]:
            made: dict[str, Any] = {"disk_bytes": backup.boot.virtual_bytes, "sign": None, "grew_at": None}
            made |= {"installation": then.installation, "installing_from": then.installing_from}
            return made | {"installed_at": then.installed_at, "parent": None}

        return Outcome(changes, {"backup": backup.id, "safety": safety, "disks": len(backup.files)})

    def _all_made(self, work: Work) -> AllMade | None:
        return self._backing.shelf.all_made(work.machine.id, str(work.given["safety"]))

    async def _backup(self, work: Work, machine_id: str) -> Backup:
        return await asyncio.to_thread(self._backing.shelf.get, machine_id, str(work.given["backup"]))

    async def _make_all(self, work: Work) -> AllMade:
        """Every disk where it is made first, those that are new in the machine. Nothing that was there is changed."""
        backup = await self._backup(work, work.machine.id)
        seen = await work.host.look(work.machine.id)
        if not seen.off:
            raise Conflict("It runs.", code="machine_running", title="The machine runs", hint="Shut it down first.")
        places = self._places(work, backup, seen)
        await self._prepare(work, seen, places)
        for number, place in enumerate(places):
            if not (work.again and await work.host.has_file(place.made)):
                await self._make(work, place, number, len(places))
        await self._add_all(work, places)
        for place in places:
            await work.host.refuse_if_running(place.path)
        return AllMade(backup, tuple((place.made, place.path) for place in places if place.made != place.path))

    def _places(self, work: Work, backup: Backup, seen: Seen) -> list[Place]:
        there = {drive.path: drive.format or "raw" for drive in seen.inactive.disks if drive.path}
        boot = work.machine.disk_path

        def over(file: BackupFile, path: str) -> Place:
            return Place(file, path, _made_first(work, path), there.get(path, "qcow2"))

        places = [over(backup.boot, boot)]
        for number, file in enumerate(backup.further):
            stays = file.source in there and file.source != boot
            places.append(over(file, file.source) if stays else self._new_place(work, backup, number, file))
        return places

    def _new_place(self, work: Work, backup: Backup, number: int, file: BackupFile) -> Place:
        machine = work.machine
        disk_id = f"d{work.operation.id}{number}"
        path = self._fleet.further_disk_path(disk_id)
        name = backup.names.get(file.source) or f"{backup.machine.name[:60]} {file.target}"
        begun = work.operation.created_at
        disk = Disk(disk_id, machine.person_id, name, machine.host, path, file.virtual_bytes, begun, machine.id)
        return Place(file, path, path, disk=disk)

    async def _prepare(self, work: Work, seen: Seen, places: Sequence[Place]) -> None:
        """A look whether it may be and has room, then a backup of what is there now."""
        old = [drive.path for drive in seen.inactive.disks if drive.path]
        gone = [path for path in old if not await work.host.has_file(path)]
        await self._refuse_more(work, places)
        await self._refuse_without_room(work, places, old)
        if len(gone) < len(old):
            await self._backing.make(work, str(work.given["safety"]), safety=True, without=gone)

    async def _make(self, work: Work, place: Place, number: int, of: int) -> DiskInfo:
        def part(share: float | None, stage: str) -> None:
            work.progress(None if share is None else (number + share) / of, stage)

        return await work.host.restore_disk(place.file.path, place.made, part, place.form)

    async def _refuse_more(self, work: Work, places: Sequence[Place]) -> None:
        """Raise LimitReached for disks that its person may not have."""
        has = {disk.path: disk.size_bytes for disk in await self._disks.of_machine(work.machine.id)}
        has[work.machine.disk_path] = work.machine.disk_bytes
        # Of what is in the machine and nobody's record, nothing is counted before or after.
        more = sum(
            max(0, place.file.virtual_bytes - has.get(place.path, 0))
            for place in places
            if place.disk is not None or place.path in has
        )
        refuse_more(await self._store.used(work.machine.person_id), Quota(disk_bytes=more), self._quota)

    async def _refuse_without_room(self, work: Work, places: Sequence[Place], old: Sequence[str]) -> None:
        """Raise NoSpace where the copies and the backup of what is there have no room."""
        made = [place.made for place in places] if work.again else []
        disks = max(0, sum(place.file.real_bytes for place in places) - await asyncio.to_thread(taken, made))
        there = await asyncio.to_thread(self._backing.shelf.of, work.machine.id)
        safe = any(one.id == work.given.get("safety") for one in there)
        safety = 0 if safe else await asyncio.to_thread(taken, old)
        pool = await work.host.pool()
        free, device = await asyncio.to_thread(self._backing.shelf.free_bytes)
        if device == (await asyncio.to_thread(Path(pool.path).stat)).st_dev:
            refuse_beyond(disks + safety, free, "disks and backups")
        else:
            refuse_beyond(disks, pool.free_bytes, "disks")
            refuse_beyond(safety, free, "backups")

    async def _add_all(self, work: Work, places: Sequence[Place]) -> None:
        """Those that are made anew become further disks of the machine."""
        for place in places:
            if place.disk is None:
                continue
            if await self._disks.get(place.disk.id) is None:
                await self._disks.add(place.disk)
            seen = await work.host.look(work.machine.id)
            if place.path not in [drive.path for drive in seen.inactive.disks]:
                await work.host.attach_disk(work.machine.id, place.path)

    async def _put(self, work: Work, all_made: AllMade) -> str | None:
        """The backup of what was there, where anything was. Asks no host, so that none can be in its way."""
        mark = work.machine.id, str(work.given["safety"])
        await asyncio.to_thread(self._backing.shelf.note_all, *mark, all_made)
        await work.host.put_disks(all_made.moves)
        with contextlib.suppress(MadangError):
            # They were inside of the old disks.
            await work.host.forget_snapshots(work.machine.id)
        sizes = {file.source: file.virtual_bytes for file in all_made.backup.files}
        for disk in await self._disks.of_machine(work.machine.id):
            if (size := sizes.get(disk.path)) is not None and size != disk.size_bytes:
                await self._disks.resized(disk.id, size)
        await self._backing.prune(work.machine.id)
        there = await asyncio.to_thread(self._backing.shelf.of, work.machine.id)
        return next((one.id for one in there if one.id == mark[1]), None)

    async def undo(self, work: Work) -> bool:
        """Nothing is left of what was made; a disk that cannot be taken out again stays its person's. False: they are
        being put into place, and there is no way back."""
        if self._all_made(work) is not None:
            return False
        await self._backing.undo(work)
        with contextlib.suppress(NotFound):
            backup = await self._backup(work, work.machine.id)
            for path in {work.machine.disk_path, *(file.source for file in backup.files if file.source)}:
                await work.host.remove_disk(_made_first(work, path))
            await self._undo(work, [self._new_place(work, backup, *each) for each in enumerate(backup.further)])
        return True

    async def _undo(self, work: Work, places: Sequence[Place]) -> None:
        for place in places:
            try:
                if place.disk is not None:
                    await self._take_out(work, place.disk)
                await work.host.remove_disk(place.made)
            except MadangError:
                continue

    async def _take_out(self, work: Work, disk: Disk) -> None:
        if await self._disks.get(disk.id) is None:
            return  # it was not put in yet
        with contextlib.suppress(NotFound):
            seen = await work.host.look(work.machine.id)
            for drive in seen.inactive.disks:
                if drive.path == disk.path:
                    await work.host.detach_disk(work.machine.id, drive.target)
        await self._disks.remove(disk.id)

    # Into a new machine.

    async def first(self, work: Work) -> DiskInfo:
        """The disk that a new machine boots from."""
        backup = await self._backup(work, str(work.given["of"]))
        places = self._new_places(work, backup)
        if not work.again:
            needed = sum(place.file.real_bytes for place in places)
            refuse_beyond(needed, (await work.host.pool()).free_bytes, "disks")
        return await self._make(work, places[0], 0, len(places))

    async def further(self, work: Work) -> None:
        """All others, once it is defined."""
        places = self._new_places(work, await self._backup(work, str(work.given["of"])))
        for number, place in enumerate(places[1:], 1):
            await self._make(work, place, number, len(places))
        await self._add_all(work, places)

    async def remove_further(self, work: Work) -> None:
        """Those of a machine that could not be made."""
        with contextlib.suppress(NotFound):
            await self._undo(work, self._new_places(work, await self._backup(work, str(work.given["of"])))[1:])

    def _new_places(self, work: Work, backup: Backup) -> list[Place]:
        path = work.machine.disk_path
        further = [self._new_place(work, backup, number, file) for number, file in enumerate(backup.further)]
        return [Place(backup.boot, path, path), *further]


def _made_first(work: Work, path: str) -> str:
    """Beside the disk that it is to replace."""
    return f"{path}.{work.operation.id}.new"


async def _to_its_end(work: Coroutine[Any, Any, Result]) -> Result:
    """There is no way back from here: whoever cancels it meanwhile comes too late."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        return await task
