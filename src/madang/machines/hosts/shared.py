"""Whether a host sees a file of ours: its libvirt is asked how large it is. Everything here blocks.

Disks, ISO files and backups are on storage that every host has at the same path. A folder that merely has the same name
on another host would let machines be made of files that are not there.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from madang.kernel.errors import SiteError
from madang.machines.hosts import domain_xml, failures
from madang.machines.hosts.binding import libvirt

# A definition that is there for a moment, never started, and no machine of anybody's: its uuid begins so.
PROBE = "6d616461-6e67-4765-"
_MOST_BYTES = 2**20


def is_probe(uuid: str) -> bool:
    return uuid.startswith(PROBE)


def require(connection: Any, folder: Path) -> None:
    """Raises SiteError (storage_not_shared) where the host does not see this folder."""
    try:
        handle, name = tempfile.mkstemp(prefix=".seen-", dir=folder)
    except OSError as error:
        raise not_shared(folder, f"here it cannot be written to ({(error.strerror or str(error)).lower()})") from error
    try:
        # By its size it is known from any other file.
        size = 512 * (1 + secrets.randbelow(_MOST_BYTES // 512))
        os.ftruncate(handle, size)
        os.fchmod(handle, 0o644)  # libvirt may be another account
        if _size(connection, name) != size:
            raise not_shared(folder, "that host has another folder of this name")
    finally:
        os.close(handle)
        Path(name).unlink(missing_ok=True)


def require_iso(connection: Any, path: str) -> None:
    """Raises InvalidInput (iso_missing) where the host does not see this file as we do."""
    try:
        same = _size(connection, path) == Path(path).stat().st_size
    except SiteError as error:
        raise failures.iso_missing(path, f"its host does not see this file ({error.detail})") from error.__cause__
    if not same:
        raise failures.iso_missing(path, "its host has another file of this name")


def _size(connection: Any, path: str) -> int:
    """How large a file is over there (bytes). Raises SiteError (storage_not_shared)."""
    probe = Element("domain", type="qemu")
    uuid = f"{PROBE}{secrets.randbelow(2**14) + 0x8000:04x}-{secrets.token_hex(6)}"
    for tag, content in (("name", f"madang-look-{uuid}"), ("uuid", uuid), ("memory", "1024")):
        SubElement(probe, tag).text = content
    SubElement(SubElement(probe, "os"), "type", arch="x86_64", machine="q35").text = "hvm"
    SubElement(probe, "devices").append(domain_xml.disk_element(path, "vda", "raw"))
    domain = connection.defineXML(domain_xml.written(probe))
    try:
        return int(domain.blockInfo("vda")[0])
    except libvirt.libvirtError as error:
        raise not_shared(Path(path).parent, str(error)) from error
    finally:
        with contextlib.suppress(libvirt.libvirtError):
            domain.undefine()


def not_shared(folder: Path, why: str) -> SiteError:
    return SiteError(
        f"The folder {folder} is not shared with that host: {why}.",
        code="storage_not_shared",
        title="The host does not have the site's storage",
        hint=f"An operator mounts the storage of {folder} at the same path on the host, as on the portal.",
    )
