"""Further disks of machines: made for one, taken away from it, put into another one, grown, deleted.

Each is a record of its person's, which says in whose machine it is. What a host has in a machine is seen there; the
record follows the work, which may be begun again at any moment. This is what people do; the work is in disk_work.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

from madang.identity.model import Visitor, checked_text
from madang.kernel import clock
from madang.kernel.errors import Conflict, InvalidInput, MadangError, NotFound, Unavailable
from madang.kernel.ids import short_id
from madang.machines.disk_store import Disk, DiskStore
from madang.machines.disk_work import left_free
from madang.machines.fleet import pool_of
from madang.machines.hosts import files
from madang.machines.model import Machine, State
from madang.machines.service import Machines
from madang.machines.settings import GIB
from madang.machines.store import Quota
from madang.machines.wishes import NAME_LONGEST


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

    async def used(self, disk: Disk) -> int | None:
        """What it takes on its host; None where that cannot be seen from here."""
        host = self._machines.fleet.hosts.get(disk.host)
        return await asyncio.to_thread(files.real_size, disk.path) if host is not None and host.is_local else None

    async def add(self, visitor: Visitor, machine_id: str, name: str, size_gb: int) -> tuple[Machine, bool]:
        """A new one for a machine. Raises LimitReached, InvalidInput, Conflict (no_free_slot), SiteError."""
        machine = await self._machines.managed(visitor, machine_id)
        name = checked_text("name", name, NAME_LONGEST)
        size = self._checked_size(size_gb)
        await self._refuse_beyond(machine.host, size)
        await self._machines.refuse_more(machine.person_id, Quota(disk_bytes=size))
        disk_id = "d" + short_id(13)
        path = self._machines.fleet.further_disk_path(disk_id)
        disk = Disk(disk_id, machine.person_id, name, machine.host, path, size, clock.now(), machine.id)
        await self._store.add(disk)
        try:
            return await self._machines.act(visitor, machine, "add_disk", _given(disk) | {"size": size})
        except MadangError as error:
            if error.code in NOT_BEGUN:
                await self._store.remove(disk.id)
            raise

    async def attach(self, visitor: Visitor, machine_id: str, disk_id: str) -> tuple[Machine, bool]:
        """Put one that is in no machine into this one. Raises Conflict (disk_in_use, other_host)."""
        machine = await self._machines.managed(visitor, machine_id)
        disk = await self._get(disk_id, machine.person_id)
        _refuse_other_host(disk, machine)
        if not await self._store.take(disk.id, machine.id):
            raise Conflict("It is in a machine already.", code="disk_in_use", hint="Detach it there first.")
        try:
            return await self._machines.act(visitor, machine, "attach_disk", _given(disk))
        except MadangError as error:
            if error.code in NOT_BEGUN:
                await self._store.release(disk.id, machine.id)
            raise

    async def detach(self, visitor: Visitor, machine_id: str, disk_id: str) -> tuple[Machine, bool]:
        """Take it away; it is kept. Raises NotFound, Conflict (disk_held)."""
        machine, disk = await self._in_machine(visitor, machine_id, disk_id)
        return await self._machines.act(visitor, machine, "detach_disk", _given(disk))

    async def move(self, visitor: Visitor, machine_id: str, disk_id: str, to: str) -> tuple[Machine, bool]:
        """Take it away and put it into another machine of the same person: that one then, or this one while it is not
        away yet. What the other one cannot take is free, and nothing on it is lost.

        Raises NotFound, InvalidInput (same_machine), Conflict (disk_held, other_host, other_person, disk_left_free).
        """
        machine, disk = await self._in_machine(visitor, machine_id, disk_id)
        other = await self._machines.managed(visitor, to)
        if other.id == machine.id:
            raise InvalidInput("It is in this machine already.", code="same_machine", hint="Choose another machine.")
        if other.person_id != disk.person_id:
            raise Conflict("The other machine is somebody else's.", code="other_person", title="It has another owner")
        _refuse_other_host(disk, other)
        if other.state in (State.CREATING, State.FAILED):
            raise Conflict("The other machine is not there yet, or no more.", code="machine_failed")
        machine, over = await self._machines.act(visitor, machine, "move_disk", _given(disk) | {"to": other.id})
        if not over:
            return machine, False
        return await self._arrived(disk, other)

    async def _arrived(self, disk: Disk, machine: Machine) -> tuple[Machine, bool]:
        """Once it is attached, or after a while."""
        there = self._machines
        newest = await there.journal.newest(machine.id, 20)
        found = next((one for one in newest if one.kind == "attach_disk" and one.given.get("disk") == disk.id), None)
        over = True
        if found is not None:
            with contextlib.suppress(MadangError):  # told by what is stored of it
                await there.operations.wait(found, there.settings.answer_seconds)
            ended = await there.journal.get(machine.id, found.id) or found
            if (failure := ended.failure) is not None and failure.code == "host_unreachable":
                raise Unavailable(failure.detail, code=failure.code, hint="Look at it again when its host is back.")
            if failure is not None:
                raise left_free(machine.name, failure.detail)
            over = ended.over
        there.wake(machine.id)
        return await there.store.get(machine.id) or machine, over

    async def grow(self, visitor: Visitor, disk_id: str, size_gb: int) -> tuple[Disk, bool]:
        """Make it larger, in a machine or not; also operators. Raises InvalidInput (shrink_refused), LimitReached."""
        disk = await self._store.get(disk_id)
        if disk is None or (disk.person_id != visitor.person.id and not visitor.may("machines.manage")):
            raise _no_disk()
        size = self._checked_size(size_gb)
        if size < disk.size_bytes:
            raise InvalidInput(
                f"The disk has {disk.size_bytes} bytes; a smaller one would lose what is on it.",
                code="shrink_refused",
                title="A disk only grows",
                hint="Choose a larger size.",
                fields=[{"field": "size_gb", "message": f"must be at least {disk.size_bytes / GIB:g}"}],
            )
        await self._refuse_beyond(disk.host, size)
        await self._machines.refuse_more(disk.person_id, Quota(disk_bytes=size - disk.size_bytes))
        over = True
        if disk.machine_id is not None:
            machine = await self._machines.managed(visitor, disk.machine_id)
            _, over = await self._machines.act(visitor, machine, "grow_disk", _given(disk) | {"size": size})
        elif (host := self._machines.fleet.hosts.get(disk.host)) is not None:
            grown = await host.grow_free(disk.path, size)
            await self._store.resized(disk.id, grown.virtual_bytes)
            await self._machines.tell_disks(disk.person_id)
        return await self._store.get(disk_id) or disk, over

    async def remove(self, visitor: Visitor, disk_id: str, name: str) -> None:
        """Delete one that is in no machine; its name confirms it. Raises NotFound, InvalidInput, Conflict."""
        disk = await self._get(disk_id, visitor.person.id)
        if disk.machine_id is not None:
            raise Conflict("It is in a machine.", code="disk_in_use", hint="Detach it there first.")
        if name != disk.name:
            raise InvalidInput(
                "This is not the disk's name.", code="name_differs", hint="Type its name as it is shown.",
                fields=[{"field": "name", "message": "is not its name"}],
            )  # fmt: skip
        if (host := self._machines.fleet.hosts.get(disk.host)) is not None:
            await host.remove_disk(disk.path)
        await self._store.remove(disk.id)
        await self._machines.tell_disks(disk.person_id)
        await self._machines.audit.record(
            "disk.delete", person=visitor.person, object=Path(disk.path).name, address=visitor.address, outcome="done"
        )

    def _checked_size(self, size_gb: int) -> int:
        most = self._machines.settings.disk_bytes_most
        if size_gb * GIB > most:
            raise InvalidInput(
                f"A disk has at most {most} bytes.", code="too_large", title="The disk would be too large",
                fields=[{"field": "size_gb", "message": f"must be at most {most // GIB}"}],
            )  # fmt: skip
        return size_gb * GIB

    async def _refuse_beyond(self, host_name: str, size: int) -> None:
        host = self._machines.fleet.hosts.get(host_name)
        if host is not None and (pool := await pool_of(host)) is not None:
            self._machines.fleet.refuse_beyond(pool, size)

    async def _in_machine(self, visitor: Visitor, machine_id: str, disk_id: str) -> tuple[Machine, Disk]:
        machine = await self._machines.managed(visitor, machine_id)
        disk = await self._get(disk_id, machine.person_id)
        if disk.machine_id != machine.id:
            raise NotFound("This machine has no such disk.", code="disk_not_found")
        return machine, disk

    async def _get(self, disk_id: str, person_id: str) -> Disk:
        disk = await self._store.get(disk_id)
        if disk is None or disk.person_id != person_id:
            raise _no_disk()
        return disk


# What says that an operation was not even stored.
NOT_BEGUN = frozenset({"queue_full", "machine_creating", "machine_failed", "machine_not_found"})


def _given(disk: Disk) -> dict[str, str | int | bool | None]:
    return {"disk": disk.id, "path": disk.path, "name": disk.name}


def _no_disk() -> NotFound:
    return NotFound("There is no such disk of yours.", code="disk_not_found", hint="It may be deleted.")


def _refuse_other_host(disk: Disk, machine: Machine) -> None:
    if disk.host != machine.host:
        raise Conflict(f"It is on {disk.host}, the machine on {machine.host}.", code="other_host")
