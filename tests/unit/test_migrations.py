"""The history of the tables leads to the tables that the code has. tests/daemons/kernel runs much of it on servers."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from madang import migrations
from madang.desktops import tables as _desktops  # noqa: F401  (registers the tables)
from madang.identity import tables as _identity  # noqa: F401
from madang.kernel.database import Database, DatabaseSettings, metadata
from madang.kernel.errors import SiteError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "madang.sqlite3"


@pytest.fixture
async def database(file: Path) -> AsyncIterator[Database]:
    found = Database(file, DatabaseSettings())
    yield found
    await found.close()


async def differences(database: Database) -> list[object]:
    """What the code's tables have that those of the database have not, and the other way round."""

    def compare(connection: Connection) -> list[object]:
        mine = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": is_ours})
        return list(compare_metadata(mine, metadata))

    async with database.upgrading() as connection:
        return await connection.run_sync(compare)


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or name != "madang_turn"  # MariaDB's own


def steps() -> ScriptDirectory:
    return ScriptDirectory(str(Path(migrations.__file__).parent))


def tables(file: Path) -> dict[str, str]:
    with closing(sqlite3.connect(file)) as connection:
        return dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))


def test_head_is_the_newest_step_and_there_is_one():
    assert steps().get_heads() == [migrations.HEAD]


def test_the_steps_are_one_line_numbered_like_their_files():
    line = [step.revision for step in steps().walk_revisions()][::-1]
    assert line == [f"{number:04}" for number in range(1, len(line) + 1)]
    names = sorted(path.name for path in (Path(migrations.__file__).parent / "versions").glob("*.py"))
    assert [name.split("_")[0] for name in names] == line
    assert all(re.fullmatch(r"\d{4}_[a-z0-9_]+\.py", name) for name in names)


async def test_the_steps_build_the_tables_that_the_code_has(database: Database):
    await migrations.upgrade(database)
    assert await differences(database) == []


async def test_the_database_is_for_its_owner_only_and_in_wal_mode(file: Path, database: Database):
    await migrations.upgrade(database)
    assert file.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_a_second_start_changes_nothing_and_does_not_load_alembic(
    file: Path, database: Database, monkeypatch: pytest.MonkeyPatch
):
    await migrations.upgrade(database)
    before = tables(file)
    monkeypatch.setattr(migrations, "configuration", lambda _file: pytest.fail("nothing is to be done"))
    await migrations.upgrade(database)
    assert tables(file) == before


async def test_many_that_start_at_once_take_turns(file: Path):
    several = [Database(file, DatabaseSettings()) for _ in range(5)]
    await asyncio.gather(*(migrations.upgrade(each) for each in several))
    for each in several:
        await each.close()
    assert {"people", "sessions"} <= tables(file).keys()


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(file: Path, database: Database):
    await migrations.upgrade(database)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    before = file.read_bytes()
    with pytest.raises(SiteError) as caught:
        await migrations.upgrade(database)
    assert caught.value.code == "database_newer"
    assert file.read_bytes() == before


async def test_a_step_that_fails_leaves_nothing_half_made(
    file: Path, database: Database, monkeypatch: pytest.MonkeyPatch
):
    from alembic.operations import Operations

    create, made = Operations.create_table, []

    def create_three(self: Operations, name: str, *columns: object, **options: object) -> object:
        if len(made) == 3:
            raise OSError("killed in the middle")
        made.append(name)
        return create(self, name, *columns, **options)

    with monkeypatch.context() as patch:
        patch.setattr("alembic.op.create_table", lambda *a, **k: create_three(_operations(), *a, **k))
        with pytest.raises(OSError, match="in the middle"):
            await migrations.upgrade(database)
    assert len(made) == 3
    assert tables(file).keys() <= {"alembic_version"}
    await migrations.upgrade(database)
    assert {"people", "sessions"} <= tables(file).keys()


def _operations() -> object:
    from alembic import op

    return op._proxy


async def test_a_file_that_is_no_database_is_said_to_be_damaged(file: Path, database: Database):
    file.write_bytes(b"This is not a database. " * 1000)
    with pytest.raises(SiteError) as caught:
        await migrations.upgrade(database)
    assert caught.value.code == "database_damaged"
    assert str(file) in caught.value.detail
