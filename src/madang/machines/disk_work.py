"""How further disks are made, attached, taken away, moved and grown. Each may be begun again at any moment."""

from __future__ import annotations

from madang.kernel.errors import Conflict, MadangError
from madang.machines.disk_store import Disk, DiskStore
from madang.machines.hosts.shapes import Definition, Drive
from madang.machines.model import Operation
from madang.machines.operations import Operations
from madang.machines.store import MachineStore
from madang.machines.work import Outcome, Room, Work


def rooms(disks: DiskStore, machines: MachineStore, operations: Operations) -> dict[str, Room]:
    work = DiskWork(disks, machines, operations)
    return {
        "add_disk": Room(work.add, edits=True, dropped=work.never_made),
        "attach_disk": Room(work.attach, edits=True, dropped=work.never_attached),
        "detach_disk": Room(work.detach, edits=True),
        "move_disk": Room(work.move, edits=True),
        "grow_disk": Room(work.grow, edits=True),
    }


class DiskWork:
    def __init__(self, disks: DiskStore, machines: MachineStore, operations: Operations) -> None:
        self._disks = disks
        self._machines = machines
        self._operations = operations

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
            target = await self._attach(work)
        except MadangError as error:
            if not _untold(error):
                await work.host.remove_disk(path)
                await self._disks.remove(_id(work))
            raise
        return Outcome(result={"target": target})

    async def never_made(self, operation: Operation) -> None:
        await self._disks.remove(str(operation.given["disk"]))

    async def attach(self, work: Work) -> Outcome:
        try:
            target = await self._attach(work)
        except MadangError as error:
            if not _untold(error):
                await self._disks.release(_id(work), work.machine.id)
            raise
        return Outcome(result={"target": target})

    async def never_attached(self, operation: Operation) -> None:
        await self._disks.release(str(operation.given["disk"]), operation.machine_id)

    async def _attach(self, work: Work) -> str:
        seen = await work.host.look(work.machine.id)
        if there := _drive(seen.inactive, work):
            return there.target
        if there := _drive(seen.definition, work):  # of the run alone: whoever was at it before did not come to its end
            await work.host.detach_disk(work.machine.id, there.target)
        return await work.host.attach_disk(work.machine.id, str(work.given["path"]))

    async def detach(self, work: Work) -> Outcome:
        await self._detach(work)
        await self._disks.release(_id(work), work.machine.id)
        return Outcome()

    async def _detach(self, work: Work) -> None:
        seen = await work.host.look(work.machine.id)
        if there := _drive(seen.inactive, work) or _drive(seen.definition, work):
            await work.host.detach_disk(work.machine.id, there.target)

    async def move(self, work: Work) -> Outcome:
        """Take it away; to attach it is an operation of the other machine, which may have work of its own before it.

        The disk is the other machine's from the moment it is away, so that nobody takes it in between.
        """
        disk_id, to = _id(work), str(work.given["to"])
        await self._detach(work)
        await self._disks.take(disk_id, to, before=work.machine.id)
        disk = await self._disks.get(disk_id)
        if disk is None or disk.machine_id != to:
            return Outcome()  # begun before, and somebody has decided otherwise since
        try:
            await self._attach_to(disk, to, work.operation.asked_by)
        except MadangError as error:
            await self._disks.release(disk_id, to)
            raise left_free("The other machine", error.detail) from error
        return Outcome(result={"to": to})

    async def _attach_to(self, disk: Disk, machine_id: str, by: str) -> None:
        machine = await self._machines.get(machine_id)
        if machine is None:
            raise Conflict("It is gone.", code="machine_not_found")
        given = {"disk": disk.id, "path": disk.path, "name": disk.name}
        await self._operations.add(self._operations.draft(machine, "attach_disk", by, given))

    async def grow(self, work: Work) -> Outcome:
        path, size = str(work.given["path"]), int(work.given["size"])
        disk = await work.host.resize(work.machine.id, path, size)
        await self._disks.resized(_id(work), disk.virtual_bytes)
        return Outcome(result={"size": disk.virtual_bytes})


def left_free(machine: str, why: str) -> Conflict:
    """It was taken away from one machine, and another one could not take it."""
    return Conflict(
        f"{machine} could not take it: {why}",
        code="disk_left_free",
        title="The disk is in no machine now",
        hint="Nothing on it is lost. Attach it again, to either machine.",
    )


def _drive(definition: Definition, work: Work) -> Drive | None:
    return next((drive for drive in definition.disks if drive.path == work.given["path"]), None)


def _id(work: Work) -> str:
    return str(work.given["disk"])


def _untold(error: MadangError) -> bool:
    """Its host was lost: it may be attached or not. Whoever detaches it finds out."""
    return error.code == "host_unreachable"
