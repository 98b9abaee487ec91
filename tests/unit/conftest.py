"""What tests of several rooms begin with."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from madang.kernel.database import Database, DatabaseSettings
from madang.migrations import upgrade


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
