"""Snapshots inside a machine's own disks, with its memory while it runs. Everything here blocks."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from madang.kernel.errors import Conflict, InvalidInput, NotFound
from madang.machines.hosts import domain_xml, domains
from madang.machines.hosts.binding import libvirt
from madang.machines.hosts.shapes import Snapshot

# It is also the name of a file of libvirt's.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def take(connection: Any, uuid: str, name: str, description: str) -> Snapshot:
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"A snapshot cannot be called {domain_xml.text(name)!r}.",
            code="wrong_name",
            hint="Letters, digits, dots, dashes and underscores can be used.",
        )
    domain = domains.find(connection, uuid)
    if any(snapshot.getName() == name for snapshot in domain.listAllSnapshots(0)):
        raise Conflict(f"There is a snapshot {name} already.", code="snapshot_exists", hint="Choose another name.")
    element = ElementTree.Element("domainsnapshot")
    ElementTree.SubElement(element, "name").text = name
    ElementTree.SubElement(element, "description").text = domain_xml.text(description)
    try:
        taken = domain.snapshotCreateXML(ElementTree.tostring(element, encoding="unicode"), 0)
    except libvirt.libvirtError as error:
        unsupported = (libvirt.VIR_ERR_OPERATION_UNSUPPORTED, libvirt.VIR_ERR_CONFIG_UNSUPPORTED)
        if error.get_error_code() in unsupported or "pflash" in str(error):
            raise Conflict(
                str(error),
                code="snapshot_unsupported",
                title="No snapshot can be taken now",
                hint="Shut the machine down first, or make a backup.",
            ) from error
        raise
    return _snapshot(taken)


def listed(connection: Any, uuid: str) -> list[Snapshot]:
    """Oldest first."""
    found = [_snapshot(each) for each in domains.find(connection, uuid).listAllSnapshots(0)]
    return sorted(found, key=lambda snapshot: (snapshot.created_at, snapshot.name))


def revert(connection: Any, uuid: str, name: str) -> None:
    domain = domains.find(connection, uuid)
    snapshot = _find(domain, name)
    try:
        domain.revertToSnapshot(snapshot, 0)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_SNAPSHOT_REVERT_RISKY:
            raise
        # The definition has changed meanwhile; the one of then comes back, which is what was asked for.
        domain.revertToSnapshot(snapshot, libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_FORCE)


def remove(connection: Any, uuid: str, name: str) -> None:
    """Later ones stay. Silent when it is gone already."""
    try:
        _find(domains.find(connection, uuid), name).delete(0)
    except NotFound:
        return


def forget(connection: Any, uuid: str) -> None:
    """What libvirt knows of them; the disks are not touched."""
    for snapshot in domains.find(connection, uuid).listAllSnapshots(0):
        snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)


def _find(domain: Any, name: str) -> Any:
    for snapshot in domain.listAllSnapshots(0):
        if snapshot.getName() == name:
            return snapshot
    raise NotFound(f"There is no snapshot {domain_xml.text(name)}.", code="no_such_snapshot")


def _snapshot(snapshot: Any) -> Snapshot:
    element = ElementTree.fromstring(snapshot.getXMLDesc(0))
    domain = element.find("domain")
    drives = domain_xml.parse(domain_xml.written(domain)).disks if domain is not None else None
    return Snapshot(
        name=snapshot.getName(),
        created_at=float(element.findtext("creationTime") or 0),
        state=element.findtext("state") or "",
        parent=element.findtext("parent/name"),
        current=bool(snapshot.isCurrent()),
        description=element.findtext("description") or "",
        disks=tuple(drive.path for drive in drives if drive.path) if drives is not None else None,
    )
