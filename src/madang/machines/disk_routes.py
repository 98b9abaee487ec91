"""HTTP of further disks: parses and calls the service, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Response, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter

from madang.identity.model import Visitor
from madang.kernel.clock import iso
from madang.kernel.problems import problems
from madang.machines.disk_store import Disk
from madang.machines.disks import Disks
from madang.machines.routes import AT_WORK, Answers
from madang.machines.service import Machines
from madang.machines.shapes import AttachedDisk, MachineId, MovedDisk, NewDisk, Resize
from madang.machines.views import FurtherDiskView, MachineView

DiskId = Annotated[str, Parameter(max_length=20, description="Id of a further disk.")]
CHANGES = {202: AT_WORK, **problems(401, 403, 404, 409, 422, 503, 507)}


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
        return await _views(disks, await disks.mine(visitor))

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

    @post(
        "/vms/disks/{disk_id:str}/resize",
        operation_id="resizeDisk",
        summary="Make a further disk larger, in a machine or not",
        status_code=200,
        responses={
            202: ResponseSpec(FurtherDiskView, description="It is still at work", generate_examples=False),
            **problems(401, 403, 404, 409, 422, 503, 507),
        },
    )
    async def resize(visitor: Visitor, disk_id: DiskId, data: Resize) -> Response[FurtherDiskView]:
        disk, over = await disks.grow(visitor, disk_id, data.size_gb)
        (shown,) = await _views(disks, [disk])
        return Response(shown, status_code=200 if over else 202)

    return list_own, remove, resize


def _of_machines(disks: Disks, answers: Answers) -> Sequence[Any]:
    @get(
        "/vms/{machine_id:str}/disks",
        operation_id="listMachineDisks",
        summary="A machine's further disks",
        responses=problems(401, 404),
    )
    async def list_disks(visitor: Visitor, machine_id: MachineId) -> list[FurtherDiskView]:
        return await _views(disks, await disks.of(visitor, machine_id))

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

    @post(
        "/vms/{machine_id:str}/disks/move",
        operation_id="moveDisk",
        summary="Move a disk to another machine; what that one cannot take is free then",
        status_code=200,
        responses=CHANGES,
    )
    async def move(visitor: Visitor, machine_id: MachineId, data: MovedDisk) -> Response[MachineView]:
        return await answers.of(await disks.move(visitor, machine_id, data.disk, data.to))

    return list_disks, add, attach, detach, move


async def _views(disks: Disks, some: Sequence[Disk]) -> list[FurtherDiskView]:
    return [
        FurtherDiskView(
            disk.id,
            disk.name,
            disk.size_bytes,
            await disks.used(disk),
            disk.host,
            disk.path,
            disk.machine_id,
            iso(disk.created_at),
        )
        for disk in some
    ]
