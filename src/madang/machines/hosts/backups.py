"""Backups: every disk of a machine as one moment has it, by QEMU itself while it runs, else by copying.

libvirt's daemon may be lost meanwhile: QEMU goes on, and so does waiting for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from madang.kernel.errors import Conflict, MadangError, SiteError, Unavailable
from madang.machines.hosts import agent, domain_xml, domains, failures
from madang.machines.hosts.binding import libvirt
from madang.machines.hosts.connection import Connection
from madang.machines.hosts.images import Images
from madang.machines.hosts.shapes import BackupFile, Drive, Progress

_LOOK_SECONDS = 0.2
# A copy is looked at after a small part of the time that it has taken so far: what is over is soon seen to be.
_LOOK_PART, _LOOK_LEAST, _LOOK_MOST = 0.03, 0.02, 1.0
# For a libvirt that is lost to come back, and for QEMU to stop when it is told to.
_UNDO_SECONDS = 10.0


async def backup(
    connection: Connection,
    images: Images,
    uuid: str,
    folder: Path,
    progress: Progress,
    agent_seconds: float,
    without: Collection[str] = (),
) -> tuple[BackupFile, ...]:
    drives = [drive for drive in await connection.call(_drives, uuid) if drive.path not in without]
    files = {drive.target: str(folder / f"{drive.target}.qcow2") for drive in drives}
    for path in files.values():
        if os.path.lexists(path):
            raise failures.disk_exists(path)
    progress(0.0, "copying")
    # It cannot be interrupted: who cancels it meanwhile has to wait, or it would begin after it was undone.
    beginning = asyncio.ensure_future(connection.call(_begin, uuid, files, agent_seconds))
    try:
        if await asyncio.shield(beginning):
            await _until_done(connection, uuid, progress)
        else:
            await _copy(images, drives, files, progress)
        return tuple([await _described(images, drive, files[drive.target]) for drive in drives])
    except BaseException:
        await asyncio.shield(_undo(connection, uuid, list(files.values()), beginning))
        raise


def _drives(connection: Any, uuid: str) -> tuple[Drive, ...]:
    domain = domains.find(connection, uuid)
    xml = domain.XMLDesc(0) if domain.isActive() else domains.inactive_xml(domain)
    return tuple(drive for drive in domain_xml.parse(xml).disks if drive.path is not None)


def _begin(connection: Any, uuid: str, files: dict[str, str], agent_seconds: float) -> bool:
    """False where the machine does not run. Raises Conflict (machine_busy)."""
    domain = domains.find(connection, uuid)
    if not domain.isActive():
        return False
    if domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE:
        raise Conflict("Another long work on the machine is not over yet.", code="machine_busy")
    with contextlib.suppress(libvirt.libvirtError):
        domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)  # forgets what was before
    xml = _order(domain_xml.parse(domain.XMLDesc(0)).drives, files)
    frozen = agent.freeze(domain, agent_seconds)
    try:
        domain.backupBegin(xml, None, 0)
    finally:
        if frozen:
            agent.thaw(domain)
    return True


def _order(drives: Sequence[Drive], files: dict[str, str]) -> str:
    order = Element("domainbackup", mode="push")
    disks = SubElement(order, "disks")
    for drive in drives:
        if drive.target in files:
            disk = SubElement(disks, "disk", name=drive.target, backup="yes", type="file")
            SubElement(disk, "driver", type="qcow2")
            SubElement(disk, "target", file=domain_xml.checked_path(files[drive.target]))
        elif drive.path is not None:
            SubElement(disks, "disk", name=drive.target, backup="no")
    return tostring(order, encoding="unicode")


async def _until_done(connection: Connection, uuid: str, progress: Progress) -> None:
    began = time.monotonic()
    while True:
        try:
            done, share = await connection.call(_state, uuid)
        except Unavailable:
            done, share = False, None
        if done:
            break
        progress(share, "copying")
        passed = time.monotonic() - began
        await asyncio.sleep(min(max(passed * _LOOK_PART, _LOOK_LEAST), _LOOK_MOST))
    progress(1.0, "copying")


def _state(connection: Any, uuid: str) -> tuple[bool, float | None]:
    """Whether it is over, and how much is done. Raises SiteError (backup_failed)."""
    domain = domains.find(connection, uuid)
    facts = domain.jobStats(0) if domain.isActive() else {}
    if facts.get("operation") == libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP and facts.get("type"):
        total = facts.get("disk_total") or 0
        return False, min(facts.get("disk_processed", 0) / total, 0.99) if total else None
    ended: dict[str, Any] = {}
    with contextlib.suppress(libvirt.libvirtError):
        ended = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED | libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED)
    if ended.get("type") == libvirt.VIR_DOMAIN_JOB_COMPLETED and ended.get("success", True):
        return True, 1.0
    why = ended.get("errmsg") or "it ended, and libvirt does not say how"
    raise SiteError(
        f"The backup failed: {why}.",
        code="backup_failed",
        title="The backup failed",
        hint="The machine itself is as it was. See that there is room, then try again.",
    )


async def _copy(images: Images, drives: Sequence[Drive], files: dict[str, str], progress: Progress) -> None:
    for place, drive in enumerate(drives):
        assert drive.path is not None

        def part(share: float | None, stage: str, place: int = place) -> None:
            progress(None if share is None else (place + share) / len(drives), stage)

        await images.copy(drive.path, drive.format or "raw", files[drive.target], part)


async def _described(images: Images, drive: Drive, path: str) -> BackupFile:
    found = await images.info(path, "qcow2")
    return BackupFile(drive.target, path, found.virtual_bytes, found.real_bytes, drive.path or "")


async def _undo(connection: Connection, uuid: str, paths: Sequence[str], beginning: asyncio.Future[bool]) -> None:
    await asyncio.wait([beginning])
    deadline = time.monotonic() + _UNDO_SECONDS
    while True:
        try:
            if not await connection.call(_abort, uuid):
                break
        except Unavailable:
            pass
        except MadangError:
            break
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(_LOOK_SECONDS)
    for path in paths:
        Path(path).unlink(missing_ok=True)


def _abort(connection: Any, uuid: str) -> bool:
    """Whether there still is something to end."""
    domain = domains.find(connection, uuid)
    if not domain.isActive() or domain.jobStats(0).get("operation") != libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP:
        return False
    with contextlib.suppress(libvirt.libvirtError):  # it is ending already
        domain.abortJob()
    return True
