"""Reads what an ISO file says of itself: its label, and which firmware finds something to boot on it.

ECMA-119 (volume descriptors from sector 16 on) and "El Torito" Bootable CD-ROM Format Specification 1.0 (the boot
catalogue, whose entries name a platform: 0 is a PC's BIOS, 0xEF UEFI).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import msgspec

SECTOR = 2048
FIRST_DESCRIPTOR = 16
MOST_DESCRIPTORS = 32
BOOT_RECORD, PRIMARY, TERMINATOR = 0, 1, 255
EL_TORITO = b"EL TORITO SPECIFICATION"
PLATFORMS = {0: "bios", 0xEF: "uefi"}
ENTRY = 32
BOOTABLE, MORE_HEADERS, LAST_HEADER, EXTENSION = 0x88, 0x90, 0x91, 0x44


class NotAnIso(Exception):
    """It has no ISO 9660 file system, or ends before what it says it holds."""


class IsoFacts(msgspec.Struct, frozen=True):
    label: str
    boots: tuple[str, ...]  # of bios, uefi


def read(file: Path) -> IsoFacts:
    """Raises NotAnIso, OSError."""
    with file.open("rb") as disc:
        label: str | None = None
        boots: set[str] = set()
        for number in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + MOST_DESCRIPTORS):
            sector = _sector(disc, number)
            if sector[1:6] != b"CD001":
                break
            if sector[0] == PRIMARY:
                label = _text(sector[40:72])
            elif sector[0] == BOOT_RECORD and sector[7:39].rstrip(b"\0 ") == EL_TORITO:
                boots |= _platforms(_sector(disc, struct.unpack_from("<I", sector, 71)[0]))
            elif sector[0] == TERMINATOR:
                break
    if label is None:
        raise NotAnIso("There is no ISO 9660 file system in it.")
    return IsoFacts(label, tuple(name for name in PLATFORMS.values() if name in boots))


def _sector(disc: BinaryIO, number: int) -> bytes:
    disc.seek(number * SECTOR)
    data = disc.read(SECTOR)
    if len(data) < SECTOR:
        raise NotAnIso("It ends too early.")
    return data


def _text(raw: bytes) -> str:
    text = raw.decode("ascii", errors="replace").rstrip(" \0")
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def _platforms(catalogue: bytes) -> set[str]:
    """The platforms with a bootable entry: that of the validation entry first, then a header for each further one."""
    if catalogue[0] != 1 or catalogue[30:32] != b"\x55\xaa":
        return set()
    found: set[int] = set()
    platform = catalogue[1]
    last = False
    for begin in range(ENTRY, SECTOR, ENTRY):
        kind = catalogue[begin]
        if kind in (MORE_HEADERS, LAST_HEADER):
            platform, last = catalogue[begin + 1], kind == LAST_HEADER
        elif kind == BOOTABLE:
            found.add(platform)
        elif kind != EXTENSION and (last or kind != 0 or begin > ENTRY):
            break
    return {PLATFORMS[one] for one in found if one in PLATFORMS}
