"""libvirt's events, as changes. The callbacks run in libvirt's own thread."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any, Literal

from madang.machines.hosts.binding import libvirt, libvirt_qemu
from madang.machines.hosts.shapes import Change

Tell = Callable[[Change], None]
What = Literal["started", "stopped", "crashed", "paused", "resumed", "defined", "removed"]

# VIR_DOMAIN_EVENT_STOPPED_*
_STOPPED = ("shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from_snapshot")
# VIR_DOMAIN_EVENT_*. 6 (the guest has ended) is followed by "stopped"; 7 (the guest sleeps) is a kind of pause.
_LIFECYCLE: dict[int, What] = {
    0: "defined",
    1: "removed",
    2: "started",
    3: "paused",
    4: "resumed",
    5: "stopped",
    7: "paused",
    8: "crashed",
}
_AGENT = {1: "connected", 2: "disconnected"}
# QEMU's ShutdownCause, of its event SHUTDOWN: a restart that ends the run is "guest-reset". libvirt's own events and
# states say "shutdown" of both.
_ENDED = {"guest-reset": "restart", "guest-shutdown": "shutdown"}


def register(connection: Any, tell: Tell) -> list[int]:
    """Asks for all that we want to hear of; what to deregister. Drivers without some of them are left in peace."""

    def lifecycle(_connection: Any, domain: Any, event: int, detail: int, _opaque: Any) -> None:
        if what := _LIFECYCLE.get(event):
            said = _STOPPED[detail] if what == "stopped" and detail < len(_STOPPED) else ""
            tell(Change(domain.UUIDString(), what, said))

    def reboot(_connection: Any, domain: Any, _opaque: Any) -> None:
        tell(Change(domain.UUIDString(), "rebooted"))

    def tray(_connection: Any, domain: Any, alias: str, reason: int, _opaque: Any) -> None:
        tell(Change(domain.UUIDString(), "media", f"{alias} {'opened' if reason == 0 else 'closed'}"))

    def medium(
        _connection: Any, domain: Any, _old: str | None, new: str | None, alias: str, _reason: int, _opaque: Any
    ) -> None:
        tell(Change(domain.UUIDString(), "media", f"{alias} {new or 'empty'}"))

    def agent(_connection: Any, domain: Any, state: int, _reason: int, _opaque: Any) -> None:
        tell(Change(domain.UUIDString(), "agent", _AGENT.get(state, "")))

    def block_job(_connection: Any, domain: Any, disk: str, _kind: int, status: int, _opaque: Any) -> None:
        tell(Change(domain.UUIDString(), "block_job", f"{disk} {status}"))

    def device(_connection: Any, domain: Any, alias: str, _opaque: Any) -> None:
        tell(Change(domain.UUIDString(), "defined", alias))

    wanted: tuple[tuple[str, Callable[..., None]], ...] = (
        ("LIFECYCLE", lifecycle),
        ("REBOOT", reboot),
        ("TRAY_CHANGE", tray),
        ("DISK_CHANGE", medium),
        ("AGENT_LIFECYCLE", agent),
        ("BLOCK_JOB_2", block_job),
        ("DEVICE_ADDED", device),
        ("DEVICE_REMOVED", device),
    )
    registered = []
    for name, callback in wanted:
        with contextlib.suppress(libvirt.libvirtError):
            number = getattr(libvirt, f"VIR_DOMAIN_EVENT_ID_{name}")
            registered.append(connection.domainEventRegisterAny(None, number, callback, None))
    return registered


def register_endings(connection: Any, tell: Tell) -> list[int]:
    """Asks for how guests end their runs, which only QEMU itself says; what to deregister. None of other drivers."""

    def ended(_connection: Any, domain: Any, _event: str, _s: int, _us: int, details: str | None, _opaque: Any) -> None:
        how = _ENDED.get(json.loads(details or "{}").get("reason", ""))
        if how is not None:
            tell(Change(domain.UUIDString(), "ended", how))

    with contextlib.suppress(libvirt.libvirtError):
        return [libvirt_qemu.qemuMonitorEventRegister(connection, None, "SHUTDOWN", ended, None)]
    return []
