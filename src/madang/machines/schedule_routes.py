"""HTTP of backups that come by themselves: parses and calls the service, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import get, put

from madang.identity.model import Visitor
from madang.kernel.clock import iso_or_none
from madang.kernel.problems import problems
from madang.machines.model import Machine, Schedule
from madang.machines.schedules import Schedules
from madang.machines.shapes import ChosenSchedule, MachineId
from madang.machines.views import BackupScheduleView, ScheduleView


def routes(schedules: Schedules) -> Sequence[Any]:
    @get(
        "/vms/{machine_id:str}/backup-schedule",
        operation_id="backupSchedule",
        summary="When a machine is backed up by itself, and what came of the last backup",
        responses=problems(401, 403, 404),
    )
    async def get_schedule(visitor: Visitor, machine_id: MachineId) -> BackupScheduleView:
        return _view(schedules, await schedules.of(visitor, machine_id))

    @put(
        "/vms/{machine_id:str}/backup-schedule",
        operation_id="chooseBackupSchedule",
        summary="Choose when a machine is backed up by itself",
        responses=problems(401, 403, 404, 422),
    )
    async def choose(visitor: Visitor, machine_id: MachineId, data: ChosenSchedule) -> BackupScheduleView:
        usual = schedules.site.usual
        own = None
        if data.every != "site":
            hour = usual.hour if data.hour is None else data.hour
            own = Schedule(data.every, hour, data.weekday or usual.weekday)
        return _view(schedules, await schedules.choose(visitor, machine_id, own))

    return get_schedule, choose


def _view(schedules: Schedules, machine: Machine) -> BackupScheduleView:
    shown, usual = schedules.shown(machine), schedules.site.usual
    return BackupScheduleView(
        every=shown.every,
        hour=shown.hour,
        weekday=shown.weekday,
        own=schedules.site.rule == "choose" and machine.plan.own is not None,
        rule=schedules.site.rule,
        site=ScheduleView(usual.every, usual.hour, usual.weekday),
        time_zone=schedules.zone,
        next_at=iso_or_none(machine.plan.next_at) if shown.every != "off" and not machine.template else None,
        failure=machine.plan.failure,
    )
