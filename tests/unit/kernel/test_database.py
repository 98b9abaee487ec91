"""Transactions and errors of the database, in one process."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from madang.kernel.database import Database, DatabaseBusy, DatabaseDamaged, DatabaseSettings, DatabaseUnavailable

BUSY_SECONDS = 0.5


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    found = Database(tmp_path / "madang.sqlite3", DatabaseSettings(busy_seconds=BUSY_SECONDS, connections=3))
    async with found.write() as connection:
        await connection.execute(
            text("CREATE TABLE things (name TEXT NOT NULL UNIQUE, locked_full_busy TEXT NOT NULL)")
        )
    yield found
    await found.close()


async def add(database: Database, name: str | None) -> None:
    async with database.write() as connection:
        await connection.execute(text("INSERT INTO things VALUES (:name, 'x')"), {"name": name})


async def names(database: Database) -> list[str]:
    async with database.read() as connection:
        return list((await connection.execute(text("SELECT name FROM things ORDER BY name"))).scalars())


async def test_what_was_written_is_read(database: Database):
    await add(database, "가나다")
    assert await names(database) == ["가나다"]


async def test_a_write_that_raises_changes_nothing(database: Database):
    with pytest.raises(ZeroDivisionError):
        async with database.write() as connection:
            await connection.execute(text("INSERT INTO things VALUES ('half', 'x')"))
            raise ZeroDivisionError
    assert await names(database) == []


async def test_a_write_that_is_cancelled_changes_nothing_and_holds_nobody_up(database: Database):
    inside = asyncio.Event()

    async def half() -> None:
        async with database.write() as connection:
            await connection.execute(text("INSERT INTO things VALUES ('half', 'x')"))
            inside.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(half())
    await inside.wait()
    waiting = asyncio.create_task(add(database, "cancelled while it waits"))
    await asyncio.sleep(0)
    for each in (waiting, task):
        each.cancel()
    await asyncio.gather(task, waiting, return_exceptions=True)
    await add(database, "whole")
    assert await names(database) == ["whole"]


async def test_a_change_of_tables_is_undone_with_the_rest(database: Database):
    with pytest.raises(ZeroDivisionError):
        async with database.write() as connection:
            await connection.execute(text("CREATE TABLE other (name TEXT)"))
            raise ZeroDivisionError
    async with database.write() as connection:
        await connection.execute(text("CREATE TABLE other (name TEXT)"))


async def test_a_reader_sees_one_moment(database: Database):
    await add(database, "before")
    async with database.read() as connection:
        count = text("SELECT count(*) FROM things")
        assert await connection.scalar(count) == 1
        await add(database, "meanwhile")
        assert await connection.scalar(count) == 1
    assert await names(database) == ["before", "meanwhile"]


async def test_what_a_writer_read_cannot_have_changed_when_it_writes(database: Database):
    async def next_number() -> None:
        async with database.write() as connection:
            number = await connection.scalar(text("SELECT count(*) FROM things"))
            await asyncio.sleep(0)
            await connection.execute(text("INSERT INTO things VALUES (:name, 'x')"), {"name": f"{number:02}"})

    await asyncio.gather(*(next_number() for _ in range(30)))
    assert await names(database) == [f"{number:02}" for number in range(30)]


async def test_readers_do_not_wait_for_writers_however_many_wait(database: Database):
    """Writers of this process and those who wait for them leave connections for those who only read."""
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with database.write():
            inside.set()
            await go_on.wait()

    holder = asyncio.create_task(hold())
    await inside.wait()
    waiting = [asyncio.create_task(add(database, str(number))) for number in range(10)]
    await asyncio.sleep(0)
    begin = time.monotonic()
    assert await names(database) == []
    assert time.monotonic() - begin < BUSY_SECONDS / 2
    go_on.set()
    await asyncio.gather(holder, *waiting)
    assert len(await names(database)) == 10


async def test_a_write_that_waits_too_long_for_its_turn_is_refused_as_busy(database: Database):
    begin = time.monotonic()
    async with database.write():
        with pytest.raises(DatabaseBusy) as caught:
            await add(database, "late")
    assert BUSY_SECONDS * 0.9 < time.monotonic() - begin < BUSY_SECONDS * 3
    assert (caught.value.code, caught.value.status) == ("database_busy", 503)
    assert caught.value.retry_after
    await add(database, "later")
    assert await names(database) == ["later"]


async def test_more_readers_than_connections_wait_and_those_who_wait_too_long_are_told_so(database: Database):
    done = asyncio.Event()

    async def hold() -> None:
        async with database.read() as connection:
            await connection.execute(text("SELECT 1"))
            await done.wait()

    holders = [asyncio.create_task(hold()) for _ in range(3)]
    await asyncio.sleep(0.1)
    with pytest.raises(DatabaseBusy):
        await names(database)
    done.set()
    await asyncio.gather(*holders)
    assert await names(database) == []


@pytest.mark.parametrize("column", ["name", "locked_full_busy"])
async def test_a_broken_rule_of_the_tables_is_not_taken_for_a_busy_or_full_database(database: Database, column: str):
    row = {"name": "'a'", "locked_full_busy": "'b'"} | {column: "NULL"}
    with pytest.raises(IntegrityError):
        async with database.write() as connection:
            await connection.execute(text(f"INSERT INTO things VALUES ({row['name']}, {row['locked_full_busy']})"))


async def test_a_time_out_of_the_caller_stays_what_it_is(database: Database):
    with pytest.raises(TimeoutError):
        async with database.read():
            raise TimeoutError("of something else")


async def test_a_file_that_is_no_database_is_said_to_be_damaged(tmp_path: Path):
    file = tmp_path / "madang.sqlite3"
    file.write_bytes(b"This is not a database. " * 1000)
    database = Database(file, DatabaseSettings())
    with pytest.raises(DatabaseDamaged) as caught:
        await names(database)
    assert str(file) in caught.value.detail
    assert "backup" in caught.value.hint
    await database.close()


async def test_a_database_that_cannot_be_opened_is_unavailable(tmp_path: Path):
    database = Database(tmp_path / "missing" / "madang.sqlite3", DatabaseSettings())
    with pytest.raises(DatabaseUnavailable):
        await names(database)
    await database.close()
