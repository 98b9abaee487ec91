"""HTTP of CPUs, memory and network: parses and calls the service, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Response, patch, post

from madang.identity.model import Visitor
from madang.kernel.problems import problems
from madang.machines.hardware import Hardware
from madang.machines.hosts.shapes import Hardware as Wanted
from madang.machines.routes import AT_WORK, Answers, IfMatch, edition
from madang.machines.service import Machines
from madang.machines.shapes import MachineId, NewHardware
from madang.machines.views import MachineView

CHANGES = {202: AT_WORK, **problems(401, 403, 404, 409, 412, 422, 503)}


def routes(machines: Machines, hardware: Hardware) -> Sequence[Any]:
    answers = Answers(machines)

    @patch(
        "/vms/{machine_id:str}/hardware",
        operation_id="changeHardware",
        summary="Give a machine other CPUs, memory or network from its next start on, or now",
        responses=CHANGES,
    )
    async def change(
        visitor: Visitor, machine_id: MachineId, data: NewHardware, if_match: IfMatch = None
    ) -> Response[MachineView]:
        wanted = Wanted(data.cpus, data.memory_bytes, data.network)
        now = data.apply == "now"
        return await answers.of(await hardware.change(visitor, machine_id, wanted, now=now, etag=edition(if_match)))

    @post(
        "/vms/{machine_id:str}/hardware/discard",
        operation_id="discardHardware",
        summary="Keep the CPUs, the memory and the network that a machine runs with",
        status_code=200,
        responses=CHANGES,
    )
    async def discard(visitor: Visitor, machine_id: MachineId, if_match: IfMatch = None) -> Response[MachineView]:
        return await answers.of(await hardware.discard(visitor, machine_id, edition(if_match)))

    return [change, discard]
