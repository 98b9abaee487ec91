"""The shelf of backups: a folder for each, with its disks and what is to be known of them.

A backup is there once its `backup.json` is: that is written last. So whatever is killed, what is half made counts for
nothing, and is removed when the next one is made.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import msgspec

from madang.kernel.errors import NotFound
from madang.machines.hosts import files
from madang.machines.hosts.shapes import BackupFile
from madang.machines.model import Machine

MACHINE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
RECORD = "backup.json"
ALL_MADE = "restoring.json"


class Backup(msgspec.Struct, frozen=True):
    """One backup, with the machine as it was."""

    id: str
    machine: Machine
    created_at: float
    files: tuple[BackupFile, ...]
    safety: bool = False
    verified_at: float | None = None
    names: dict[str, str] = {}  # what its further disks are called, by their files in the machine

    @property
    def boot(self) -> BackupFile:
        """The disk that it boots from."""
        return next((file for file in self.files if file.source == self.machine.disk_path), self.files[0])

    @property
    def further(self) -> tuple[BackupFile, ...]:
        return tuple(file for file in self.files if file is not self.boot)

    @property
    def size(self) -> int:
        return sum(file.real_bytes for file in self.files)


class AllMade(msgspec.Struct, frozen=True):
    """All disks that a restore is to put into place, each with the name it was made by and its own."""

    backup: Backup
    moves: tuple[tuple[str, str], ...]


_all_made = msgspec.json.Decoder(AllMade)
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

    def get(self, machine_id: str, backup_id: str) -> Backup:
        """Raises NotFound (backup_not_found)."""
        found = next((one for one in self.of(machine_id) if one.id == backup_id), None)
        if found is None:
            raise NotFound("There is no such backup any more.", code="backup_not_found")
        return found

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

    def note_all(self, machine_id: str, backup_id: str, all_made: AllMade) -> None:
        """From now on they are put into place; `backup_id` is the backup of what was there."""
        place = self.place(machine_id, backup_id)
        for folder in (self._folder, place.parent, place):
            files.make_folder(folder, self._account)
        part = place / f"{ALL_MADE}.part"
        part.write_bytes(msgspec.json.encode(all_made))
        part.rename(place / ALL_MADE)

    def all_made(self, machine_id: str, backup_id: str) -> AllMade | None:
        try:
            return _all_made.decode((self.place(machine_id, backup_id) / ALL_MADE).read_bytes())
        except OSError:
            return None

    def prune(self, machine_id: str, most: int, most_safety: int) -> None:
        """Keep the newest ones. Those that were made before a restore count by themselves: they push nothing out that
        somebody may want more."""
        kept = {False: most, True: most_safety}
        for backup in self.of(machine_id):
            kept[backup.safety] -= 1
            if kept[backup.safety] < 0:
                self.remove(backup)

    def free_bytes(self) -> tuple[int, int]:
        """The room for backups, and the device that it is on."""
        folder = self._folder
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free, folder.stat().st_dev

    def sweep(self, machine_id: str) -> None:
        """What was begun and never came to its end."""
        for place in (self._folder / machine_id).glob("*"):
            if not (place / RECORD).exists():
                shutil.rmtree(place, ignore_errors=True)
