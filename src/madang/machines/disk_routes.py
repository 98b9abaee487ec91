"""HTTP of further disks: parses and calls the service, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Response, delete, get, post
from litestar.params import Parameter

from madang.identity.model import Visitor
from madang.kernel.clock import iso
from madang.machines.disks import Disk, Disks
from madang.machines.routes import AT_WORK, Answers
from madang.machines.service import Machines
from madang.machines.shapes import AttachedDisk, MachineId, NewDisk, problems
from madang.machines.views import FurtherDiskView, MachineView

DiskId = Annotated[str, Parameter(max_length=20, description="Id of a further disk.")]
CHANGES = {202: AT_WORK, **problems(401, 403, 404, 409, 422, 503)}


def routes(machines: Machines, disks: Disks) -> Sequence[Any]:
    return [*_own(disks), *_of_machines(disks, Answers(machines))]


def _own(disks: Disks) -> Sequence[Any]:
    @get(
        "/vms/disks",
        operation_id="listOwnDisks",
        summary="One's own further disks, in machines or not",
        responses=problems(401),
    )
    async def list_own(visitor: Visitor) -> list[FurtherDiskView]:
        return [_view(disk) for disk in await disks.mine(visitor)]

    @delete(
        "/vms/disks/{disk_id:str}",
        operation_id="deleteDisk",
        summary="Delete a disk that is in no machine; its name confirms it",
        responses=problems(401, 403, 404, 409, 422),
    )
    async def remove(
        visitor: Visitor,
        disk_id: DiskId,
        name: Annotated[str, Parameter(max_length=200, description="The disk's name, as confirmation.")],
    ) -> None:
        await disks.remove(visitor, disk_id, name)

    return list_own, remove


def _of_machines(disks: Disks, answers: Answers) -> Sequence[Any]:
    @get(
        "/vms/{machine_id:str}/disks",
        operation_id="listMachineDisks",
        summary="A machine's further disks",
        responses=problems(401, 404),
    )
    async def list_disks(visitor: Visitor, machine_id: MachineId) -> list[FurtherDiskView]:
        return [_view(disk) for disk in await disks.of(visitor, machine_id)]

    @post(
        "/vms/{machine_id:str}/disks",
        operation_id="addDisk",
        summary="Make another disk for a machine",
        status_code=200,
        responses=CHANGES,
    )
    async def add(visitor: Visitor, machine_id: MachineId, data: NewDisk) -> Response[MachineView]:
        return await answers.of(await disks.add(visitor, machine_id, data.name, data.size_gb))

    @post(
        "/vms/{machine_id:str}/disks/attach",
        operation_id="attachDisk",
        summary="Put a disk that is in no machine into this one",
        status_code=200,
        responses=CHANGES,
    )
    async def attach(visitor: Visitor, machine_id: MachineId, data: AttachedDisk) -> Response[MachineView]:
        return await answers.of(await disks.attach(visitor, machine_id, data.disk))

    @post(
        "/vms/{machine_id:str}/disks/detach",
        operation_id="detachDisk",
        summary="Take a disk away from a machine; it is kept",
        status_code=200,
        responses=CHANGES,
    )
    async def detach(visitor: Visitor, machine_id: MachineId, data: AttachedDisk) -> Response[MachineView]:
        return await answers.of(await disks.detach(visitor, machine_id, data.disk))

    return list_disks, add, attach, detach


def _view(disk: Disk) -> FurtherDiskView:
    return FurtherDiskView(
        disk.id, disk.name, disk.size_bytes, disk.host, disk.path, disk.machine_id, iso(disk.created_at)
    )
