"""Disks of a machine, while it runs or not. Everything here blocks."""

from __future__ import annotations

import time
from typing import Any

from madang.kernel.errors import Conflict
from madang.machines.hosts import domain_xml, domains, failures, images
from madang.machines.hosts.binding import libvirt
from madang.machines.hosts.shapes import DiskInfo, Drive

_LOOK_SECONDS = 0.05


def find(connection: Any, uuid: str, path: str) -> tuple[Drive, bool]:
    """The machine's disk of this file, and whether the machine runs. Raises NotFound (disk_missing)."""
    domain = domains.find(connection, uuid)
    active = bool(domain.isActive())
    definition = domain_xml.parse(domain.XMLDesc(0) if active else domains.inactive_xml(domain))
    for drive in definition.disks:
        if drive.path == path:
            return drive, active
    raise failures.disk_missing(path)


def info(connection: Any, path: str) -> DiskInfo:
    """A disk on storage that only its host sees. Raises NotFound (disk_missing)."""
    for definition, _runs in domains.using(connection, path):
        for drive in definition.disks:
            if drive.path == path:
                virtual, real, _physical = domains.find(connection, definition.uuid).blockInfo(drive.target)
                return DiskInfo(path, virtual, real, drive.format or "raw")
    raise failures.disk_missing(path)


def grow_live(connection: Any, uuid: str, target: str, before: DiskInfo, size_bytes: int) -> None:
    """QEMU would shrink it as well. Raises InvalidInput (shrink_refused)."""
    wanted = images.grown(before, size_bytes)
    domains.find(connection, uuid).blockResize(target, wanted, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)


def attach(connection: Any, uuid: str, path: str, form: str) -> str:
    """In the run first, then for the next start. Raises Conflict (disk_in_use, no_free_slot)."""
    if domains.using(connection, path):
        raise failures.disk_in_use(path)
    domain = domains.find(connection, uuid)
    active = bool(domain.isActive())
    kept = domains.inactive_xml(domain)
    target = domain_xml.free_target(kept, domain.XMLDesc(0)) if active else domain_xml.free_target(kept)
    xml = domain_xml.disk_xml(path, target, form)
    if active:
        _attach_live(domain, xml, path)
    try:
        domain.attachDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    except libvirt.libvirtError:
        if active:
            domain.detachDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        raise
    return target


def _attach_live(domain: Any, xml: str, path: str) -> None:
    try:
        domain.attachDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    except libvirt.libvirtError as error:
        said = str(error)
        if "lock" in said:
            raise failures.disk_in_use(path) from error
        if "No more available PCI slots" in said:
            raise Conflict(
                "No more disks can be added while the machine runs.",
                code="no_free_slot",
                hint="Shut it down and add the disk then.",
            ) from error
        raise


def detach(connection: Any, uuid: str, target: str, seconds: float) -> None:
    """The guest has `seconds` to let it go; when it does not, nothing has changed. Raises Conflict (disk_held)."""
    domain = domains.find(connection, uuid)
    kept, active = domains.inactive_xml(domain), bool(domain.isActive())
    live = domain.XMLDesc(0) if active else ""
    there = [xml for xml in (live, kept) if xml and _has(xml, target)]
    if not there:
        raise failures.no_such_drive(target)
    if live in there:
        deadline = time.monotonic() + seconds  # libvirt itself waits for a while
        domain.detachDeviceFlags(domain_xml.drive_xml(live, target), libvirt.VIR_DOMAIN_AFFECT_LIVE)
        _wait_until_gone(domain, target, deadline)
    if kept in there:
        domain.detachDeviceFlags(domain_xml.drive_xml(kept, target), libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def _has(xml: str, target: str) -> bool:
    return any(drive.target == target for drive in domain_xml.parse(xml).disks)


def _wait_until_gone(domain: Any, target: str, deadline: float) -> None:
    while domain.isActive() and _has(domain.XMLDesc(0), target):
        if time.monotonic() > deadline:
            raise Conflict(
                f"The system in the machine does not let go of {target}.",
                code="disk_held",
                hint="Unmount it there first, or shut the machine down.",
            )
        time.sleep(_LOOK_SECONDS)
