"""A real MariaDB and a real PostgreSQL, each started once; every test has an empty database of its own."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from madang.identity.background import background_of
from madang.kernel.database import Database, DatabaseSettings, metadata
from madang.kernel.ground import Ground
from madang.kernel.settings import load
from madang.migrations import upgrade
from madang.services import sections
from tests.support.databases import SERVERS, Server

BUSY_SECONDS = 1.0
ANSWER_SECONDS = 1.5


@pytest.fixture(scope="session", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    kind = SERVERS[request.param]
    if missing := kind.missing():
        pytest.skip(f"{missing} is not installed")
    with kind() as running:
        yield running


@pytest.fixture
def settings(server: Server) -> Iterator[DatabaseSettings]:
    """Of a new, empty database."""
    name = server.new_database()
    yield settings_of(server, name)
    server.drop(name)


def settings_of(server: Server, name: str) -> DatabaseSettings:
    return DatabaseSettings(
        url=server.url(name),
        password_file=str(server.password_file),
        busy_seconds=BUSY_SECONDS,
        answer_seconds=ANSWER_SECONDS,
        connections=3,
    )


@pytest.fixture(scope="session")
def site(server: Server) -> str:
    """The name of a database with all tables."""
    name = server.new_database()

    async def prepare() -> None:
        database = Database(Path("unused"), settings_of(server, name))
        await upgrade(database)
        await database.close()

    asyncio.run(prepare())
    return name


@pytest.fixture
async def make_ground(server: Server, site: str, tmp_path: Path) -> AsyncIterator[Callable[..., Ground]]:
    """The grounds of portals with one database, empty at the start of the test."""
    made: list[Ground] = []

    async def make(**more: str) -> Ground:
        folder = tmp_path / f"state{len(made)}"
        environ = {"MADANG_SITE_STATE_FOLDER": str(folder), "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
        made.append(Ground(load(sections(), environ | server.environment(site) | more)))
        await made[-1].start()
        return made[-1]

    first = Database(tmp_path / "unused", settings_of(server, site))
    async with first.write() as connection:
        for table in reversed(metadata.sorted_tables):
            await connection.execute(table.delete())
    await first.close()
    yield make
    for ground in made:
        await background_of(ground).settled()
        await ground.stop()


@pytest.fixture
def hold_database(server: Server, site: str) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """Another process writes and does not end."""

    @contextlib.contextmanager
    def held() -> Iterator[None]:
        inside, over = threading.Event(), threading.Event()

        async def hold() -> None:
            database = Database(Path("unused"), msgspec.structs.replace(settings_of(server, site), answer_seconds=60))
            async with database.write():
                inside.set()
                await asyncio.to_thread(over.wait)
            await database.close()

        thread = threading.Thread(target=lambda: asyncio.run(hold()))
        thread.start()
        try:
            assert inside.wait(10)
            yield
        finally:
            over.set()
            thread.join()

    return held


@pytest.fixture
async def ground(make_ground: Callable[..., Ground]) -> Ground:
    return await make_ground()
