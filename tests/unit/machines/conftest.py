"""Machines on a real database in a folder of the test; only libvirt is a stand-in."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from madang.identity.background import background_of
from madang.identity.model import Person, Visitor
from madang.kernel.database import Database, DatabaseSettings
from madang.kernel.ground import Ground
from madang.kernel.settings import load
from madang.migrations import upgrade
from madang.services import sections


async def brought_up(file: Path) -> None:
    database = Database(file, DatabaseSettings())
    await upgrade(database)
    await database.close()


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as the first start leaves it; each test has a copy."""
    file = tmp_path_factory.mktemp("new") / "madang.sqlite3"
    asyncio.run(brought_up(file))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file


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
