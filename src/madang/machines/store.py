"""Machines in the database: what is noted of them is guarded by the record's version, edits by their edition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from madang.kernel.database import Database, retried
from madang.kernel.errors import Conflict, LimitReached, NotFound
from madang.machines.model import Machine, Operation, Share
from madang.machines.rows import machine_of, row_of, row_of_operation
from madang.machines.tables import disks, machines, operations, shares


class Stale(Exception):
    """The record was changed by somebody else in the meantime: read it again and decide anew."""


class StaleEdit(Conflict):
    """What somebody saw when they decided is not what is there now."""

    status = 412
    code = "stale_edit"
    title = "Somebody changed it meanwhile"


class Quota(msgspec.Struct, frozen=True):
    """The most that one person may have of each; None: no limit. As what they have: how much that is."""

    machines: int | None = None
    cpus: int | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None


# Each of a quota, as a person reads it.
_WORDS = {"machines": "machines", "cpus": "CPUs", "memory_bytes": "bytes of memory", "disk_bytes": "bytes of disk"}


class MachineStore:
    """The stored machines."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, machine_id: str) -> Machine | None:
        async with self._database.read() as connection:
            return await find(connection, machine_id)

    async def all(self, known: Mapping[str, Machine] | None = None) -> Sequence[Machine]:
        """Every machine. Of `known`, those whose version is still the same are not read again."""
        known = known or {}
        async with self._database.read() as connection:
            chosen = await connection.execute(select(machines.c.id, machines.c.version))
            there = {row[0]: row[1] for row in chosen}
        same = {key: known[key] for key, version in there.items() if key in known and known[key].version == version}
        if fresh := [key for key in there if key not in same]:
            same |= {machine.id: machine for machine in await self.many(fresh)}
        return [same[key] for key in there if key in same]

    async def versions(self, *, person_id: str | None, limit: int, offset: int) -> Sequence[tuple[str, int]]:
        """Id and version of a person's machines and those shared with them (None: everybody's), newest first."""
        chosen = select(machines.c.id, machines.c.version)
        if person_id is not None:
            shared = select(shares.c.machine_id).where(shares.c.person_id == person_id)
            chosen = chosen.where((machines.c.person_id == person_id) | machines.c.id.in_(shared))
        ordered = chosen.order_by(machines.c.created_at.desc(), machines.c.id).limit(limit).offset(offset)
        async with self._database.read() as connection:
            return [(row[0], row[1]) for row in await connection.execute(ordered)]

    async def many(self, ids: Sequence[str]) -> Sequence[Machine]:
        found: list[Machine] = []
        async with self._database.read() as connection:
            for begin in range(0, len(ids), 500):  # a statement holds a limited number of values
                part = select(machines).where(machines.c.id.in_(ids[begin : begin + 500]))
                found += [machine_of(row) for row in (await connection.execute(part)).mappings()]
        return found

    async def templates(self, person_id: str) -> Sequence[Machine]:
        """A person's, and those for everybody."""
        chosen = select(machines).where(machines.c.template, (machines.c.person_id == person_id) | machines.c.offered)
        async with self._database.read() as connection:
            return [machine_of(row) for row in (await connection.execute(chosen)).mappings()]

    async def linked_to(self, machine_id: str) -> Sequence[Machine]:
        """Machines whose disks hold only the difference to its disk."""
        chosen = select(machines).where(machines.c.parent == machine_id).order_by(machines.c.created_at)
        async with self._database.read() as connection:
            return [machine_of(row) for row in (await connection.execute(chosen)).mappings()]

    async def used(self, person_id: str) -> Quota:
        """What a person has."""
        async with self._database.read() as connection:
            return await _used(connection, person_id)

    async def per_host(self) -> Mapping[str, int]:
        """How many machines each host has."""
        chosen = select(machines.c.host, func.count()).group_by(machines.c.host)
        async with self._database.read() as connection:
            return {row[0]: row[1] for row in await connection.execute(chosen)}

    @retried
    async def add(self, machine: Machine, operation: Operation, quota: Quota) -> None:
        """Store a new machine with the operation that makes it. Raises LimitReached, Conflict (not_a_template)."""
        async with self._database.write() as connection:
            if machine.parent is not None:
                await _link_to(connection, machine.parent)
            refuse_more(await _used(connection, machine.person_id), _size(machine), quota)
            await connection.execute(insert(machines).values(**row_of(machine)))
            await connection.execute(insert(operations).values(**row_of_operation(operation)))

    @retried
    async def take_in(self, machine: Machine) -> None:
        """Store a machine that there is already. Raises Conflict (adopted_already)."""
        async with self._database.write() as connection:
            if await find(connection, machine.id) is not None:
                raise Conflict("It is somebody's already.", code="adopted_already")
            await connection.execute(insert(machines).values(**row_of(machine)))

    @retried
    async def change(self, machine: Machine, **values: Any) -> Machine:
        """Store what was noted of it. Raises Stale when it is not the newest version."""
        async with self._database.write() as connection:
            return await write(connection, machine, values)

    @retried
    async def edit(self, machine_id: str, etag: str | None, **values: Any) -> Machine:
        """Store somebody's edit. Raises StaleEdit, NotFound."""
        async with self._database.write() as connection:
            machine = await checked(connection, machine_id, etag)
            return await write(connection, machine, {**values, "edition": machine.edition + 1})

    @retried
    async def share(self, machine_id: str, share: Share | None, person_id: str) -> Machine:
        """Share it with a person, or no more (None). Raises NotFound."""
        async with self._database.write() as connection:
            machine = await checked(connection, machine_id, None)
            others = tuple(one for one in machine.shares if one.person_id != person_id)
            mine = (shares.c.machine_id == machine_id, shares.c.person_id == person_id)
            await connection.execute(delete(shares).where(*mine))
            if share is not None:
                await connection.execute(insert(shares).values(machine_id=machine_id, person_id=person_id))
            return await write(connection, machine, {"shares": (*others, *((share,) if share else ()))})

    @retried
    async def remove(self, machine_id: str) -> None:
        """With its operations; its further disks are in no machine then. Silent when it is gone already."""
        async with self._database.write() as connection:
            await connection.execute(delete(operations).where(operations.c.machine_id == machine_id))
            await connection.execute(delete(shares).where(shares.c.machine_id == machine_id))
            await connection.execute(update(disks).where(disks.c.machine_id == machine_id).values(machine_id=None))
            await connection.execute(delete(machines).where(machines.c.id == machine_id))


async def find(connection: AsyncConnection, machine_id: str) -> Machine | None:
    row = (await connection.execute(select(machines).where(machines.c.id == machine_id))).mappings().one_or_none()
    return machine_of(row) if row else None


async def _link_to(connection: AsyncConnection, template_id: str) -> None:
    """Whoever decides now whether its disk may go has seen an old edition of it. Raises Conflict (not_a_template)."""
    template = await find(connection, template_id)
    ends = (operations.c.machine_id == template_id, operations.c.kind.in_(["delete", "restore"]))
    ending = select(operations.c.id).where(*ends, operations.c.ended_at.is_(None))
    if template is None or not template.template or (await connection.execute(ending)).first() is not None:
        raise Conflict("It is no template any more.", code="not_a_template", hint="Choose another one.")
    await write(connection, template, {"edition": template.edition + 1})


async def checked(connection: AsyncConnection, machine_id: str, etag: str | None) -> Machine:
    """The machine, if it is as whoever edits it saw it. Raises NotFound, StaleEdit."""
    machine = await find(connection, machine_id)
    if machine is None:
        raise NotFound("This machine is gone.", code="machine_not_found", hint="It was deleted meanwhile.")
    refuse_stale(machine, etag)
    return machine


def refuse_stale(machine: Machine, etag: str | None) -> None:
    """Raise StaleEdit for what was decided on an older edition; None: whoever asks does not care."""
    if etag is not None and etag != etag_of(machine):
        raise StaleEdit(
            "The machine is not as you saw it any more.",
            hint="Look at what it is now, and decide again.",
            etag=etag_of(machine),
        )


def etag_of(machine: Machine) -> str:
    return str(machine.edition)


async def write(connection: AsyncConnection, machine: Machine, values: Mapping[str, Any]) -> Machine:
    changed = msgspec.structs.replace(machine, **values, version=machine.version + 1)
    row = row_of(changed)
    guarded = update(machines).where(machines.c.id == machine.id, machines.c.version == machine.version)
    columns = {name: row[name] for name in (*values, "version")}
    if (await connection.execute(guarded.values(**columns))).rowcount != 1:
        raise Stale(machine.id)
    return changed


async def _used(connection: AsyncConnection, person_id: str) -> Quota:
    sums = (func.coalesce(func.sum(column), 0) for column in (machines.c.cpus, machines.c.memory_bytes))
    chosen = select(func.count(), *sums, func.coalesce(func.sum(machines.c.disk_bytes), 0)).where(
        machines.c.person_id == person_id
    )
    row = (await connection.execute(chosen)).one()
    further = select(func.coalesce(func.sum(disks.c.size_bytes), 0)).where(disks.c.person_id == person_id)
    more = int((await connection.execute(further)).scalar_one())
    return Quota(int(row[0]), int(row[1]), int(row[2]), int(row[3]) + more)


def _size(machine: Machine) -> Quota:
    return Quota(1, machine.cpus, machine.memory_bytes, machine.disk_bytes)


def refuse_more(used: Quota, more: Quota, quota: Quota) -> None:
    """Raise LimitReached when a person who has `used` may not have `more`."""
    for name, words in _WORDS.items():
        most, has, asks = getattr(quota, name), getattr(used, name) or 0, getattr(more, name) or 0
        if most is not None and asks and has + asks > most:
            raise LimitReached(
                f"Your machines have {has} {words}; with {asks} more they are above the limit of {most}.",
                code="quota_reached",
                hint="Delete a machine, ask for less, or ask the site's operator for a higher limit.",
                what=name,
                limit=most,
            )
