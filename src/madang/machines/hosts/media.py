"""ISOs in CD drives, in any state of the machine. Everything here blocks."""

from __future__ import annotations

from typing import Any

from madang.machines.hosts import domain_xml, domains, failures, files, shared
from madang.machines.hosts.binding import libvirt


def change(connection: Any, uuid: str, target: str, path: str | None, force: bool, local: bool, system: bool) -> None:
    """Puts an ISO into a drive, or empties it (None): in the run first, then for the next start.

    Not both at once: libvirt would take the drive of this run for the next start too, with a boot order that was meant
    for this run alone.
    """
    domain = domains.find(connection, uuid)
    kept = domain_xml.medium_xml(domains.inactive_xml(domain), target, path, system)
    if path is not None:
        files.check_iso(path)
        if not local:
            shared.require_iso(connection, path)
    if domain.isActive():
        live = domain_xml.medium_xml(domain.XMLDesc(0), target, path, system)
        flags = libvirt.VIR_DOMAIN_AFFECT_LIVE | (libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE if force else 0)
        try:
            domain.updateDeviceFlags(live, flags)
        except libvirt.libvirtError as error:
            if _is_locked(error):
                raise failures.tray_locked(target) from error
            if path is not None and error.get_error_code() == libvirt.VIR_ERR_SYSTEM_ERROR:
                raise failures.iso_missing(path, str(error)) from error
            raise
    if domain.isPersistent():
        domain.updateDeviceFlags(kept, libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def _is_locked(error: Any) -> bool:
    said = str(error).lower()
    return error.get_error_code() == libvirt.VIR_ERR_OPERATION_FAILED and ("tray" in said or "locked" in said)
