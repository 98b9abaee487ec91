"""What a machine was really booted from, by its firmware's own words. The words of SeaBIOS and OVMF (edk2)."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path

from madang.machines.hosts.shapes import BootDevice, Firmware

# Far more than a firmware says. On UEFI what the guest prints follows it in the same file.
_MOST_BYTES = 4_000_000
_BIOS: dict[bytes, BootDevice] = {b"DVD/CD": "cdrom", b"Hard Disk": "hd", b"ROM": "network"}
_BIOS_LINE = re.compile(
    rb"^(SeaBIOS \(version|Booting from (DVD/CD|Hard Disk|ROM)|Boot failed|No bootable device)", re.M
)
_UEFI_LINE = re.compile(rb"BdsDxe: (starting|failed to start|No bootable option) ?([^\r\n]*)")
_UEFI_CD = re.compile(rb"CDROM\(|DVD-ROM|CD-ROM")
_UEFI_ITSELF = re.compile(rb"from Fv\(")  # its shell, its menu: nothing that could be booted was found
_UEFI_NETWORK = re.compile(rb"PXEv|HTTPv|MAC\(")


def device_of(log: bytes, firmware: Firmware) -> BootDevice | None:
    """What the last boot in this log took; None when it took nothing, or has not come so far."""
    return _of_uefi(log) if firmware == "uefi" else _of_bios(log)


def _of_bios(log: bytes) -> BootDevice | None:
    device: BootDevice | None = None
    for line in _BIOS_LINE.finditer(log):
        device = _BIOS[line[2]] if line[2] else None
    return device


def _of_uefi(log: bytes) -> BootDevice | None:
    device: BootDevice | None = None
    for line in _UEFI_LINE.finditer(log):
        if line[1] != b"starting" or _UEFI_ITSELF.search(line[2]):
            device = None
        elif _UEFI_CD.search(line[2]):
            device = "cdrom"
        else:
            device = "network" if _UEFI_NETWORK.search(line[2]) else "hd"
    return device


def read(path: str, firmware: Firmware) -> tuple[BootDevice | None, float | None]:
    """What the last boot took, and when that was written (epoch s); None also where the file cannot be read."""
    try:
        with Path(path).open("rb") as log:  # opening it asks a file server how it is now; looking at its name may not
            status = os.fstat(log.fileno())
        device = _read(path, firmware, status.st_ino, status.st_size, status.st_mtime_ns)
        return device, status.st_mtime
    except OSError:
        return None, None


@lru_cache(maxsize=1024)  # a pass over all machines finds most logs as the one before did
def _read(path: str, firmware: Firmware, _inode: int, size: int, _changed: int) -> BootDevice | None:
    with Path(path).open("rb") as log:
        log.seek(max(0, size - _MOST_BYTES))
        return device_of(log.read(_MOST_BYTES), firmware)
