"""libvirts of our own, on which a measurement has machines: the portal's, and one beside it for the peers.

They are those of the tests (tests/support): TCG, an account of their own, nothing of the machine's own libvirt.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.support import libvirt, tiny_iso
from tests.support.libvirt import MEMORY, PrivateLibvirt, private_libvirt

from bench.processes import Trouble


@contextlib.contextmanager
def libvirts() -> Iterator[tuple[PrivateLibvirt, PrivateLibvirt]]:
    """The portal's, and the peers': what the one does wakes nobody of the other."""
    if lacking := libvirt.missing():
        raise Trouble(f"not installed: {', '.join(lacking)}: scripts/setup test brings them")
    with private_libvirt() as ours, private_libvirt() as theirs:
        yield ours, theirs


def settings_of(libvirtd: PrivateLibvirt) -> dict[str, str]:
    """Of a site whose machines are this libvirt's."""
    return {
        "MACHINES_HOSTS": json.dumps([f"here={libvirtd.uri}"]),
        "MACHINES_ACCOUNT": libvirtd.account or "",
        "MACHINES_FOLDER": str(libvirtd.pool),
        "MACHINES_ISO_FOLDERS": json.dumps([str(libvirtd.isos)]),
        "MACHINES_DOMAIN_TYPE": "qemu",
        "MACHINES_CPUS": "1",
        "MACHINES_MEMORY_BYTES": str(MEMORY),
        "MACHINES_MACHINES_PER_PERSON": "0",
    }


def put_iso(libvirtds: tuple[PrivateLibvirt, ...], *, waits: bool = False) -> Path:
    """The tiny system's ISO in the folder of each; the path of the first one's."""
    if lacking := tiny_iso.missing():
        raise Trouble(f"not installed: {', '.join(lacking)}: scripts/setup test brings them")
    first = libvirtds[0].isos / "tiny.iso"
    shutil.move(tiny_iso.build(libvirtds[0].folder, waits=waits), first)
    first.chmod(0o644)
    for other in libvirtds[1:]:
        shutil.copy(first, other.isos / first.name)
    return first
