"""The database beside another process that holds it, and on a disk that is full."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from madang.kernel.database import Database, DatabaseBusy, DatabaseSettings, DatabaseUnavailable
from madang.kernel.errors import Unavailable
from madang.migrations import upgrade

# Holds the write lock for so many seconds, from a line on its input on.
HOLDER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
sys.stdin.readline()
connection.execute("BEGIN IMMEDIATE")
connection.execute("INSERT INTO things VALUES ('of the other process')")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute(sys.argv[3])
print("released", flush=True)
sys.stdin.readline()
"""


async def opened(file: Path, busy_seconds: float = 15.0) -> Database:
    database = Database(file, DatabaseSettings(busy_seconds=busy_seconds))
    async with database.write() as connection:
        await connection.execute(text("CREATE TABLE IF NOT EXISTS things (name TEXT NOT NULL)"))
    return database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    found = await opened(tmp_path / "madang.sqlite3")
    yield found
    await found.close()


async def add(database: Database, name: str) -> None:
    async with database.write() as connection:
        await connection.execute(text("INSERT INTO things VALUES (:name)"), {"name": name})


async def names(database: Database) -> list[str]:
    async with database.read() as connection:
        return list((await connection.execute(text("SELECT name FROM things ORDER BY name"))).scalars())


async def held(run, database: Database, seconds: float, end: str = "COMMIT"):
    holder = await run(HOLDER, database.file, seconds, end)
    assert await holder.ask("go") == "held"
    return holder


async def test_a_write_waits_for_another_process_that_holds_the_database_for_ten_seconds(run, database: Database):
    await held(run, database, 10)
    begin = time.monotonic()
    writing = [asyncio.create_task(add(database, f"ours {number}")) for number in range(8)]
    slowest = 0.0
    while not all(task.done() for task in writing):
        start = time.monotonic()
        assert "of the other process" not in (seen := await names(database)) or time.monotonic() - begin > 9, seen
        slowest = max(slowest, time.monotonic() - start)
        await asyncio.sleep(0.05)
    await asyncio.gather(*writing)
    assert 9 < time.monotonic() - begin < 14
    assert slowest < 1  # readers do not wait
    assert await names(database) == ["of the other process", *(f"ours {number}" for number in range(8))]


async def test_a_write_is_refused_when_another_process_holds_the_database_too_long(run, tmp_path: Path):
    database = await opened(tmp_path / "madang.sqlite3", busy_seconds=1.0)
    holder = await held(run, database, 4, "ROLLBACK")
    begin = time.monotonic()
    # The last of them waits for its turn first, and no longer than the others for all that.
    refused = await asyncio.gather(*(add(database, f"ours {number}") for number in range(6)), return_exceptions=True)
    assert time.monotonic() - begin < 2.5
    assert [type(error) for error in refused] == [DatabaseBusy] * 6
    assert await names(database) == []
    assert await holder.line() == "released"
    await add(database, "ours")
    assert await names(database) == ["ours"]
    await database.close()


async def test_a_process_that_is_killed_in_the_middle_of_a_write_leaves_nothing_of_it(run, database: Database):
    holder = await held(run, database, 600)
    await holder.end()
    await add(database, "ours")
    assert await names(database) == ["ours"]


async def test_on_a_full_disk_a_write_is_refused_whole_and_reads_go_on(small_disk):
    database = await opened(small_disk.folder / "madang.sqlite3")
    await add(database, "before")
    small_disk.fill()
    with pytest.raises(Unavailable) as caught:
        async with database.write() as connection:
            for number in range(400):
                row = {"name": f"half of it {number} " + "x" * 10_000}
                await connection.execute(text("INSERT INTO things VALUES (:name)"), row)
    assert caught.value.code == "database_full"
    assert str(database.file) in caught.value.detail
    assert caught.value.hint
    assert await names(database) == ["before"]
    small_disk.free()
    await add(database, "after")
    assert await names(database) == ["after", "before"]
    await database.close()
    again = await opened(database.file)
    assert await names(again) == ["after", "before"]
    async with again.read() as connection:
        assert await connection.scalar(text("PRAGMA integrity_check")) == "ok"
    await again.close()


async def test_a_full_disk_at_the_first_opening_is_a_known_error(small_disk):
    small_disk.fill()
    database = Database(small_disk.folder / "madang.sqlite3", DatabaseSettings())
    with pytest.raises(Unavailable) as caught:
        await add(database, "anything")
    await database.close()
    assert isinstance(caught.value, DatabaseUnavailable) or caught.value.code == "database_full"


async def test_a_full_disk_at_the_first_start_leaves_nothing_half_made(small_disk):
    file = small_disk.folder / "madang.sqlite3"
    with (small_disk.folder / "nearly").open("wb") as nearly:
        nearly.write(bytes(2 * 1024 * 1024 - 100_000))  # room for a beginning only
    database = Database(file, DatabaseSettings())
    with pytest.raises(Unavailable) as caught:
        await upgrade(database)
    assert str(file) in caught.value.detail
    (small_disk.folder / "nearly").unlink()
    await upgrade(database)
    await database.close()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
