"""HTTP of machines: parses and calls the service, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from litestar import Request, Response, Router, delete, get, patch, post
from litestar.di import Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, Parameter

from madang.identity.model import Visitor
from madang.identity.service import People
from madang.identity.sign_on import SignOn
from madang.kernel.problems import problems
from madang.machines.inside import Inside
from madang.machines.model import Machine
from madang.machines.offers import Offers
from madang.machines.service import Machines
from madang.machines.shapes import (
    Action,
    Description,
    Keys,
    MachineId,
    NewMachine,
    NewShare,
    OperationId,
    Resize,
)
from madang.machines.views import DiskView, HostStateView, MachineView, OperationView, OptionsView
from madang.machines.wishes import Wish

IfMatch = Annotated[
    str | None, HeaderParameter(name="If-Match", description="`etag` of the machine as it was when this was decided.")
]
AT_WORK = ResponseSpec(MachineView, description="It is still at work: `operation`", generate_examples=False)


def router(
    machines: Machines, people: People, inside: Inside, offers: Offers, sign_on: SignOn, further: Sequence[Any]
) -> Router:
    """All routes of machines; `further` are those of other rooms, whole."""
    answers = Answers(machines)
    return Router(
        "/api",
        route_handlers=[
            *_lists(machines, offers, answers),
            *_one(machines, answers),
            *_shares(machines, people, answers),
            *_operations(machines),
            *_inside(machines, inside, answers),
            *further,
        ],
        dependencies={"visitor": Provide(sign_on.provide)},
        tags=["machines"],
    )


class Answers:
    """How a machine is answered with."""

    def __init__(self, machines: Machines) -> None:
        self._machines = machines

    async def of(self, done: tuple[Machine, bool], status: int = 200) -> Response[MachineView]:
        """The machine after a change, which is over or at work still."""
        machine, over = done
        shown = await self._machines.shown(machine)
        return Response(shown, status_code=status if over else 202, headers={"etag": f'"{shown.etag}"'})


def edition(if_match: str | None) -> str | None:
    """The etag in a header If-Match; None where any will do."""
    if if_match is None or if_match.strip() == "*":
        return None
    return if_match.strip().removeprefix("W/").strip('"')


def _lists(machines: Machines, offers: Offers, answers: Answers) -> Sequence[Any]:
    @get(
        "/vms",
        operation_id="listMachines",
        summary="Machines, newest first",
        responses={
            200: ResponseSpec(list[MachineView], description="Machines", generate_examples=False),
            **problems(401),
        },
    )
    async def list_machines(
        visitor: Visitor,
        everybody: Annotated[bool, Parameter(query="all", description="Of all people (operators).")] = False,
        limit: Annotated[int, Parameter(ge=1, le=5000, description="At most so many.")] = 1000,
        offset: Annotated[int, Parameter(ge=0, le=1_000_000_000, description="Leave out so many.")] = 0,
    ) -> Response[Any]:
        body = await machines.list(visitor, everybody=everybody, limit=limit, offset=offset)
        return Response(body, media_type="application/json")

    @get(
        "/vms/options",
        operation_id="machineOptions",
        summary="What the form for a new machine needs: hosts, room, limits, quotas",
        responses=problems(401),
    )
    async def options(visitor: Visitor) -> OptionsView:
        return await offers.options(visitor)

    @get(
        "/vms/hosts",
        operation_id="listMachineHosts",
        summary="The hosts of machines, whether they answer and what room they have (operators)",
        responses=problems(401, 403),
    )
    async def list_hosts(visitor: Visitor) -> list[HostStateView]:
        return await offers.hosts(visitor)

    @post(
        "/vms",
        operation_id="createMachine",
        summary="Make a machine",
        responses={202: AT_WORK, **problems(401, 403, 409, 422, 503, 507)},
    )
    async def create(visitor: Visitor, data: NewMachine) -> Response[MachineView]:
        wish = Wish(
            name=data.name,
            notes=data.notes,
            cpus=data.cpus,
            memory_bytes=data.memory_bytes,
            disk_bytes=data.disk_bytes,
            isos=(data.iso_path, data.second_iso_path),
            boot_order=data.boot_order,
            firmware=data.firmware,
            network=data.network,
            host=data.host,
            start=data.start,
        )
        return await answers.of(await machines.create(visitor, wish), 201)

    return list_machines, options, list_hosts, create


def _one(machines: Machines, answers: Answers) -> Sequence[Any]:
    @get("/vms/{machine_id:str}", operation_id="getMachine", summary="One machine", responses=problems(401, 404))
    async def get_one(visitor: Visitor, machine_id: MachineId) -> Response[MachineView]:
        return await answers.of((await machines.seen_by(visitor, machine_id), True))

    @patch(
        "/vms/{machine_id:str}",
        operation_id="describeMachine",
        summary="Change a machine's name, notes or protection",
        responses=problems(401, 403, 404, 409, 412, 422),
    )
    async def describe(
        visitor: Visitor, machine_id: MachineId, data: Description, if_match: IfMatch = None
    ) -> Response[MachineView]:
        changed = await machines.describe(
            visitor, machine_id, edition(if_match), name=data.name, notes=data.notes, protected=data.protected
        )
        return await answers.of((changed, True))

    @delete(
        "/vms/{machine_id:str}",
        operation_id="deleteMachine",
        summary="Delete a machine that does not run; its name confirms it",
        status_code=202,
        responses={
            202: AT_WORK,
            204: ResponseSpec(None, description="It is gone", generate_examples=False),
            **problems(401, 403, 404, 409, 422, 503),
        },
    )
    async def remove(
        visitor: Visitor,
        machine_id: MachineId,
        name: Annotated[str, Parameter(max_length=200, description="The machine's name, as confirmation.")],
        disks: Annotated[Literal["keep", "remove"], Parameter(description="What becomes of its disks.")] = "remove",
    ) -> Response[Any]:
        left = await machines.delete(visitor, machine_id, name, disks)
        return Response(None, status_code=204) if left is None else await answers.of((left, False))

    @post(
        "/vms/{machine_id:str}/action",
        operation_id="actOnMachine",
        summary="Start, shut down, reset, force off, pause, resume or restart a machine",
        status_code=200,
        responses={202: AT_WORK, **problems(401, 403, 404, 409, 422, 503, 507)},
    )
    async def act(visitor: Visitor, machine_id: MachineId, data: Action) -> Response[MachineView]:
        return await answers.of(await machines.power(visitor, machine_id, data.action))

    return get_one, describe, remove, act


def _shares(machines: Machines, people: People, answers: Answers) -> Sequence[Any]:
    @post(
        "/vms/{machine_id:str}/shares",
        operation_id="shareMachine",
        summary="Let another person look at a machine, or use it",
        status_code=200,
        responses=problems(401, 403, 404, 422),
    )
    async def share(visitor: Visitor, machine_id: MachineId, data: NewShare) -> Response[MachineView]:
        await machines.managed(visitor, machine_id)  # before anything is said of other people
        person = await people.by_name(data.person)
        return await answers.of((await machines.share(visitor, machine_id, person, data.mode), True))

    @delete(
        "/vms/{machine_id:str}/shares/{person_id:str}",
        operation_id="unshareMachine",
        summary="Do not share a machine with a person any more",
        status_code=200,
        responses=problems(401, 403, 404),
    )
    async def unshare(
        visitor: Visitor,
        machine_id: MachineId,
        person_id: Annotated[str, Parameter(max_length=32, description="Id of the other person.")],
    ) -> Response[MachineView]:
        return await answers.of((await machines.unshare(visitor, machine_id, person_id), True))

    return share, unshare


def _operations(machines: Machines) -> Sequence[Any]:
    @get(
        "/vms/{machine_id:str}/operations",
        operation_id="listMachineOperations",
        summary="What is, was or will be done to a machine, newest first",
        responses=problems(401, 404),
    )
    async def list_operations(
        visitor: Visitor,
        machine_id: MachineId,
        limit: Annotated[int, Parameter(ge=1, le=1000, description="At most so many.")] = 50,
    ) -> list[OperationView]:
        return [machines.shown_operation(one) for one in await machines.operations_of(visitor, machine_id, limit)]

    @get(
        "/vms/{machine_id:str}/operations/{operation_id:str}",
        operation_id="getMachineOperation",
        summary="One operation, with its result",
        responses=problems(401, 404),
    )
    async def get_operation(visitor: Visitor, machine_id: MachineId, operation_id: OperationId) -> OperationView:
        return machines.shown_operation(await machines.operation(visitor, machine_id, operation_id))

    @post(
        "/vms/{machine_id:str}/operations/{operation_id:str}/cancel",
        operation_id="cancelMachineOperation",
        summary="Cancel an operation that waits, or that can be stopped in the middle",
        status_code=200,
        responses=problems(401, 403, 404, 409),
    )
    async def cancel(visitor: Visitor, machine_id: MachineId, operation_id: OperationId) -> OperationView:
        return machines.shown_operation(await machines.cancel(visitor, machine_id, operation_id))

    return list_operations, get_operation, cancel


def _inside(machines: Machines, inside: Inside, answers: Answers) -> Sequence[Any]:
    @get(
        "/vms/{machine_id:str}/disk",
        operation_id="machineDisk",
        summary="A machine's disk: what it sees, what that takes, what is free",
        responses=problems(401, 404, 503),
    )
    async def disk(visitor: Visitor, machine_id: MachineId) -> DiskView:
        machine, found, free = await inside.disk(visitor, machine_id)
        agent = machine.run is not None and machine.run.agent
        grew = machine.grew_at is not None
        return DiskView(found.path, found.virtual_bytes, found.real_bytes, found.format, free, grew, grew and agent)

    @post(
        "/vms/{machine_id:str}/disk/resize",
        operation_id="resizeMachineDisk",
        summary="Make a machine's disk larger",
        status_code=200,
        responses={202: AT_WORK, **problems(401, 403, 404, 409, 422, 503, 507)},
    )
    async def resize(visitor: Visitor, machine_id: MachineId, data: Resize) -> Response[MachineView]:
        return await answers.of(await inside.resize(visitor, machine_id, data.size_gb))

    @post(
        "/vms/{machine_id:str}/disk/grow-inside",
        operation_id="growInsideMachine",
        summary="Have the system inside take its disk's new room, by its guest agent",
        status_code=200,
        responses={202: AT_WORK, **problems(401, 403, 404, 409, 503)},
    )
    async def grow_inside(visitor: Visitor, machine_id: MachineId) -> Response[MachineView]:
        return await answers.of(await inside.grow_inside(visitor, machine_id))

    @post(
        "/vms/{machine_id:str}/keys",
        operation_id="pressKeys",
        summary="Press keys together, as in ctrl, alt, delete",
        status_code=204,
        responses=problems(401, 403, 404, 409, 422, 503),
    )
    async def press(visitor: Visitor, machine_id: MachineId, data: Keys) -> None:
        await inside.press(visitor, machine_id, data.keys)

    @get(
        "/vms/{machine_id:str}/screenshot",
        operation_id="machineScreenshot",
        summary="What a machine's screen shows",
        responses={
            200: ResponseSpec(None, description="The picture", media_type="image/png", generate_examples=False),
            304: ResponseSpec(None, description="As before", generate_examples=False),
            **problems(401, 404, 409, 503),
        },
    )
    async def screenshot(visitor: Visitor, request: Request[Any, Any, Any], machine_id: MachineId) -> Response[Any]:
        found = await inside.screenshot(visitor, machine_id)
        tag = f'"{found.tag}"'
        headers = {"etag": tag, "cache-control": "private, no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(None, status_code=304, headers=headers)
        return Response(found.body, media_type="image/png", headers=headers)

    return disk, resize, grow_inside, press, screenshot
