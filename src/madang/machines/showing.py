"""Machines and operations as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from madang.kernel.clock import iso, iso_or_none
from madang.machines.model import Machine, Medium, Operation
from madang.machines.rules import pending
from madang.machines.store import etag_of
from madang.machines.suggestions import suggestions
from madang.machines.views import (
    BootOrderView,
    InstallationView,
    MachineView,
    MediumView,
    OnceView,
    OperationView,
    Owner,
    PendingView,
    ShareView,
    SuggestionView,
)

OTHER_ORDER = "other"  # one that libvirt has and we do not


def view(machine: Machine) -> MachineView:
    run = machine.run
    return MachineView(
        id=machine.id,
        name=machine.name,
        notes=machine.notes,
        owner=Owner(machine.person_id, machine.person_name),
        host=machine.host,
        state="unknown" if machine.unknown_since is not None else machine.state.value,
        last_state=machine.state.value,
        unknown_since=iso_or_none(machine.unknown_since),
        installation_status=machine.installation.value,
        boot_order=machine.boot_order or OTHER_ORDER,
        current_boot_order=(run.boot_order or OTHER_ORDER) if run else None,
        current_boot_device=run.boot_device if run else None,
        next_boot=_once(machine),
        disk_path=machine.disk_path,
        disk_size=machine.disk_bytes,
        disk_used=machine.disk_used,
        current_media=media_view(machine),
        pending=[PendingView(what=one.what, from_=one.now, to=one.then) for one in pending(machine)],
        firmware=machine.firmware,
        cpus=machine.cpus,
        memory_bytes=machine.memory_bytes,
        network=machine.network,
        protected=machine.protected,
        adopted=machine.adopted,
        template=machine.template,
        everybody=machine.offered,
        linked=machine.parent is not None,
        cloned_from=machine.cloned_from,
        suggestions=suggestions_view(machine),
        shares=[ShareView(one.person_id, one.person_name, one.mode) for one in machine.shares],
        failure=machine.failure,
        version=machine.version,
        etag=etag_of(machine),
        created_at=iso(machine.created_at),
        started_at=iso_or_none(run.since) if run else None,
        agent=run.agent if run else False,
        screenshot=run is not None and machine.unknown_since is None,
        next_backup_at=iso_or_none(machine.plan.next_at) if not machine.template else None,
    )


def _once(machine: Machine) -> OnceView | None:
    return OnceView(machine.next_boot, machine.next_boot_why or "asked") if machine.next_boot else None


def media_view(machine: Machine) -> list[MediumView]:
    """What is in its drives now: of the run when there is one."""
    media = machine.run.media if machine.run else machine.media
    return [_medium(medium, machine) for medium in media]


def _medium(medium: Medium, machine: Machine) -> MediumView:
    return MediumView(medium.target, _name(medium.path), medium.path, medium.path in machine.missing)


def _name(path: str | None) -> str | None:
    return Path(path).name if path else None


def suggestions_view(machine: Machine) -> list[SuggestionView]:
    return [
        SuggestionView(one.code, one.boot_order, one.target, _name(one.path), list(one.changed), one.can_do)
        for one in suggestions(machine)
    ]


def boot_order_view(machine: Machine) -> BootOrderView:
    run = machine.run
    return BootOrderView(
        boot_order=machine.boot_order or OTHER_ORDER,
        current=(run.boot_order or OTHER_ORDER) if run else None,
        pending=any(one.what == "boot_order" for one in pending(machine)),
        next_boot=_once(machine),
        current_boot_device=run.boot_device if run else None,
        etag=etag_of(machine),
    )


def installation_view(machine: Machine) -> InstallationView:
    return InstallationView(
        machine.installation.value,
        _name(machine.installing_from),
        iso_or_none(machine.installed_at),
        suggestions_view(machine),
    )


def operation_view(operation: Operation, can_cancel: bool) -> OperationView:
    return OperationView(
        id=operation.id,
        machine_id=operation.machine_id,
        kind=operation.kind,
        state=operation.state.value,
        progress=operation.progress,
        stage=operation.stage,
        can_cancel=can_cancel and not operation.over and not operation.cancel,
        asked_by=operation.asked_by,
        created_at=iso(operation.created_at),
        started_at=iso_or_none(operation.started_at),
        ended_at=iso_or_none(operation.ended_at),
        result=operation.result,
        failure=operation.failure,
    )


_NOTHING_AT_WORK = b',"operation":null,"queued":0}'


class EncodedViews:
    """Views as JSON without what is at work, kept by version: a list of hundreds is mostly joined, hardly encoded."""

    MOST = 5000

    def __init__(self) -> None:
        self._kept: dict[str, tuple[int, bytes]] = {}

    def known(self, wanted: Sequence[tuple[str, int]]) -> dict[str, bytes]:
        """By id, those wanted ones that are kept in this version."""
        kept = ((key, version, self._kept.get(key)) for key, version in wanted)
        return {key: found[1] for key, version, found in kept if found and found[0] == version}

    def keep(self, machines: Sequence[Machine]) -> dict[str, bytes]:
        """Encode these too; gives them by id."""
        if len(self._kept) > self.MOST:
            self._kept.clear()
        bodies = {one.id: msgspec.json.encode(view(one)).removesuffix(_NOTHING_AT_WORK) for one in machines}
        self._kept |= {one.id: (one.version, bodies[one.id]) for one in machines}
        return bodies


def join(
    wanted: Sequence[tuple[str, int]], bodies: Mapping[str, bytes], at_work: Mapping[str, tuple[OperationView, int]]
) -> bytes:
    """A JSON list; what is at work are the last keys of a view, so they are simply put at the end."""
    parts = (
        bodies[key] + (_at_work(*at_work[key]) if key in at_work else _NOTHING_AT_WORK)
        for key, _ in wanted
        if key in bodies
    )
    return b"[" + b",".join(parts) + b"]"


def _at_work(operation: OperationView, queued: int) -> bytes:
    return b',"operation":' + msgspec.json.encode(operation) + b',"queued":' + str(queued).encode() + b"}"
