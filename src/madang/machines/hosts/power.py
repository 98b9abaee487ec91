"""Starting and stopping machines, and their keys. Everything here blocks."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from madang.kernel.errors import Conflict, InvalidInput, MadangError
from madang.machines.hosts import domain_xml, domains, failures, files
from madang.machines.hosts.binding import libvirt
from madang.machines.hosts.shapes import BootOrder, Drive, OnReboot

_KEY_MILLISECONDS = 50
_RESET_SECONDS = 5.0
_SETTLE_SECONDS = 0.3
_MOST_KEYS = 16  # VIR_DOMAIN_SEND_KEY_MAX_KEYS


def start(connection: Any, uuid: str, first: BootOrder | None, on_reboot: OnReboot, began: float, local: bool) -> None:
    """Runs a copy of the definition that says what is different this time. libvirt keeps the definition itself for the
    next start: it stays as it is whatever is killed meanwhile, libvirt's daemon included."""
    domain = domains.find(connection, uuid)
    if domain.isActive():
        raise failures.running()
    xml = domains.inactive_xml(domain)
    definition = domain_xml.parse(xml)
    if local:
        files.check_drives(definition.drives)
    if domain.hasManagedSaveImage():
        domain.create()  # the run that was put aside: after another one, its memory would not fit the disk any more
        return
    # "restart" is what every definition says unless somebody wanted it otherwise.
    run = domain_xml.with_run(xml, first, on_reboot if on_reboot != "restart" else None, began)
    try:
        connection.createXML(run, 0)
    except libvirt.libvirtError as error:
        if "lock" in str(error):
            raise failures.disk_in_use(_named(str(error), [drive.path for drive in definition.disks])) from error
        if domain.isActive():
            raise failures.running() from error
        if not local and "No such file" in str(error):
            raise _missing(str(error), definition.drives) from error
        raise


def _missing(message: str, drives: Sequence[Drive]) -> MadangError:
    """The drive whose file its host does not have."""
    for drive in drives:
        if drive.path and drive.path in message:
            if drive.kind == "cdrom":
                return failures.iso_missing(drive.path, "its host does not see this file")
            return failures.disk_missing(drive.path)
    return failures.libvirt_failed(message)


def _named(message: str, paths: Sequence[str | None]) -> str:
    """The path that an error speaks of."""
    known = [path for path in paths if path]
    return next((path for path in known if path in message), known[0] if len(known) == 1 else "of this machine")


def shut_down(connection: Any, uuid: str) -> None:
    """By the guest agent where there is one, else by the power button."""
    _running(connection, uuid).shutdown()


def reset(connection: Any, uuid: str) -> None:
    """Also where the guest's own restart ends the run: libvirt would take this for one."""
    domain = _running(connection, uuid)
    if domain_xml.parse(domain.XMLDesc(0)).on_reboot != "destroy":
        domain.reset()
        return
    event, live = libvirt.VIR_DOMAIN_LIFECYCLE_REBOOT, libvirt.VIR_DOMAIN_AFFECT_LIVE
    done = threading.Event()
    number = connection.domainEventRegisterAny(
        domain, libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, lambda *_event: done.set(), None
    )
    try:
        domain.setLifecycleAction(event, libvirt.VIR_DOMAIN_LIFECYCLE_ACTION_RESTART, live)
        domain.reset()
        # What is to be done is looked up when QEMU has reset, not before; no system restarts itself so soon.
        done.wait(_RESET_SECONDS)
        time.sleep(_SETTLE_SECONDS)
    finally:
        domain.setLifecycleAction(event, libvirt.VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY, live)
        connection.domainEventDeregisterAny(number)


def force_off(connection: Any, uuid: str) -> None:
    _running(connection, uuid).destroy()


def pause(connection: Any, uuid: str) -> None:
    _running(connection, uuid).suspend()


def resume(connection: Any, uuid: str) -> None:
    domain = _running(connection, uuid)
    state = domain.state()[0]
    if state == libvirt.VIR_DOMAIN_PMSUSPENDED:
        domain.pMWakeup()
    elif state == libvirt.VIR_DOMAIN_PAUSED:
        domain.resume()
    else:
        raise Conflict("The machine is not paused.", code="machine_running")


def send_keys(connection: Any, uuid: str, keys: Sequence[str]) -> None:
    numbers = [_key(name) for name in keys]
    if not 1 <= len(numbers) <= _MOST_KEYS:
        raise InvalidInput(f"Between one and {_MOST_KEYS} keys can be pressed at once.", code="unknown_key")
    domain = _running(connection, uuid)
    domain.sendKey(libvirt.VIR_KEYCODE_SET_LINUX, _KEY_MILLISECONDS, numbers, len(numbers), 0)


def _running(connection: Any, uuid: str) -> Any:
    domain = domains.find(connection, uuid)
    if not domain.isActive():
        raise failures.not_running()
    return domain


def _key(name: str) -> int:
    try:
        return _KEYS[name.upper().removeprefix("KEY_")]
    except KeyError:
        raise InvalidInput(
            f"There is no key {domain_xml.text(name)!r}.", code="unknown_key", hint="For example KEY_LEFTCTRL."
        ) from None


def _keys() -> dict[str, int]:
    """Linux' numbers of keys (linux/input-event-codes.h)."""
    rows = {
        1: "ESC 1 2 3 4 5 6 7 8 9 0 MINUS EQUAL BACKSPACE TAB Q W E R T Y U I O P LEFTBRACE RIGHTBRACE ENTER LEFTCTRL "
        "A S D F G H J K L SEMICOLON APOSTROPHE GRAVE LEFTSHIFT BACKSLASH Z X C V B N M COMMA DOT SLASH RIGHTSHIFT "
        "KPASTERISK LEFTALT SPACE CAPSLOCK F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 NUMLOCK SCROLLLOCK",
        87: "F11 F12",
        96: "KPENTER RIGHTCTRL KPSLASH SYSRQ RIGHTALT",
        102: "HOME UP PAGEUP LEFT RIGHT END DOWN PAGEDOWN INSERT DELETE",
        119: "PAUSE",
        122: "HANGEUL HANJA",
        125: "LEFTMETA RIGHTMETA COMPOSE",
    }
    return {name: first + place for first, row in rows.items() for place, name in enumerate(row.split())}


_KEYS = _keys()
