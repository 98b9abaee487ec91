"""What the header of a qcow2 image says, read without a program (QEMU's docs/interop/qcow2.txt)."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from madang.machines.hosts.shapes import DiskInfo

_HEADER = struct.Struct(">4sIQIIQ")  # magic, version, where the base's name is, its length, cluster bits, size
_MAGIC = b"QFI\xfb"
_LONGEST_NAME = 1023
_SECTOR = 512


def read(path: str) -> DiskInfo | None:
    """Also of an image that somebody writes to. None where this is no such image, or is not ours to read.

    Only for what is known to be qcow2: of a raw disk, its guest decides what stands at its beginning.
    """
    try:
        # A pipe with nobody at its other end must not hold us.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            head = file.read(_HEADER.size)
            if len(head) < _HEADER.size:
                return None
            magic, version, where, length, _bits, size = _HEADER.unpack(head)
            if magic != _MAGIC or version not in (2, 3) or length > _LONGEST_NAME:
                return None
            file.seek(where)
            name = os.fsdecode(file.read(length)) if where else ""
            taken = os.fstat(file.fileno()).st_blocks * _SECTOR
    except OSError:
        return None
    return DiskInfo(path, size, taken, "qcow2", _beside(path, name) if name else None)


def _beside(path: str, base: str) -> str:
    """A base is named as seen from its image; with a protocol (json:, nbd:) it is no path."""
    return base if ":" in base.partition("/")[0] else str(Path(path).parent / base)
