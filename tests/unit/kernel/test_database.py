"""Transactions and errors of the database, in one process. tests/daemons/kernel runs the same on servers."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from madang.kernel.database import Database, DatabaseBusy, DatabaseConflict, DatabaseSettings, retried

# A server counts the wait for a lock in whole seconds.
BUSY_SECONDS = 1.0


@pytest.fixture
def settings() -> DatabaseSettings:
    return DatabaseSettings(busy_seconds=BUSY_SECONDS, connections=3)


@pytest.fixture
async def database(tmp_path: Path, settings: DatabaseSettings) -> AsyncIterator[Database]:
    found = Database(tmp_path / "madang.sqlite3", settings)
    async with found.upgrading() as connection:
        await connection.execute(
            text("CREATE TABLE things (name VARCHAR(200) NOT NULL UNIQUE, locked_full_busy VARCHAR(200) NOT NULL)")
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


async def test_case_accents_and_spaces_at_the_end_count(database: Database):
    several = ["Kim", "kim", "kim ", "kïm", "한", "한글", "🌱", "🌲"]
    for name in several:
        await add(database, name)
    assert sorted(await names(database)) == sorted(several)
    async with database.read() as connection:
        found = await connection.execute(text("SELECT name FROM things WHERE name = :name"), {"name": "kim"})
        assert found.scalars().all() == ["kim"]


async def test_a_write_that_raises_changes_nothing(database: Database):
    with pytest.raises(ZeroDivisionError):
        async with database.write() as connection:
            await connection.execute(text("INSERT INTO things VALUES ('half', 'x')"))
            raise ZeroDivisionError
    assert await names(database) == []


async def test_writes_that_are_cancelled_at_any_moment_hold_nobody_up(database: Database):
    async def work(name: str) -> None:
        async with database.write() as connection:
            await connection.execute(text("SELECT * FROM things"))
            await connection.execute(text("INSERT INTO things VALUES (:name, 'x')"), {"name": name})

    cancelled = []  # whose errors are looked at later: they hold what the tasks had in their hands
    for number in range(60):
        cancelled.append(asyncio.create_task(work(f"cancelled {number}")))
        await asyncio.sleep(number * 0.00005)
        cancelled[-1].cancel()
        await asyncio.wait(cancelled[-1:])
        await work(str(number))
    assert {str(number) for number in range(60)} <= set(await names(database))


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
    if database.dialect.where.startswith("MariaDB"):
        pytest.skip("MariaDB commits each change of a table by itself; migrations know")
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


# What is run again.


class Counter:
    """A method that meets another writer a few times before it gets through."""

    def __init__(self, database: Database, conflicts: int) -> None:
        self.database, self.conflicts, self.tries = database, conflicts, 0

    @retried
    async def add(self, name: str) -> str:
        self.tries += 1
        async with self.database.write() as connection:
            await connection.execute(text("INSERT INTO things VALUES (:name, 'x')"), {"name": name})
            if self.tries <= self.conflicts:
                raise self.database._conflict("Another one was first.")
        return name

    @retried
    async def add_twice(self, name: str) -> None:
        await self.add(name)


async def test_a_write_that_met_another_one_is_run_again(database: Database):
    counter = Counter(database, 3)
    assert await counter.add("one") == "one"
    assert (counter.tries, await names(database)) == (4, ["one"])


async def test_it_is_run_again_so_often_and_then_said_to_be_busy(database: Database):
    counter = Counter(database, 1000)
    with pytest.raises(DatabaseConflict) as caught:
        await counter.add_twice("one")
    assert counter.tries == 1 + DatabaseSettings().retries  # not those of the method around it too
    assert (caught.value.status, caught.value.code) == (503, "database_busy")
    assert await names(database) == []
