"""ISO files of a few sectors, made by hand after ECMA-119 and El Torito."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

SECTOR = 2048
CATALOGUE = 20


def disc(label: str = "TINY", platforms: Sequence[int] = (0,), *, bootable: bool = True, size: int = 40) -> bytes:
    """`platforms`: 0 is a PC's BIOS, 0xEF UEFI; the first is the validation entry's, each further one a section's."""
    data = bytearray(SECTOR * size)
    primary = bytearray(SECTOR)
    primary[0:7] = b"\x01CD001\x01"
    primary[40:72] = label.encode().ljust(32)
    data[16 * SECTOR : 17 * SECTOR] = primary
    number = 17
    if platforms:
        record = bytearray(SECTOR)
        record[0:7] = b"\x00CD001\x01"
        record[7:39] = b"EL TORITO SPECIFICATION".ljust(32, b"\0")
        struct.pack_into("<I", record, 71, CATALOGUE)
        data[number * SECTOR : (number + 1) * SECTOR] = record
        data[CATALOGUE * SECTOR : (CATALOGUE + 1) * SECTOR] = _catalogue(platforms, bootable)
        number += 1
    data[number * SECTOR : number * SECTOR + 7] = b"\xffCD001\x01"
    return bytes(data)


def _catalogue(platforms: Sequence[int], bootable: bool) -> bytes:
    entry = bytes([0x88 if bootable else 0x00]) + bytes(31)
    made = bytes([1, platforms[0]]) + bytes(28) + b"\x55\xaa" + entry
    for place, platform in enumerate(platforms[1:], 2):
        made += bytes([0x91 if place == len(platforms) else 0x90, platform, 1, 0]) + bytes(28) + entry
    return made.ljust(SECTOR, b"\0")


def put(file: Path, **given: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(disc(**given))  # type: ignore[arg-type]
    return file
