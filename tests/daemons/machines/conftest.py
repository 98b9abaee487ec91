"""One libvirtd and one tiny ISO for all these tests."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from madang.machines.hosts import Host
from tests.support import libvirt as private
from tests.support import tiny_iso
from tests.support.libvirt import PrivateLibvirt, install, private_libvirt


@pytest.fixture(scope="session")
def libvirt_session() -> Iterator[PrivateLibvirt]:
    if lacking := private.missing():
        pytest.skip(f"not installed: {', '.join(lacking)}")
    with private_libvirt() as libvirtd:
        yield libvirtd


@pytest.fixture
def libvirtd(libvirt_session: PrivateLibvirt) -> Iterator[PrivateLibvirt]:
    """Runs and answers; no machine is left at the end."""
    libvirt_session.mend()
    yield libvirt_session
    libvirt_session.mend()
    libvirt_session.clear()


@pytest.fixture
async def host(libvirtd: PrivateLibvirt) -> AsyncIterator[Host]:
    host = libvirtd.host()
    await host.start()
    yield host
    await host.stop()


@pytest.fixture(scope="session")
def tiny(libvirt_session: PrivateLibvirt, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ISO that installs itself."""
    if lacking := tiny_iso.missing():
        pytest.skip(f"not installed: {', '.join(lacking)}")
    iso = tiny_iso.build(tmp_path_factory.mktemp("tiny"))
    to = libvirt_session.isos / iso.name
    shutil.move(iso, to)
    return to


@pytest.fixture
def waiting(libvirt_session: PrivateLibvirt, tmp_path: Path) -> Iterator[Path]:
    """The ISO that installs nothing, but waits for commands."""
    if lacking := tiny_iso.missing():
        pytest.skip(f"not installed: {', '.join(lacking)}")
    iso = tiny_iso.build(tmp_path, "waits.iso", waits=True)
    to = libvirt_session.isos / iso.name
    shutil.move(iso, to)
    yield to
    to.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def installed(libvirt_session: PrivateLibvirt, tiny: Path) -> Path:
    """A disk with the tiny system, for clones; it stays as it is."""
    disk = libvirt_session.isos / "installed.qcow2"
    asyncio.run(install(libvirt_session, tiny, disk))
    return disk
