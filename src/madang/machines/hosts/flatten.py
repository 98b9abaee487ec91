"""Making a linked clone's disk whole while its machine runs."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from madang.kernel.errors import MadangError, SiteError, Unavailable
from madang.machines.hosts import domain_xml, domains, failures
from madang.machines.hosts.connection import Connection
from madang.machines.hosts.shapes import Drive, Progress

_LOOK_SECONDS = 0.1


def find(connection: Any, uuid: str, target: str) -> tuple[Drive, bool]:
    """The disk, and whether its machine runs. Raises InvalidInput (no_such_drive)."""
    domain = domains.find(connection, uuid)
    active = bool(domain.isActive())
    for drive in domain_xml.parse(domain.XMLDesc(0) if active else domains.inactive_xml(domain)).disks:
        if drive.target == target and drive.path is not None:
            return drive, active
    raise failures.no_such_drive(target)


async def live(connection: Connection, uuid: str, target: str, progress: Progress) -> None:
    """Cancelling it leaves the disk with its base, as it was. libvirt's daemon may be lost meanwhile."""
    beginning = asyncio.ensure_future(connection.call(_begin, uuid, target))
    try:
        await asyncio.shield(beginning)
        while True:
            try:
                share = await connection.call(_share, uuid, target)
            except Unavailable:
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            if share is None:
                break
            progress(share, "flattening")
            await asyncio.sleep(_LOOK_SECONDS)
    except asyncio.CancelledError:
        await asyncio.shield(_undo(connection, uuid, target, beginning))
        raise
    if await connection.call(_has_base, uuid, target):
        raise SiteError(
            "The disk still needs its base.", code="flatten_failed", hint="See that there is room, then try again."
        )
    progress(1.0, "flattening")


async def _undo(connection: Connection, uuid: str, target: str, beginning: asyncio.Future[None]) -> None:
    await asyncio.wait([beginning])
    with contextlib.suppress(MadangError):
        await connection.call(_abort, uuid, target)


def _begin(connection: Any, uuid: str, target: str) -> None:
    domain = domains.find(connection, uuid)
    if not domain.blockJobInfo(target):
        domain.blockPull(target, 0, 0)


def _share(connection: Any, uuid: str, target: str) -> float | None:
    """None when it is over."""
    domain = domains.find(connection, uuid)
    facts = domain.blockJobInfo(target) if domain.isActive() else None
    return min(facts["cur"] / facts["end"], 0.99) if facts and facts["end"] else 0.0 if facts else None


def _abort(connection: Any, uuid: str, target: str) -> None:
    domain = domains.find(connection, uuid)
    if domain.isActive() and domain.blockJobInfo(target):
        domain.blockJobAbort(target, 0)


def _has_base(connection: Any, uuid: str, target: str) -> bool:
    domain = domains.find(connection, uuid)
    if not domain.isActive():
        return True
    for disk in domain_xml.read(domain.XMLDesc(0)).iterfind("devices/disk"):
        name = disk.find("target")
        if name is not None and name.get("dev") == target:
            return disk.find("backingStore/source") is not None
    return True
