"""HTTP of snapshots, templates, backups and machines to be taken over: parses and calls the service, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Response, delete, get, post

from madang.identity.model import Visitor
from madang.kernel.clock import iso, iso_or_none
from madang.kernel.problems import problems
from madang.machines.adoption import Adoption
from madang.machines.backups import Backups
from madang.machines.model import Machine
from madang.machines.routes import AT_WORK, Answers
from madang.machines.service import Machines
from madang.machines.shapes import (
    BackupId,
    MachineId,
    NewClone,
    NewSnapshot,
    SnapshotName,
    Stranger,
    Template,
)
from madang.machines.shelf import Backup
from madang.machines.snapshots import Snapshots, known_of
from madang.machines.templates import Templates
from madang.machines.views import BackupView, MachineView, SnapshotView, StrangerView, TemplateView

CHANGES = {202: AT_WORK, **problems(401, 403, 404, 409, 422, 503, 507)}


def routes(
    machines: Machines, snapshots: Snapshots, templates: Templates, backups: Backups, adoption: Adoption
) -> Sequence[Any]:
    answers = Answers(machines)
    return [
        *_snapshots(snapshots, answers),
        *_templates(templates, answers),
        *_backups(backups, answers),
        *_kept(backups, answers),
        *_strangers(adoption, answers),
    ]


def _snapshots(snapshots: Snapshots, answers: Answers) -> Sequence[Any]:
    @get(
        "/vms/{machine_id:str}/snapshots",
        operation_id="listSnapshots",
        summary="A machine's snapshots, oldest first",
        responses=problems(401, 404, 503),
    )
    async def list_snapshots(visitor: Visitor, machine_id: MachineId) -> list[SnapshotView]:
        return [
            SnapshotView(one.name, known_of(one).title, iso(one.created_at), one.state, one.parent, one.current)
            for one in await snapshots.list(visitor, machine_id)
        ]

    @post(
        "/vms/{machine_id:str}/snapshots",
        operation_id="takeSnapshot",
        summary="Keep a machine's disks, and its memory while it runs, as they are now",
        status_code=200,
        responses=CHANGES,
    )
    async def take(visitor: Visitor, machine_id: MachineId, data: NewSnapshot) -> Response[MachineView]:
        return await answers.of(await snapshots.take(visitor, machine_id, data.title))

    @post(
        "/vms/{machine_id:str}/snapshots/{name:str}/revert",
        operation_id="revertToSnapshot",
        summary="Make a machine what it was; what came since is lost",
        status_code=200,
        responses=CHANGES,
    )
    async def revert(visitor: Visitor, machine_id: MachineId, name: SnapshotName) -> Response[MachineView]:
        return await answers.of(await snapshots.revert(visitor, machine_id, name))

    @delete(
        "/vms/{machine_id:str}/snapshots/{name:str}",
        operation_id="deleteSnapshot",
        summary="Remove a snapshot",
        status_code=200,
        responses=CHANGES,
    )
    async def drop(visitor: Visitor, machine_id: MachineId, name: SnapshotName) -> Response[MachineView]:
        return await answers.of(await snapshots.drop(visitor, machine_id, name))

    return list_snapshots, take, revert, drop


def _templates(templates: Templates, answers: Answers) -> Sequence[Any]:
    @post(
        "/vms/{machine_id:str}/template",
        operation_id="declareTemplate",
        summary="Make a machine a template, which does not run, or a machine again",
        status_code=200,
        responses=CHANGES,
    )
    async def declare(visitor: Visitor, machine_id: MachineId, data: Template) -> Response[MachineView]:
        return await answers.of((await templates.declare(visitor, machine_id, data.template, data.everybody), True))

    @get(
        "/vms/templates",
        operation_id="listTemplates",
        summary="What machines can be made of: one's own templates, and those for everybody",
        responses=problems(401),
    )
    async def list_templates(visitor: Visitor) -> list[TemplateView]:
        return [_template(one, visitor) for one in await templates.offered(visitor)]

    @post(
        "/vms/{machine_id:str}/clone",
        operation_id="cloneMachine",
        summary="Make a machine of a template, by a copy of its disk or linked to it",
        responses=CHANGES,
    )
    async def clone(visitor: Visitor, machine_id: MachineId, data: NewClone) -> Response[MachineView]:
        return await answers.of(await templates.clone(visitor, machine_id, data.name, linked=data.linked), 201)

    @post(
        "/vms/{machine_id:str}/disk/flatten",
        operation_id="flattenMachineDisk",
        summary="Make a linked machine's disk whole",
        status_code=200,
        responses=CHANGES,
    )
    async def flatten(visitor: Visitor, machine_id: MachineId) -> Response[MachineView]:
        return await answers.of(await templates.flatten(visitor, machine_id))

    return declare, list_templates, clone, flatten


def _backups(backups: Backups, answers: Answers) -> Sequence[Any]:
    @get(
        "/vms/{machine_id:str}/backups",
        operation_id="listBackups",
        summary="A machine's backups, newest first",
        responses=problems(401, 404),
    )
    async def list_backups(visitor: Visitor, machine_id: MachineId) -> list[BackupView]:
        return [_backup(one) for one in await backups.of(visitor, machine_id)]

    @post(
        "/vms/{machine_id:str}/backups",
        operation_id="takeBackup",
        summary="Back a machine up, also while it runs",
        status_code=200,
        responses=CHANGES,
    )
    async def take(visitor: Visitor, machine_id: MachineId) -> Response[MachineView]:
        return await answers.of(await backups.take(visitor, machine_id))

    @post(
        "/vms/{machine_id:str}/backups/{backup_id:str}/verify",
        operation_id="verifyBackup",
        summary="Read a backup to its end",
        status_code=200,
        responses=CHANGES,
    )
    async def verify(visitor: Visitor, machine_id: MachineId, backup_id: BackupId) -> Response[MachineView]:
        return await answers.of(await backups.verify(visitor, machine_id, backup_id))

    @post(
        "/vms/{machine_id:str}/backups/{backup_id:str}/restore",
        operation_id="restoreBackup",
        summary="Put a backup over its machine, after a backup of what that has now",
        status_code=200,
        responses=CHANGES,
    )
    async def restore(visitor: Visitor, machine_id: MachineId, backup_id: BackupId) -> Response[MachineView]:
        return await answers.of(await backups.restore(visitor, machine_id, backup_id))

    return list_backups, take, verify, restore


def _kept(backups: Backups, answers: Answers) -> Sequence[Any]:
    @get(
        "/vms/backups",
        operation_id="listOwnBackups",
        summary="One's own backups, also of machines that are gone, newest first",
        responses=problems(401),
    )
    async def list_own(visitor: Visitor) -> list[BackupView]:
        return [_backup(one) for one in await backups.mine(visitor)]

    @post(
        "/vms/backups/{backup_id:str}/new",
        operation_id="restoreIntoNewMachine",
        summary="Make a new machine of a backup",
        responses=CHANGES,
    )
    async def restore_new(visitor: Visitor, backup_id: BackupId, data: NewClone) -> Response[MachineView]:
        return await answers.of(await backups.restore_new(visitor, backup_id, data.name), 201)

    @delete(
        "/vms/backups/{backup_id:str}",
        operation_id="deleteBackup",
        summary="Remove one of one's own backups",
        responses=problems(401, 403, 404),
    )
    async def remove(visitor: Visitor, backup_id: BackupId) -> None:
        await backups.remove(visitor, backup_id)

    return list_own, restore_new, remove


def _strangers(adoption: Adoption, answers: Answers) -> Sequence[Any]:
    @get(
        "/vms/strangers",
        operation_id="listStrangers",
        summary="Machines that the hosts have and nobody here (operators)",
        responses=problems(401, 403, 503),
    )
    async def list_strangers(visitor: Visitor) -> list[StrangerView]:
        return [
            StrangerView(
                seen.uuid,
                seen.inactive.title or seen.name,
                host.name,
                seen.state,
                seen.inactive.cpus,
                seen.inactive.memory_bytes,
                next((drive.path for drive in seen.inactive.disks), None),
            )
            for host, seen in await adoption.strangers(visitor)
        ]

    @post(
        "/vms/strangers/{machine_id:str}/adopt",
        operation_id="adoptMachine",
        summary="Make such a machine somebody's; nothing in it is changed (operators)",
        responses=problems(401, 403, 404, 409, 422, 503),
    )
    async def adopt(visitor: Visitor, machine_id: MachineId, data: Stranger) -> Response[MachineView]:
        machine = await adoption.adopt(visitor, machine_id, data.host, data.person, data.name)
        return await answers.of((machine, True), 201)

    return list_strangers, adopt


def _backup(backup: Backup) -> BackupView:
    return BackupView(
        backup.id,
        backup.machine.id,
        backup.machine.name,
        iso(backup.created_at),
        backup.size,
        iso_or_none(backup.verified_at),
        backup.safety,
        len(backup.files),
    )


def _template(machine: Machine, visitor: Visitor) -> TemplateView:
    """No more of somebody else's than what a machine of it would have."""
    return TemplateView(
        machine.id,
        machine.name,
        machine.person_id == visitor.person.id,
        machine.offered,
        machine.host,
        machine.cpus,
        machine.memory_bytes,
        machine.disk_bytes,
        machine.firmware,
        machine.installation.value,
    )
