"""Backups: all disks of a machine as one moment has them, in a folder of their own, with what is to be known of them.

A backup is there once its `backup.json` is: that is written last. So whatever is killed, what is half made counts for
nothing, and is removed when the next one is made.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from madang.identity.model import Visitor
from madang.kernel import clock
from madang.kernel.errors import Conflict, NotFound
from madang.machines.hosts import files
from madang.machines.hosts.shapes import BackupFile, Seen
from madang.machines.model import Machine
from madang.machines.operations import ID_ALPHABET, Outcome, Room, Work
from madang.machines.service import Machines
from madang.machines.templates import Templates

MACHINE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
RECORD = "backup.json"
BUSY_PAUSE_SECONDS = 1.0
BUSY_SECONDS = 600.0


class Backup(msgspec.Struct, frozen=True):
    """One backup, with the machine as it was."""

    id: str
    machine: Machine
    created_at: float
    files: tuple[BackupFile, ...]
    safety: bool = False
    verified_at: float | None = None

    @property
    def size(self) -> int:
        return sum(file.real_bytes for file in self.files)


_decoder = msgspec.json.Decoder(Backup)


class Shelf:
    """The folder in which backups stand, one folder a machine."""

    def __init__(self, folder: Path, account: str | None) -> None:
        """`account`: whose processes write disks, where that is not ours."""
        self._folder = folder
        self._account = account

    def place(self, machine_id: str, backup_id: str) -> Path:
        return self._folder / machine_id / backup_id

    def make(self, machine_id: str, backup_id: str) -> Path:
        """An empty folder for a new one; what was begun there before is gone."""
        place = self.place(machine_id, backup_id)
        shutil.rmtree(place, ignore_errors=True)
        for folder in (self._folder, place.parent, place):
            files.make_folder(folder, self._account)
        return place

    def write(self, backup: Backup) -> None:
        place = self.place(backup.machine.id, backup.id)
        part = place / f"{RECORD}.part"
        part.write_bytes(msgspec.json.format(msgspec.json.encode(backup)))
        part.rename(place / RECORD)

    def of(self, machine_id: str) -> list[Backup]:
        """Newest first."""
        if not MACHINE_ID.fullmatch(machine_id):
            return []
        found = [self._read(record) for record in (self._folder / machine_id).glob(f"*/{RECORD}")]
        return sorted((one for one in found if one is not None), key=lambda one: one.created_at, reverse=True)

    def all(self) -> list[Backup]:
        folders = self._folder.iterdir() if self._folder.is_dir() else ()
        return [backup for folder in folders for backup in self.of(folder.name)]

    def _read(self, record: Path) -> Backup | None:
        try:
            return _decoder.decode(record.read_bytes())
        except (OSError, msgspec.DecodeError):
            return None

    def remove(self, backup: Backup) -> None:
        place = self.place(backup.machine.id, backup.id)
        (place / RECORD).unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)

    def sweep(self, machine_id: str) -> None:
        """What was begun and never came to its end."""
        for place in (self._folder / machine_id).glob("*"):
            if not (place / RECORD).exists():
                shutil.rmtree(place, ignore_errors=True)


def rooms(shelf: Shelf, most: int) -> dict[str, Room]:
    backing = Backing(shelf, most)
    return {
        "backup": Room(backing.backup, can_cancel=True),
        "verify_backup": Room(backing.verify, can_cancel=True),
        "restore": Room(backing.restore, can_cancel=True, edits=True),
    }


class Backing:
    def __init__(self, shelf: Shelf, most: int) -> None:
        """A machine keeps its `most` newest ones."""
        self._shelf = shelf
        self._most = most

    async def backup(self, work: Work) -> Outcome:
        backup = await self._make(work, str(work.given["backup"]), safety=False)
        await asyncio.to_thread(self._prune, work.machine.id)
        return Outcome(result={"backup": backup.id, "size": backup.size})

    async def _make(self, work: Work, backup_id: str, *, safety: bool) -> Backup:
        machine = work.machine
        there = await asyncio.to_thread(self._shelf.of, machine.id)
        if (made := next((one for one in there if one.id == backup_id), None)) is not None:
            return made
        await asyncio.to_thread(self._shelf.sweep, machine.id)
        until = time.monotonic() + BUSY_SECONDS
        while True:
            folder = await asyncio.to_thread(self._shelf.make, machine.id, backup_id)
            try:
                written = await work.host.backup(machine.id, folder, work.progress)
                break
            except Conflict as error:
                # Whoever was at it before is gone; what it had QEMU do goes on.
                if not work.again or error.code != "machine_busy" or time.monotonic() > until:
                    raise
            await asyncio.sleep(BUSY_PAUSE_SECONDS)
        backup = Backup(backup_id, machine, clock.now(), written, safety)
        await asyncio.to_thread(self._shelf.write, backup)
        return backup

    def _prune(self, machine_id: str) -> None:
        for old in self._shelf.of(machine_id)[self._most :]:
            self._shelf.remove(old)

    async def verify(self, work: Work) -> Outcome:
        backup = await self._get(work)
        for file in backup.files:
            await work.host.verify(file.path, work.progress)
        await asyncio.to_thread(self._shelf.write, msgspec.structs.replace(backup, verified_at=clock.now()))
        return Outcome(result={"backup": backup.id})

    async def restore(self, work: Work) -> Outcome:
        """Over the machine, whose disk is backed up before."""
        backup = await self._get(work)
        safety: str | None = str(work.given["safety"])
        try:
            await self._make(work, str(safety), safety=True)
        except NotFound as error:
            if error.code != "disk_missing" or await asyncio.to_thread(os.path.lexists, work.machine.disk_path):
                raise
            safety = None  # what is lost is what is to be restored
        path = work.machine.disk_path
        disk = await work.host.restore_disk(first_disk(backup), path, work.progress)
        then = backup.machine

        def changes(_machine: Machine, _seen: Seen | None) -> Mapping[str, Any]:
            made: dict[str, Any] = {"disk_bytes": disk.virtual_bytes, "sign": None, "grew_at": None, "parent": None}
            made |= {"installation": then.installation, "installing_from": then.installing_from}
            return made | {"installed_at": then.installed_at}

        return Outcome(changes, {"backup": backup.id, "safety": safety})

    async def _get(self, work: Work) -> Backup:
        there = await asyncio.to_thread(self._shelf.of, work.machine.id)
        found = next((one for one in there if one.id == work.given["backup"]), None)
        if found is None:
            raise NotFound("There is no such backup any more.", code="backup_not_found")
        return found


def first_disk(backup: Backup) -> str:
    """The file of the disk that it boots from."""
    return min(backup.files, key=lambda file: file.target).path


class Backups:
    def __init__(self, machines: Machines, templates: Templates, shelf: Shelf) -> None:
        self._machines = machines
        self._templates = templates
        self._shelf = shelf

    async def of(self, visitor: Visitor, machine_id: str) -> Sequence[Backup]:
        """Of one machine, newest first. Raises NotFound."""
        machine = await self._machines.seen_by(visitor, machine_id)
        return await asyncio.to_thread(self._shelf.of, machine.id)

    async def mine(self, visitor: Visitor) -> Sequence[Backup]:
        """One's own, also of machines that are gone, newest first."""
        found = [one for one in await asyncio.to_thread(self._shelf.all) if one.machine.person_id == visitor.person.id]
        return sorted(found, key=lambda one: one.created_at, reverse=True)

    async def get(self, visitor: Visitor, backup_id: str) -> Backup:
        """Raises NotFound, also when it is somebody else's."""
        found = next((one for one in await self.mine(visitor) if one.id == backup_id), None)
        if found is None:
            raise NotFound("There is no such backup of yours.", code="backup_not_found")
        return found

    async def take(self, visitor: Visitor, machine_id: str) -> tuple[Machine, bool]:
        """Also while it runs. Raises Conflict, SiteError."""
        machine = await self._machines.managed(visitor, machine_id)
        return await self._machines.act(visitor, machine, "backup", {"backup": _new_id()})

    async def verify(self, visitor: Visitor, machine_id: str, backup_id: str) -> tuple[Machine, bool]:
        machine = await self._of_machine(visitor, machine_id, backup_id)
        return await self._machines.act(visitor, machine, "verify_backup", {"backup": backup_id})

    async def restore(self, visitor: Visitor, machine_id: str, backup_id: str) -> tuple[Machine, bool]:
        """Over the machine, after a backup of what it has now. Raises Conflict (machine_running, protected)."""
        machine = await self._of_machine(visitor, machine_id, backup_id)
        if machine.protected:
            raise Conflict("It is protected.", code="protected", hint="Take its protection off first.")
        if machine.live:
            raise Conflict("It runs.", code="machine_running", title="The machine runs", hint="Shut it down first.")
        await self._machines.refuse_with_clones(machine)
        given = {"backup": backup_id, "safety": _new_id()}
        return await self._machines.act(visitor, machine, "restore", given)

    async def restore_new(self, visitor: Visitor, backup_id: str, name: str) -> tuple[Machine, bool]:
        """Into a new machine. Raises NotFound, LimitReached, InvalidInput."""
        backup = await self.get(visitor, backup_id)
        await self._machines.fleet.ready()
        size = max(file.virtual_bytes for file in backup.files)
        machine = self._templates.like(backup.machine, visitor, name, linked=False)
        machine = msgspec.structs.replace(machine, disk_bytes=size, parent=None)
        return await self._machines.make(visitor, machine, {"source": first_disk(backup), "backup": True})

    async def remove(self, visitor: Visitor, backup_id: str) -> None:
        """Raises NotFound."""
        backup = await self.get(visitor, backup_id)
        await asyncio.to_thread(self._shelf.remove, backup)
        await self._machines.audit.record(
            "backup.delete", person=visitor.person, object=backup.id, address=visitor.address, outcome="done"
        )

    async def _of_machine(self, visitor: Visitor, machine_id: str, backup_id: str) -> Machine:
        machine = await self._machines.managed(visitor, machine_id)
        if backup_id not in [one.id for one in await asyncio.to_thread(self._shelf.of, machine.id)]:
            raise NotFound("It has no such backup.", code="backup_not_found")
        return machine


def _new_id() -> str:
    return "b" + "".join(secrets.choice(ID_ALPHABET) for _ in range(14))
