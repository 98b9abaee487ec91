"""Further disks of machines: made for one, taken away from it, put into another one, deleted.

Each is a record of its person's, which says in whose machine it is. What a host has in a machine is seen there; the
record follows the work, which may be begun again at any moment.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec
from sqlalchemy import ColumnElement, delete, insert, select, update

from madang.identity.model import Visitor, checked_text
from madang.kernel import clock
from madang.kernel.database import Database, retried
from madang.kernel.errors import Conflict, InvalidInput, MadangError, NotFound
from madang.machines.fleet import pool_of
from madang.machines.hosts.shapes import Drive
from madang.machines.model import Machine
from madang.machines.operations import ID_ALPHABET, Outcome, Room, Work
from madang.machines.service import NAME_LONGEST, Machines
from madang.machines.settings import GIB
from madang.machines.tables import disks


class Disk(msgspec.Struct, frozen=True):
    """One further disk; `machine_id` None: it is in no machine."""

    id: str
    person_id: str
    name: str
    host: str
    path: str
    size_bytes: int
    created_at: float
    machine_id: str | None = None


class DiskStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_person(self, person_id: str) -> Sequence[Disk]:
        return await self._select(disks.c.person_id == person_id)

    async def of_machine(self, machine_id: str) -> Sequence[Disk]:
        return await self._select(disks.c.machine_id == machine_id)

    async def get(self, disk_id: str) -> Disk | None:
        return next(iter(await self._select(disks.c.id == disk_id)), None)

    async def _select(self, which: ColumnElement[bool]) -> Sequence[Disk]:
        chosen = select(disks).where(which).order_by(disks.c.created_at, disks.c.id)
        async with self._database.read() as connection:
            return [Disk(**row) for row in (await connection.execute(chosen)).mappings()]

    @retried
    async def add(self, disk: Disk) -> None:
        async with self._database.write() as connection:
            await connection.execute(insert(disks).values(**msgspec.structs.asdict(disk)))

    @retried
    async def put(self, disk_id: str, machine_id: str | None) -> None:
        """Say in which machine it is."""
        async with self._database.write() as connection:
            await connection.execute(update(disks).where(disks.c.id == disk_id).values(machine_id=machine_id))

    @retried
    async def take(self, disk_id: str, machine_id: str) -> bool:
        """Put it into a machine, if it is in none."""
        free = (disks.c.id == disk_id, disks.c.machine_id.is_(None))
        async with self._database.write() as connection:
            return (await connection.execute(update(disks).where(*free).values(machine_id=machine_id))).rowcount == 1

    @retried
    async def resized(self, disk_id: str, size_bytes: int) -> None:
        async with self._database.write() as connection:
            await connection.execute(update(disks).where(disks.c.id == disk_id).values(size_bytes=size_bytes))

    @retried
    async def remove(self, disk_id: str) -> None:
        async with self._database.write() as connection:
            await connection.execute(delete(disks).where(disks.c.id == disk_id))


def rooms(store: DiskStore) -> dict[str, Room]:
    work = DiskWork(store)
    return {
        "add_disk": Room(work.add, edits=True),
        "attach_disk": Room(work.attach, edits=True),
        "detach_disk": Room(work.detach, edits=True),
    }


class DiskWork:
    def __init__(self, store: DiskStore) -> None:
        self._store = store

    async def add(self, work: Work) -> Outcome:
        """Make it and attach it. What fails leaves nothing behind."""
        path = str(work.given["path"])
        try:
            try:
                await work.host.create_disk(path, int(work.given["size"]))
            except Conflict as error:
                # Its name is its id: whoever was at it before has made it.
                if error.code != "disk_exists":
                    raise
            target = await self._attach(work, path)
        except MadangError:
            await work.host.remove_disk(path)
            await self._store.remove(str(work.given["disk"]))
            raise
        return Outcome(result={"target": target})

    async def attach(self, work: Work) -> Outcome:
        try:
            target = await self._attach(work, str(work.given["path"]))
        except MadangError:
            await self._store.put(str(work.given["disk"]), None)
            raise
        return Outcome(result={"target": target})

    async def _attach(self, work: Work, path: str) -> str:
        there = await self._drive(work, path)
        return there.target if there is not None else await work.host.attach_disk(work.machine.id, path)

    async def detach(self, work: Work) -> Outcome:
        if (there := await self._drive(work, str(work.given["path"]))) is not None:
            await work.host.detach_disk(work.machine.id, there.target)
        await self._store.put(str(work.given["disk"]), None)
        return Outcome()

    async def _drive(self, work: Work, path: str) -> Drive | None:
        seen = await work.host.look(work.machine.id)
        return next((drive for drive in seen.inactive.disks if drive.path == path), None)


class Disks:
    """What people do with them."""

    def __init__(self, machines: Machines, store: DiskStore) -> None:
        self._machines = machines
        self._store = store

    async def mine(self, visitor: Visitor) -> Sequence[Disk]:
        """All of one's own, in machines or not."""
        return await self._store.of_person(visitor.person.id)

    async def of(self, visitor: Visitor, machine_id: str) -> Sequence[Disk]:
        machine = await self._machines.seen_by(visitor, machine_id)
        return await self._store.of_machine(machine.id)

    async def add(self, visitor: Visitor, machine_id: str, name: str, size_gb: int) -> tuple[Machine, bool]:
        """A new one for a machine. Raises LimitReached, InvalidInput, Conflict (no_free_slot), SiteError."""
        machine = await self._machines.managed(visitor, machine_id)
        size, most = size_gb * GIB, self._machines.settings.disk_bytes_most
        if size > most:
            raise InvalidInput(f"A disk has at most {most} bytes.", code="too_large", title="It would be too large")
        if (pool := await pool_of(self._machines.fleet.host_of(machine))) is not None:
            self._machines.fleet.refuse_beyond(pool, size)
        await self._machines.refuse_more_disk(machine, size)
        disk_id = "d" + "".join(secrets.choice(ID_ALPHABET) for _ in range(13))
        path = self._machines.fleet.further_disk_path(disk_id)
        disk = Disk(
            disk_id,
            machine.person_id,
            checked_text("name", name, NAME_LONGEST),
            machine.host,
            path,
            size,
            clock.now(),
            machine.id,
        )
        await self._store.add(disk)
        return await self._machines.act(visitor, machine, "add_disk", {"disk": disk_id, "path": path, "size": size})

    async def attach(self, visitor: Visitor, machine_id: str, disk_id: str) -> tuple[Machine, bool]:
        """Put one that is in no machine into this one. Raises Conflict (disk_in_use, other_host)."""
        machine = await self._machines.managed(visitor, machine_id)
        disk = await self._get(disk_id, machine.person_id)
        if disk.host != machine.host:
            raise Conflict(f"It is on {disk.host}, the machine on {machine.host}.", code="other_host")
        if not await self._store.take(disk.id, machine.id):
            raise Conflict("It is in a machine already.", code="disk_in_use", hint="Detach it there first.")
        return await self._machines.act(visitor, machine, "attach_disk", {"disk": disk.id, "path": disk.path})

    async def detach(self, visitor: Visitor, machine_id: str, disk_id: str) -> tuple[Machine, bool]:
        """Take it away; it is kept. Raises NotFound, Conflict (disk_held)."""
        machine = await self._machines.managed(visitor, machine_id)
        disk = await self._get(disk_id, machine.person_id)
        if disk.machine_id != machine.id:
            raise NotFound("This machine has no such disk.", code="disk_not_found")
        return await self._machines.act(visitor, machine, "detach_disk", {"disk": disk.id, "path": disk.path})

    async def remove(self, visitor: Visitor, disk_id: str, name: str) -> None:
        """Delete one that is in no machine; its name confirms it. Raises NotFound, InvalidInput, Conflict."""
        disk = await self._get(disk_id, visitor.person.id)
        if disk.machine_id is not None:
            raise Conflict("It is in a machine.", code="disk_in_use", hint="Detach it there first.")
        if name != disk.name:
            raise InvalidInput(
                "This is not the disk's name.", code="name_differs", hint="Type its name as it is shown."
            )
        if (host := self._machines.fleet.hosts.get(disk.host)) is not None:
            await host.remove_disk(disk.path)
        await self._store.remove(disk.id)
        await self._machines.audit.record(
            "disk.delete", person=visitor.person, object=Path(disk.path).name, address=visitor.address, outcome="done"
        )

    async def _get(self, disk_id: str, person_id: str) -> Disk:
        disk = await self._store.get(disk_id)
        if disk is None or disk.person_id != person_id:
            raise NotFound("There is no such disk of yours.", code="disk_not_found", hint="It may be deleted.")
        return disk
