"""Backups: all disks of a machine as one moment has them, on a shelf of their own, with what is to be known of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from madang.identity.model import Visitor
from madang.kernel.errors import Conflict, NotFound
from madang.kernel.ids import short_id
from madang.machines.model import Machine
from madang.machines.service import Machines
from madang.machines.shelf import Backup, Shelf
from madang.machines.store import Quota, refuse_more
from madang.machines.templates import Templates


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
        return await self._machines.act(visitor, machine, "backup", {"backup": new_id()})

    async def verify(self, visitor: Visitor, machine_id: str, backup_id: str) -> tuple[Machine, bool]:
        machine = await self._of_machine(visitor, machine_id, backup_id)
        return await self._machines.act(visitor, machine, "verify_backup", {"backup": backup_id})

    async def restore(self, visitor: Visitor, machine_id: str, backup_id: str) -> tuple[Machine, bool]:
        """All of its disks over the machine, after a backup of what it has now. Raises Conflict (machine_running,
        protected, has_clones), LimitReached, NoSpace."""
        machine = await self._of_machine(visitor, machine_id, backup_id)
        if machine.protected:
            raise Conflict("It is protected.", code="protected", hint="Take its protection off first.")
        if machine.live:
            raise Conflict("It runs.", code="machine_running", title="The machine runs", hint="Shut it down first.")
        await self._machines.refuse_with_clones(visitor, machine)
        given = {"backup": backup_id, "safety": new_id()}
        return await self._machines.act(visitor, machine, "restore", given, str(machine.edition))

    async def restore_new(self, visitor: Visitor, backup_id: str, name: str) -> tuple[Machine, bool]:
        """Into a new machine. Raises NotFound, LimitReached, InvalidInput."""
        backup = await self.get(visitor, backup_id)
        await self._machines.fleet.ready()
        machine = self._templates.like(backup.machine, visitor, name, linked=False)
        machine = msgspec.structs.replace(machine, disk_bytes=backup.boot.virtual_bytes, parent=None)
        # Its own disk is counted when it is stored; the further ones come with it.
        disks = sum(file.virtual_bytes for file in backup.files)
        refuse_more(await self._machines.store.used(visitor.person.id), Quota(disk_bytes=disks), self._machines.quota())
        return await self._machines.make(visitor, machine, {"backup": backup.id, "of": backup.machine.id})

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


def new_id() -> str:
    """Of a backup."""
    return "b" + short_id(14)
