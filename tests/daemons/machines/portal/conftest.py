"""A portal on the tests' own libvirtd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons.machines.portal.house import MachineClient, MachinePortal
from tests.support.libvirt import PrivateLibvirt


@pytest.fixture
def portal(libvirtd: PrivateLibvirt) -> Iterator[MachinePortal]:
    with MachinePortal(libvirtd) as made:
        yield made


@pytest.fixture
def kim(portal: MachinePortal) -> Iterator[MachineClient]:
    portal.add_person("kim")
    with portal.client("kim") as client:
        yield client


@pytest.fixture
def lee(portal: MachinePortal) -> Iterator[MachineClient]:
    portal.add_person("lee")
    with portal.client("lee") as client:
        yield client


@pytest.fixture
def some_iso(libvirtd: PrivateLibvirt) -> Iterator[Path]:
    """An ISO of the catalogue that boots nothing: for what never runs."""
    from tests.unit.machines.discs import put

    file = put(libvirtd.isos / "some.iso", label="SOME")
    yield file
    file.unlink(missing_ok=True)
