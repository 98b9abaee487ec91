"""The history of tables on servers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from madang import migrations
from madang.kernel.database import Database, DatabaseSettings
from madang.kernel.errors import SiteError
from tests.daemons.databases.conftest import settings_of
from tests.support.databases import Server
from tests.unit.test_migrations import (
    _operations,
    differences,
    test_the_steps_build_the_tables_that_the_code_has,  # noqa: F401
)


@pytest.fixture
async def database(settings: DatabaseSettings) -> AsyncIterator[Database]:
    found = Database(Path("unused"), settings)
    yield found
    await found.close()


async def tables(database: Database) -> set[str]:
    async with database.upgrading() as connection:
        return set(await connection.run_sync(lambda plain: inspect(plain).get_table_names())) - {"madang_turn"}


async def test_a_second_start_changes_nothing_and_does_not_load_alembic(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    await migrations.upgrade(database)
    monkeypatch.setattr(migrations, "_run_steps", lambda *_: pytest.fail("nothing is to be done"))
    await migrations.upgrade(database)


async def test_portals_that_start_at_once_take_turns(settings: DatabaseSettings):
    several = [Database(Path("unused"), settings) for _ in range(5)]
    await asyncio.gather(*(migrations.upgrade(each) for each in several))
    assert await differences(several[0]) == []
    async with several[0].read() as connection:
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).all() == [(migrations.HEAD,)]
    for each in several:
        await each.close()


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(database: Database):
    await migrations.upgrade(database)
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    before = await tables(database)
    with pytest.raises(SiteError) as caught:
        await migrations.upgrade(database)
    assert caught.value.code == "database_newer"
    assert await tables(database) == before


@pytest.mark.parametrize("whole", range(0, 9, 2))
async def test_a_step_that_is_cut_off_is_done_whole_by_the_next_start(
    database: Database, monkeypatch: pytest.MonkeyPatch, whole: int
):
    from alembic.operations import Operations

    create, made = Operations.create_table, []

    def create_some(self: Operations, name: str, *columns: object, **options: object) -> object:
        if len(made) == whole:
            raise OSError("killed in the middle")
        made.append(name)
        return create(self, name, *columns, **options)

    with monkeypatch.context() as patch:
        patch.setattr("alembic.op.create_table", lambda *a, **k: create_some(_operations(), *a, **k))
        with pytest.raises(OSError, match="in the middle"):
            await migrations.upgrade(database)
    if "PostgreSQL" in database.dialect.where:
        assert await tables(database) == set()
    await migrations.upgrade(database)
    assert await differences(database) == []


async def test_times_keep_their_microseconds(database: Database):
    await migrations.upgrade(database)
    at = 1_795_199_999.123_456
    async with database.write() as connection:
        row = {"name": "secret", "value": bytes(range(256)) * 1024}  # more than a BLOB of MariaDB holds
        await connection.execute(text("INSERT INTO site_values VALUES (:name, :value)"), row)
        entry = "(at, person_name, action, object, outcome, address, detail)"
        values = "(:at, '', '', '', '', '', '')"
        await connection.execute(text(f"INSERT INTO audit {entry} VALUES {values}"), {"at": at})
    async with database.read() as connection:
        assert await connection.scalar(text("SELECT at FROM audit")) == at
        assert await connection.scalar(text("SELECT value FROM site_values")) == row["value"]


async def test_a_password_that_is_wrong_is_said_with_what_to_look_at(server: Server, tmp_path: Path):
    (tmp_path / "password").write_text("a wrong one")
    settings = settings_of(server, server.new_database())
    database = Database(tmp_path / "x", DatabaseSettings(settings.url, password_file=str(tmp_path / "password")))
    with pytest.raises(SiteError) as caught:
        await migrations.upgrade(database)
    assert caught.value.code == "database_refused"
    assert "password_file" in caught.value.hint
    assert "a wrong one" not in f"{caught.value.problem()} {caught.value!r} {caught.value.__cause__!r}"
    await database.close()


async def test_a_database_that_is_not_there_is_said(server: Server, settings: DatabaseSettings, tmp_path: Path):
    given = DatabaseSettings(url=server.url("nowhere"), password_file=settings.password_file)
    database = Database(tmp_path / "x", given)
    with pytest.raises(SiteError) as caught:
        await migrations.upgrade(database)
    assert "nowhere" in caught.value.detail
    await database.close()
