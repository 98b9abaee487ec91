"""HTTP of boot orders, media and installations: parses and calls the service, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Response, delete, get, post
from litestar.params import Parameter

from madang.identity.model import Visitor
from madang.kernel.problems import problems
from madang.machines.boot import Boot
from madang.machines.media import Media
from madang.machines.model import Installation
from madang.machines.offers import preset_view
from madang.machines.routes import AT_WORK, Answers, IfMatch, edition
from madang.machines.service import Machines
from madang.machines.shapes import (
    Attach,
    Completion,
    Detach,
    Dismissal,
    InstallationChange,
    MachineId,
    NewBootOrder,
    NewBootPreset,
    Once,
)
from madang.machines.showing import boot_order_view, installation_view, media_view
from madang.machines.views import BootOrderView, BootPresetView, InstallationView, MachineView, MediumView

CHANGES = {202: AT_WORK, **problems(401, 403, 404, 409, 412, 422, 503, 507)}


def routes(machines: Machines, boot: Boot, media: Media) -> Sequence[Any]:
    answers = Answers(machines)
    return [
        *_order(machines, boot, answers),
        *_presets(boot),
        *_media(machines, media, answers),
        *_installation(machines, boot, answers),
    ]


def _order(machines: Machines, boot: Boot, answers: Answers) -> Sequence[Any]:
    @get(
        "/vms/{machine_id:str}/boot-order",
        operation_id="getBootOrder",
        summary="From what a machine boots: kept, now, and at the next start",
        responses=problems(401, 404),
    )
    async def get_order(visitor: Visitor, machine_id: MachineId) -> Response[BootOrderView]:
        shown = boot_order_view(await machines.seen_by(visitor, machine_id))
        return Response(shown, headers={"etag": f'"{shown.etag}"'})

    @post(
        "/vms/{machine_id:str}/boot-order",
        operation_id="setBootOrder",
        summary="Have a machine boot in another order from its next start on, or now",
        status_code=200,
        responses=CHANGES,
    )
    async def set_order(
        visitor: Visitor, machine_id: MachineId, data: NewBootOrder, if_match: IfMatch = None
    ) -> Response[MachineView]:
        now = data.apply == "now"
        return await answers.of(await boot.order(visitor, machine_id, data.boot_order, now=now, etag=edition(if_match)))

    @post(
        "/vms/{machine_id:str}/boot-order/apply",
        operation_id="applyBootOrder",
        summary="Restart a machine, so that it has what is pending",
        status_code=200,
        responses=CHANGES,
    )
    async def apply(visitor: Visitor, machine_id: MachineId, if_match: IfMatch = None) -> Response[MachineView]:
        return await answers.of(await boot.apply(visitor, machine_id, edition(if_match)))

    @post(
        "/vms/{machine_id:str}/boot-order/discard",
        operation_id="discardBootOrder",
        summary="Keep the order that a machine runs with",
        status_code=200,
        responses=CHANGES,
    )
    async def discard(visitor: Visitor, machine_id: MachineId, if_match: IfMatch = None) -> Response[MachineView]:
        return await answers.of(await boot.discard(visitor, machine_id, edition(if_match)))

    @post(
        "/vms/{machine_id:str}/boot-order/once",
        operation_id="bootOnce",
        summary="The order that the next start alone takes, as in: boot the CD once",
        status_code=200,
        responses=CHANGES,
    )
    async def once(
        visitor: Visitor, machine_id: MachineId, data: Once, if_match: IfMatch = None
    ) -> Response[MachineView]:
        changed = await boot.once(visitor, machine_id, data.boot_order, edition(if_match))
        return await answers.of((changed, True))

    @delete(
        "/vms/{machine_id:str}/boot-order/once",
        operation_id="doNotBootOnce",
        summary="Have the next start take the kept order",
        status_code=200,
        responses=CHANGES,
    )
    async def not_once(visitor: Visitor, machine_id: MachineId, if_match: IfMatch = None) -> Response[MachineView]:
        return await answers.of((await boot.once(visitor, machine_id, None, edition(if_match)), True))

    return get_order, set_order, apply, discard, once, not_once


def _presets(boot: Boot) -> Sequence[Any]:
    @get(
        "/vms/boot-presets",
        operation_id="listBootPresets",
        summary="Boot orders with a name: the site's, and one's own",
        responses=problems(401),
    )
    async def list_presets(visitor: Visitor) -> list[BootPresetView]:
        return [preset_view(preset) for preset in await boot.presets(visitor)]

    @post(
        "/vms/boot-presets",
        operation_id="createBootPreset",
        summary="Give a boot order a name",
        responses=problems(401, 403, 409, 422),
    )
    async def add_preset(visitor: Visitor, data: NewBootPreset) -> BootPresetView:
        return preset_view(await boot.add_preset(visitor, data.name, data.boot_order))

    @delete(
        "/vms/boot-presets/{preset_id:str}",
        operation_id="deleteBootPreset",
        summary="Remove one of one's own presets",
        responses=problems(401, 403, 404),
    )
    async def remove_preset(
        visitor: Visitor, preset_id: Annotated[str, Parameter(max_length=100, description="Id of a preset.")]
    ) -> None:
        await boot.remove_preset(visitor, preset_id)

    return list_presets, add_preset, remove_preset


def _media(machines: Machines, media: Media, answers: Answers) -> Sequence[Any]:
    @get(
        "/vms/{machine_id:str}/media",
        operation_id="listMedia",
        summary="A machine's drives and what is in them",
        responses=problems(401, 404),
    )
    async def list_media(visitor: Visitor, machine_id: MachineId) -> list[MediumView]:
        return media_view(await machines.seen_by(visitor, machine_id))

    @post(
        "/vms/{machine_id:str}/media/attach",
        operation_id="attachMedium",
        summary="Put an ISO of the catalogue into a drive",
        status_code=200,
        responses=CHANGES,
    )
    async def attach(visitor: Visitor, machine_id: MachineId, data: Attach) -> Response[MachineView]:
        return await answers.of(await media.insert(visitor, machine_id, data.iso_path, data.target, force=data.force))

    @post(
        "/vms/{machine_id:str}/media/detach",
        operation_id="detachMedium",
        summary="Take the ISO out of a drive, or of all",
        status_code=200,
        responses=CHANGES,
    )
    async def detach(visitor: Visitor, machine_id: MachineId, data: Detach) -> Response[MachineView]:
        return await answers.of(await media.eject(visitor, machine_id, data.target, force=data.force))

    return list_media, attach, detach


def _installation(machines: Machines, boot: Boot, answers: Answers) -> Sequence[Any]:
    @post(
        "/vms/{machine_id:str}/complete-installation",
        operation_id="completeInstallation",
        summary="Its system is installed; boot order and media change only if that is asked for",
        status_code=200,
        responses=CHANGES,
    )
    async def complete(visitor: Visitor, machine_id: MachineId, data: Completion) -> Response[MachineView]:
        return await answers.of(
            await boot.complete(visitor, machine_id, eject=data.eject, order=data.boot_order, snapshot=data.snapshot)
        )

    @get(
        "/vms/{machine_id:str}/installation-status",
        operation_id="getInstallationStatus",
        summary="How far a machine's installation is",
        responses=problems(401, 404),
    )
    async def get_status(visitor: Visitor, machine_id: MachineId) -> InstallationView:
        return installation_view(await machines.seen_by(visitor, machine_id))

    @post(
        "/vms/{machine_id:str}/installation-status",
        operation_id="setInstallationStatus",
        summary="Tell how far it is, by hand",
        status_code=200,
        responses=CHANGES,
    )
    async def set_status(visitor: Visitor, machine_id: MachineId, data: InstallationChange) -> Response[MachineView]:
        status = Installation(data.installation_status)
        return await answers.of((await boot.installation(visitor, machine_id, status), True))

    @post(
        "/vms/{machine_id:str}/suggestions/dismiss",
        operation_id="dismissSuggestion",
        summary="Do not show a suggestion any more",
        status_code=200,
        responses=CHANGES,
    )
    async def dismiss(visitor: Visitor, machine_id: MachineId, data: Dismissal) -> Response[MachineView]:
        return await answers.of((await boot.dismiss(visitor, machine_id, data.code), True))

    return complete, get_status, set_status, dismiss
