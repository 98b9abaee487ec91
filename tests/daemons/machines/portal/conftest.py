"""A portal on the tests' own libvirtd, one for all tests of a file; people and machines are each test's own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons.machines.portal.house import MachineClient, MachinePortal
from tests.support.libvirt import PrivateLibvirt
from tests.unit.machines.discs import put

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def portal_process(libvirt_session: PrivateLibvirt) -> Iterator[MachinePortal]:
    libvirt_session.mend()
    with MachinePortal(libvirt_session) as made:
        yield made


@pytest.fixture
def portal(portal_process: MachinePortal, libvirtd: PrivateLibvirt) -> MachinePortal:
    """Runs, whatever the test before did to it."""
    if portal_process.process is None or portal_process.process.poll() is not None:
        portal_process.start()
    return portal_process


def somebody(portal: MachinePortal, role: str) -> MachineClient:
    name = f"p{next(_numbers)}"
    portal.add_person(name, role=role)
    return portal.client(name)


@pytest.fixture
def kim(portal: MachinePortal) -> Iterator[MachineClient]:
    with somebody(portal, "member") as client:
        yield client


@pytest.fixture
def lee(portal: MachinePortal) -> Iterator[MachineClient]:
    with somebody(portal, "member") as client:
        yield client


@pytest.fixture
def park(portal: MachinePortal) -> Iterator[MachineClient]:
    with somebody(portal, "operator") as client:
        yield client


@pytest.fixture
def some_iso(libvirtd: PrivateLibvirt) -> Iterator[Path]:
    """An ISO of the catalogue that boots nothing: for what never runs."""
    file = put(libvirtd.isos / "some.iso", label="SOME")
    yield file
    file.unlink(missing_ok=True)
