"""Machines on a real database in a folder of the test; only libvirt is a stand-in."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from madang.identity.background import background_of
from madang.identity.model import Person, Visitor
from madang.kernel.ground import Ground
from madang.kernel.settings import load
from madang.services import sections


@pytest.fixture
async def ground(tmp_path: Path, new_database: Path) -> AsyncIterator[Ground]:
    variables = {
        "MADANG_SITE_STATE_FOLDER": str(tmp_path / "state"),
        "MADANG_MACHINES_FOLDER": str(tmp_path / "pool"),
        "HOME": str(tmp_path),
    }
    made = Ground(load(sections(), variables))
    shutil.copy(new_database, made.database.file)
    await made.start()
    yield made
    await background_of(made).settled()
    await made.stop()


def visitor(name: str, role: str = "member") -> Visitor:
    roles = (role,)
    person = Person(f"id-{name}", name, name, roles, None, None, False, 0.0, None, 1)  # type: ignore[arg-type]
    return Visitor(person, "token", token="t")


@pytest.fixture
def kim() -> Visitor:
    return visitor("kim")


@pytest.fixture
def lee() -> Visitor:
    return visitor("lee")


@pytest.fixture
def operator() -> Visitor:
    return visitor("park", "operator")
