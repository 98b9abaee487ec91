"""What people may ask for: sizes within a site's limits, networks it offers, text that can be stored and shown."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from madang.identity.model import checked_text
from madang.kernel.errors import InvalidInput
from madang.machines.hosts.shapes import BootOrder, Firmware
from madang.machines.settings import MachinesSettings
from madang.machines.store import Quota

NAME_LONGEST = 80
LEAST_MEMORY, LEAST_DISK = 16 * 1024**2, 1024**2


class Wish(msgspec.Struct, frozen=True):
    """A machine that somebody asks for; what is None takes the site's default."""

    name: str
    notes: str = ""
    cpus: int | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    isos: tuple[str | None, str | None] = (None, None)
    boot_order: BootOrder | None = None
    firmware: Firmware = "bios"
    network: str | None = None
    host: str | None = None
    start: bool = False


def quota_of(limits: MachinesSettings) -> Quota:
    """What one person may have."""
    return Quota(
        machines=limits.machines_per_person or None,
        cpus=limits.cpus_per_person or None,
        memory_bytes=limits.memory_bytes_per_person or None,
        disk_bytes=limits.disk_bytes_per_person or None,
    )


def checked_network(network: str, offered: Sequence[str]) -> str:
    """Raises InvalidInput for one that the site does not offer."""
    if network not in offered:
        raise InvalidInput(
            f"There is no network {network!r}.",
            hint=f"There are: {', '.join(offered)}.",
            fields=[{"field": "network", "message": "is unknown"}],
        )
    return network


def checked_notes(notes: str) -> str:
    """Raises InvalidInput for what cannot be stored or shown."""
    plain = notes.translate(dict.fromkeys(map(ord, "\r\n\t")))
    if plain:
        checked_text("notes", plain.strip() or "-", len(notes) + 1)
    return notes.strip()
