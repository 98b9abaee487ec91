"""Machines and what is seen of them, as tests need them."""

from __future__ import annotations

from typing import Any

import msgspec

from madang.machines.hosts.shapes import Definition, Drive, Seen
from madang.machines.model import Machine, Medium, Run, State

T0 = 1_000_000.0
ISO, OTHER_ISO = "/isos/debian.iso", "/isos/drivers.iso"
DISK = "/pool/m1.qcow2"


def machine(**given: Any) -> Machine:
    values: dict[str, Any] = {
        "id": "m1",
        "person_id": "p1",
        "person_name": "kim",
        "name": "web",
        "host": "this",
        "state": State.SHUT_OFF,
        "cpus": 1,
        "memory_bytes": 128 << 20,
        "firmware": "bios",
        "network": "user",
        "disk_path": DISK,
        "disk_bytes": 1 << 30,
        "boot_order": "cdrom_hd",
        "created_at": T0 - 1000,
        "media": media(None),
    }
    return Machine(**values | given)


def media(first: str | None, second: str | None = None) -> tuple[Medium, ...]:
    return Medium("sda", first), Medium("sdb", second)


def run(**given: Any) -> Run:
    values: dict[str, Any] = {
        "since": T0,
        "boot_order": "cdrom_hd",
        "kept": "cdrom_hd",
        "media": media(None),
        "cpus": 1,
        "memory_bytes": 128 << 20,
        "network": "user",
    }
    return Run(**values | given)


def running(**given: Any) -> Machine:
    """With a run from the medium that is in its drives."""
    its = given.get("media", media(None))
    return machine(**{"state": State.RUNNING, "run": run(media=its)} | given)


def definition(record: Machine, **given: Any) -> Definition:
    drives = [Drive("vda", "disk", record.disk_path, "virtio")]
    drives += [Drive(medium.target, "cdrom", medium.path, "sata") for medium in record.media]
    made = Definition(
        uuid=record.id,
        name=f"madang-{record.id}",
        title=record.name,
        cpus=record.cpus,
        memory_bytes=record.memory_bytes,
        firmware=record.firmware,
        boot_order=record.boot_order,
        drives=tuple(drives),
        on_reboot="restart",
        network="user",
        domain_type="qemu",
    )
    return msgspec.structs.replace(made, **given)


def seen(record: Machine, state: str = "shut_off", **given: Any) -> Seen:
    """As its host has it, when nobody changed anything past us."""
    kept = definition(record)
    live = given.pop("live", kept)
    values: dict[str, Any] = {"since": T0 if state != "shut_off" else None, "own": True}
    return Seen(record.id, kept.name, state, live, kept, **values | given)  # type: ignore[arg-type]
