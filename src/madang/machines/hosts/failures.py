"""What goes wrong on a host, as our errors: a sentence and what to do."""

from __future__ import annotations

import re
from typing import Any

from madang.kernel.errors import Conflict, InvalidInput, MadangError, NoSpace, NotFound, SiteError, Unavailable
from madang.machines.hosts.binding import libvirt


def unreachable(name: str, why: str) -> MadangError:
    return Unavailable(
        f"The host {name} does not answer: {why}",
        code="host_unreachable",
        title="The host of this machine does not answer",
        hint="Machines that run go on running. Try again in a moment; if it stays, an operator has to look at libvirt.",
    )


def no_machine(uuid: str) -> MadangError:
    return NotFound(
        f"The host has no machine {uuid}.",
        code="no_such_machine",
        hint="Somebody may have removed it with other tools.",
    )


def running() -> MadangError:
    return Conflict("The machine runs.", code="machine_running", hint="Shut it down first.")


def not_running() -> MadangError:
    return Conflict("The machine does not run.", code="machine_not_running", hint="Start it first.")


def tray_locked(target: str) -> MadangError:
    return Conflict(
        f"The system in the machine holds the tray of drive {target}.",
        code="tray_locked",
        title="The tray is locked",
        hint="Unmount the medium in the system, or use Force: programs that read from it will fail.",
    )


def disk_in_use(path: str) -> MadangError:
    return Conflict(
        f"The disk {path} is in use.",
        code="disk_in_use",
        hint="Shut down the machine that uses it, or take the disk away from it.",
    )


def disk_missing(path: str) -> MadangError:
    return NotFound(
        f"The disk {path} is not there.",
        code="disk_missing",
        title="A disk is missing",
        hint="Restore it from a backup, or remove it from the machine.",
    )


def disk_exists(path: str) -> MadangError:
    return Conflict(f"There is a file {path} already.", code="disk_exists", hint="Choose another name.")


def iso_missing(path: str, why: str) -> MadangError:
    return InvalidInput(
        f"The ISO {path} cannot be used: {why}.",
        code="iso_missing",
        title="The ISO is missing",
        hint="Choose another one, or eject it.",
    )


def no_such_drive(target: str) -> MadangError:
    return InvalidInput(f"The machine has no drive {target}.", code="no_such_drive")


def no_console(why: str) -> MadangError:
    return Conflict(
        f"The machine has no console that can be opened: {why}.",
        code="no_console",
        hint="Its definition needs a VNC screen, or a serial port.",
    )


def no_space(detail: str) -> MadangError:
    return NoSpace(detail, title="The host's disk is full", hint="Delete what is not needed, or ask an operator.")


def wrong_definition(detail: str) -> MadangError:
    return InvalidInput(detail, code="wrong_definition", title="libvirt does not take this definition")


def is_gone(error: Any) -> bool:
    """Whether a libvirtError says that there is no such machine, or none in a moment."""
    gone = (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_INVALID_DOMAIN)
    return error.get_error_code() in gone or "already being removed" in str(error)


def from_libvirt(error: Any, host: str) -> MadangError:
    """What a libvirtError means. Lost connections are told apart by who asked (see connection.py)."""
    code, said = error.get_error_code(), (error.get_error_message() or str(error)).strip()
    if is_gone(error):
        return NotFound(said, code="no_such_machine", hint="Somebody may have removed it with other tools.")
    if code == libvirt.VIR_ERR_OPERATION_INVALID:
        if re.search(r"not running|not active|not paused", said):
            return not_running()
        if re.search(r"already (running|active)|is active|is running", said):
            return running()
        return Conflict(said, code="machine_state")
    if code in (libvirt.VIR_ERR_XML_ERROR, libvirt.VIR_ERR_XML_DETAIL, libvirt.VIR_ERR_XML_INVALID_SCHEMA):
        return wrong_definition(said)
    if code == libvirt.VIR_ERR_CONFIG_UNSUPPORTED:
        return wrong_definition(said)
    if code == libvirt.VIR_ERR_OPERATION_TIMEOUT:
        return Conflict(said, code="machine_busy", title="The machine is busy", hint="Try again in a moment.")
    if found := re.search(r'Failed to get ("write"|shared "write"|"consistent read"|"\w+") lock', said):
        path = re.search(r"'file','?filename'?[:=]'([^']+)'|filename\":\"([^\"]+)\"", said)
        return disk_in_use(next(filter(None, path.groups())) if path else found[0])
    if missing := re.search(r"Could not open '([^']+)': No such file or directory", said):
        return disk_missing(missing[1])
    if "No space left" in said:
        return no_space(said)
    if "writing VM state" in said:  # which does not say that there was no room
        return SiteError(
            said,
            code="snapshot_failed",
            title="The snapshot could not be written",
            hint="See that there is room for the machine's memory beside its disk, or take it while it is off.",
        )
    if code in (libvirt.VIR_ERR_NO_CONNECT, libvirt.VIR_ERR_INVALID_CONN, libvirt.VIR_ERR_AUTH_FAILED):
        return unreachable(host, said)
    return libvirt_failed(said)


def libvirt_failed(said: str) -> MadangError:
    return SiteError(
        said,
        code="libvirt_failed",
        title="The host could not do this",
        hint="An operator finds more in the log of libvirt on that host.",
    )
