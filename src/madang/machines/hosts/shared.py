"""Whether a host sees a folder of ours: a new file in it is looked for through libvirt. Everything here blocks.

Disks, ISO files and backups are on storage that every host has at the same path. A folder that merely has the same name
on another host would let machines be made of files that are not there.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from madang.kernel.errors import SiteError
from madang.machines.hosts import failures
from madang.machines.hosts.binding import libvirt


def require(connection: Any, folder: Path) -> None:
    """Raises SiteError (storage_not_shared) where the host does not see this folder."""
    try:
        probe = Path(tempfile.mkdtemp(prefix=".seen-", dir=folder))
    except OSError as error:
        raise not_shared(folder, f"here it cannot be written to ({(error.strerror or str(error)).lower()})") from error
    try:
        probe.chmod(0o755)  # libvirt may be another account
        name = str(uuid.uuid4())
        (probe / name).touch(mode=0o644)
        if name not in _files(connection, probe):
            raise not_shared(folder, "that host has another folder of this name")
    finally:
        shutil.rmtree(probe, ignore_errors=True)


def require_iso(connection: Any, path: str) -> None:
    """Raises InvalidInput (iso_missing) where the host does not see this file as we do."""
    file = Path(path)
    size = _files(connection, file.parent).get(file.name)
    if size is None or size != file.stat().st_size:
        raise failures.iso_missing(path, "its host does not see this file: the folder is not shared with it")


def _files(connection: Any, folder: Path) -> dict[str, int]:
    """What libvirt finds in a folder there, with sizes in bytes. Raises SiteError (storage_not_shared)."""
    pool: Any = None
    try:
        pool, ours = _pool(connection, folder)
        try:
            return {volume.name(): int(volume.info()[1]) for volume in pool.listAllVolumes()}
        finally:
            if ours:
                with contextlib.suppress(libvirt.libvirtError):
                    pool.destroy()  # it was for this moment alone: with it goes what libvirt knows, not a file
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            why = "its libvirt has no storage driver (package libvirt-daemon-driver-storage), so it cannot be told"
            raise not_shared(folder, why) from error
        if error.get_error_domain() == libvirt.VIR_FROM_STORAGE or "cannot open" in str(error):
            raise not_shared(folder, str(error)) from error
        raise


def _pool(connection: Any, folder: Path) -> tuple[Any, bool]:
    """A pool of libvirt for this folder, and whether it is one of ours."""
    with contextlib.suppress(libvirt.libvirtError):
        found = connection.storagePoolLookupByTargetPath(str(folder))
        found.refresh()
        return found, False
    order = Element("pool", type="dir")
    SubElement(order, "name").text = f"madang-look-{uuid.uuid4()}"
    SubElement(SubElement(order, "target"), "path").text = str(folder)
    return connection.storagePoolCreateXML(tostring(order, encoding="unicode")), True


def not_shared(folder: Path, why: str) -> SiteError:
    return SiteError(
        f"The folder {folder} is not shared with that host: {why}.",
        code="storage_not_shared",
        title="The host does not have the site's storage",
        hint=f"An operator mounts the storage of {folder} at the same path on the host, as on the portal.",
    )
