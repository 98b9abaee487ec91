"""Further disks in the database."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import ColumnElement, delete, insert, select, update

from madang.kernel.database import Database, retried
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
    async def take(self, disk_id: str, machine_id: str, before: str | None = None) -> bool:
        """Put it into a machine, if it is where it was `before` (None: in none)."""
        free = (disks.c.id == disk_id, disks.c.machine_id == before)
        async with self._database.write() as connection:
            return (await connection.execute(update(disks).where(*free).values(machine_id=machine_id))).rowcount == 1

    @retried
    async def release(self, disk_id: str, machine_id: str) -> None:
        """It is in no machine, if it was in this one."""
        mine = (disks.c.id == disk_id, disks.c.machine_id == machine_id)
        async with self._database.write() as connection:
            await connection.execute(update(disks).where(*mine).values(machine_id=None))

    @retried
    async def resized(self, disk_id: str, size_bytes: int) -> None:
        async with self._database.write() as connection:
            await connection.execute(update(disks).where(disks.c.id == disk_id).values(size_bytes=size_bytes))

    @retried
    async def remove(self, disk_id: str) -> None:
        async with self._database.write() as connection:
            await connection.execute(delete(disks).where(disks.c.id == disk_id))
