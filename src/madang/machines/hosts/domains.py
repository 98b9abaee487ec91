"""Machines as libvirt keeps them: found, defined, changed, forgotten. Everything here blocks (see connection.py)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from madang.kernel.errors import Conflict, InvalidInput, NotFound
from madang.machines.hosts import domain_xml, failures, new_domain
from madang.machines.hosts.binding import libvirt
from madang.machines.hosts.shapes import Definition, Wish


def find(connection: Any, uuid: str) -> Any:
    """Raises NotFound (no_such_machine)."""
    try:
        return connection.lookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_INVALID_ARG):
            raise failures.no_machine(uuid) from error
        raise


def inactive_xml(domain: Any) -> str:
    """What the next start takes, with what libvirt otherwise leaves out (a VNC password)."""
    return str(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))


def definition_xml(connection: Any, uuid: str) -> str:
    return inactive_xml(find(connection, uuid))


def define(connection: Any, wish: Wish, system: bool, local: bool) -> Definition:
    xml = new_domain.xml_of(wish, system, local)
    # defineXML would replace it.
    for look, what in ((connection.lookupByUUIDString, wish.uuid), (connection.lookupByName, wish.name)):
        try:
            look(what)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
        else:
            raise Conflict(f"The host has a machine {what} already.", code="machine_exists")
    return domain_xml.parse(inactive_xml(connection.defineXML(xml)))


def redefine(connection: Any, uuid: str, xml: str) -> Definition:
    """libvirt replaces a definition at once or not at all."""
    return change(connection, uuid, lambda _old: xml)


def change(connection: Any, uuid: str, edit: Callable[[str], str]) -> Definition:
    """Edits what the next start takes. Raises NotFound (no_such_machine) when somebody removes it meanwhile. After its
    removal libvirt has it again: to libvirt a definition that is changed is one that is made."""
    old = inactive_xml(find(connection, uuid))
    new = edit(old)
    before, after = domain_xml.parse(old), domain_xml.parse(new)
    if (after.uuid, after.name) != (before.uuid, before.name):
        raise failures.wrong_definition("This is the definition of another machine.")
    try:
        return domain_xml.parse(inactive_xml(connection.defineXML(new)))
    except libvirt.libvirtError as error:
        # What libvirt does not take is wrong in the same way, whatever part of it found that out.
        if not failures.is_gone(error) and error.get_error_domain() in (
            libvirt.VIR_FROM_DOMAIN,
            libvirt.VIR_FROM_XML,
            libvirt.VIR_FROM_CPU,
        ):
            raise failures.wrong_definition(str(error)) from error
        raise


def undefine(connection: Any, uuid: str) -> None:
    try:
        domain = find(connection, uuid)
    except NotFound:
        return
    if domain.isActive():
        raise failures.running()
    domain.undefineFlags(
        libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    )


def using(connection: Any, path: str, running: bool = False) -> list[tuple[Definition, bool]]:
    """Every machine that has this file in a drive, now or at its next start, and whether it runs; `running`: of those
    that do."""
    found = []
    for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE if running else 0):
        try:
            active = bool(domain.isActive())
            definitions = [domain_xml.parse(inactive_xml(domain))]
            if active:
                definitions.append(domain_xml.parse(domain.XMLDesc(0)))
        except (libvirt.libvirtError, InvalidInput):
            continue  # gone meanwhile
        for definition in definitions:
            if any(drive.path == path for drive in definition.drives):
                found.append((definition, active))
                break
    return found


def format_of(connection: Any, path: str, uuid: str | None = None) -> str:
    """The format of an image, from who uses it; ours are qcow2. Never by looking into it: a guest may write into a raw
    disk what looks like another format, which names any file of the host as its base.

    `uuid`: the machine that most likely has it. Without, all of them are asked.
    """
    if uuid is not None:
        with contextlib.suppress(NotFound):
            definition = domain_xml.parse(inactive_xml(find(connection, uuid)))
            if form := _format_in(definition, path):
                return form
    known = (_format_in(definition, path) for definition, _active in using(connection, path))
    return next(filter(None, known), "qcow2")


def free_format(connection: Any, path: str, uuid: str | None = None) -> str:
    """The format of an image that no running machine has, as `format_of`. Raises Conflict (disk_in_use)."""
    refuse_in_use(connection, path)
    return format_of(connection, path, uuid)


def refuse_in_use(connection: Any, path: str) -> None:
    """Raise Conflict (disk_in_use) for an image that a running machine has, or has from its next start on."""
    if any(active for _definition, active in using(connection, path, running=True)):
        raise failures.disk_in_use(path)


def _format_in(definition: Definition, path: str) -> str | None:
    return next((drive.format for drive in definition.disks if drive.path == path), None)
