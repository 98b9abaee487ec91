"""Servers that are killed, silent or in the way, and writers that meet each other."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from madang.desktops.model import Session
from madang.desktops.store import Sessions
from madang.kernel.database import (
    Database,
    DatabaseBusy,
    DatabaseRefused,
    DatabaseSettings,
    DatabaseUnavailable,
    retried,
)
from madang.kernel.errors import LimitReached, SettingError, Unavailable
from tests.daemons.databases.conftest import ANSWER_SECONDS, BUSY_SECONDS
from tests.daemons.databases.proxy import breaking
from tests.support.databases import Server
from tests.unit.desktops.house import session

INSERT = text("INSERT INTO pairs VALUES (:number, :half)")


class Pairs:
    """Two rows a transaction: never one without the other."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.runs = 0
        self.between: Callable[[], Awaitable[None]] | None = None

    @retried
    async def add(self, number: int) -> None:
        self.runs += 1
        async with self.database.write() as connection:
            await connection.execute(INSERT, {"number": number, "half": 1})
            if self.between is not None:
                await self.between()
            await connection.execute(INSERT, {"number": number, "half": 2})

    @retried
    async def count_up(self) -> None:
        async with self.database.write() as connection:
            number = await connection.scalar(text("SELECT number FROM pairs WHERE half = 9"))
            await asyncio.sleep(0)
            await connection.execute(text("UPDATE pairs SET number = :n WHERE half = 9"), {"n": number + 1})

    async def numbers(self, half: int) -> list[int]:
        async with self.database.read() as connection:
            query = text("SELECT number FROM pairs WHERE half = :half ORDER BY number")
            return list((await connection.execute(query, {"half": half})).scalars())


@pytest.fixture
async def open_pairs(settings: DatabaseSettings) -> AsyncIterator[Callable[..., Awaitable[Pairs]]]:
    """Each call: another portal on the same database."""
    made: list[Pairs] = []

    async def make(**changes: object) -> Pairs:
        database = Database(Path("unused"), msgspec.structs.replace(settings, **changes))
        if not made:
            async with database.upgrading() as connection:
                await connection.execute(text("CREATE TABLE pairs (number INT NOT NULL, half INT NOT NULL)"))
        made.append(Pairs(database))
        return made[-1]

    yield make
    for each in made:
        await each.database.close()


async def until_it_works(pairs: Pairs, number: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                return await pairs.add(number)
            except Unavailable:
                await asyncio.sleep(0.05)


async def test_a_server_that_is_killed_in_the_middle_of_writes_and_comes_back(server: Server, open_pairs):
    pairs = [await open_pairs(), await open_pairs()]
    kept: list[int] = []
    unknown: list[int] = []
    refused = []
    stop = asyncio.Event()

    async def write(writer: int) -> None:
        number = writer
        while not stop.is_set():
            number += 10
            try:
                await pairs[writer % 2].add(number)
                kept.append(number)
            except Unavailable as error:
                refused.append(error)
                if error.code == "database_outcome_unknown":
                    unknown.append(number)
                await asyncio.sleep(0.02)

    writers = [asyncio.create_task(write(number)) for number in range(6)]
    await asyncio.sleep(0.3)
    before = len(kept)
    server.kill()
    await asyncio.sleep(0.5)
    assert {error.status for error in refused} == {503}
    assert any(isinstance(error, DatabaseUnavailable) and error.hint for error in refused)
    await asyncio.to_thread(server.start)
    after = len(kept)
    await asyncio.sleep(0.5)
    stop.set()
    await asyncio.gather(*writers)
    assert before > 5 and len(kept) > after + 5, "it goes on by itself"
    firsts = await pairs[0].numbers(1)
    assert firsts == await pairs[0].numbers(2), "nothing half written"
    assert set(kept) <= set(firsts), "nothing lost that was said to be kept"
    assert set(firsts) - set(kept) <= set(unknown)
    assert len(firsts) == len(set(firsts)), "nothing twice"


@pytest.mark.parametrize("work", ["numbers", "add"])
async def test_a_silent_server_is_given_up_in_time_and_used_again(server: Server, open_pairs, work: str):
    pairs = await open_pairs()
    await pairs.add(1)
    server.pause()
    try:
        begin = time.monotonic()
        asked = [asyncio.create_task(getattr(pairs, work)(2)) for _ in range(5)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        # Those that wait for a connection or for their turn behind the first ones have their own time.
        assert time.monotonic() - begin < 2 * (ANSWER_SECONDS + BUSY_SECONDS) + 1
        assert {type(each) for each in outcomes} <= {DatabaseUnavailable, DatabaseBusy}
        assert "did not answer" in str(outcomes[0])
        begin = time.monotonic()
        with pytest.raises(DatabaseUnavailable):  # now there is no connection any more, and none is made
            await pairs.numbers(1)
        assert time.monotonic() - begin < max(2.0, ANSWER_SECONDS) + 1
    finally:
        server.resume()
    await until_it_works(pairs, 3)
    assert {1, 3} <= set(await pairs.numbers(1))
    assert await pairs.numbers(1) == await pairs.numbers(2)


async def test_a_connection_that_breaks_before_the_commit_is_replaced_and_the_write_run_again(
    server: Server, open_pairs
):
    pairs = await open_pairs()
    await pairs.add(1)

    async def end_everybody() -> None:
        pairs.between = None
        if server.scheme == "mariadb":
            found = server.ask("SELECT id FROM information_schema.processlist WHERE user = 'madang'")
            for each in found.split():
                server.ask(f"KILL {each}")
        else:
            server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'madang'")

    pairs.between = end_everybody
    await pairs.add(2)
    assert pairs.runs == 3
    assert await pairs.numbers(1) == await pairs.numbers(2) == [1, 2]


async def test_connections_that_were_idle_over_a_restart_are_replaced_without_a_word(server: Server, open_pairs):
    pairs = await open_pairs()
    await asyncio.gather(*(pairs.numbers(1) for _ in range(3)))
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    await asyncio.gather(*(pairs.numbers(1) for _ in range(3)), pairs.add(1))


async def test_a_commit_of_which_nobody_knows_the_outcome_is_not_run_again(server: Server, settings, open_pairs):
    async with breaking(server.port) as between:
        direct = await open_pairs()
        through = await open_pairs(url=settings.url.replace(f":{server.port}/", f":{between.port}/"))
        await through.add(1)
        between.armed = True
        with pytest.raises(DatabaseUnavailable) as caught:
            await through.add(2)
        assert (caught.value.code, caught.value.status) == ("database_outcome_unknown", 503)
        assert (through.runs, between.broken) == (2, 1)
        assert await direct.numbers(1) == await direct.numbers(2) == [1, 2]
        await through.add(3)


async def test_a_deadlock_with_somebody_else_is_run_again(server: Server, settings: DatabaseSettings, open_pairs):
    """An operator's transaction holds what ours needs next, and needs what ours holds; ours is the smaller one."""
    pairs = await open_pairs(busy_seconds=10.0)
    rival = create_async_engine(pairs.database.engine.url.set(host="127.0.0.1", port=server.port))
    ours_holds, theirs_holds = asyncio.Event(), asyncio.Event()
    tries = 0

    @retried
    async def ours() -> None:
        nonlocal tries
        tries += 1
        async with pairs.database.write() as connection:
            await connection.execute(text("UPDATE singles SET n = n + 1 WHERE id = 1"))
            if tries == 1:
                ours_holds.set()
                await theirs_holds.wait()
            await connection.execute(text("UPDATE singles SET n = n + 1 WHERE id = 2"))

    async with pairs.database.upgrading() as connection:
        await connection.execute(text("CREATE TABLE singles (id INT PRIMARY KEY, n INT NOT NULL)"))
        await connection.execute(text("INSERT INTO singles VALUES (1, 0), (2, 0)"))
    writing = asyncio.create_task(ours())
    async with rival.connect() as theirs:
        await ours_holds.wait()
        for number in range(50):  # so that it is the other one's turn to give way
            await theirs.execute(text("INSERT INTO singles VALUES (:id, 0)"), {"id": 100 + number})
        await theirs.execute(text("UPDATE singles SET n = n + 10 WHERE id = 2"))
        theirs_holds.set()
        await asyncio.sleep(0.3)  # ours waits for theirs
        await theirs.execute(text("UPDATE singles SET n = n + 10 WHERE id = 1"))
        await theirs.commit()
    await writing
    await rival.dispose()
    assert tries == 2
    async with pairs.database.read() as connection:
        found = await connection.execute(text("SELECT n FROM singles WHERE id < 3"))
        assert found.scalars().all() == [11, 11]


async def test_fifty_that_count_up_at_once_in_two_portals_lose_none(open_pairs):
    portals = [await open_pairs(busy_seconds=20.0), await open_pairs(busy_seconds=20.0)]
    async with portals[0].database.write() as connection:
        await connection.execute(INSERT, {"number": 0, "half": 9})
    await asyncio.gather(*(portals[number % 2].count_up() for number in range(50)))
    assert await portals[1].numbers(9) == [50]


async def test_nobody_gets_past_the_limit_by_asking_two_portals_at_once(make_ground):
    portals = [Sessions((await make_ground()).database, "vnc") for _ in range(2)]
    asked = [portals[number % 2].add(session(number, name=""), most=3) for number in range(50)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    made = [each for each in outcomes if isinstance(each, Session)]
    assert sorted(each.name for each in made) == ["Desktop 1", "Desktop 2", "Desktop 3"]
    assert {type(each) for each in outcomes} == {Session, LimitReached}
    assert len(await portals[0].running()) == 3


async def test_a_writer_waits_for_another_portal_no_longer_than_it_may(ground, hold_database, settings, site, server):
    database = Database(Path("unused"), msgspec.structs.replace(settings, url=server.url(site)))
    with hold_database():
        begin = time.monotonic()
        with pytest.raises(DatabaseBusy):
            async with database.write():
                pass
        assert BUSY_SECONDS * 0.9 < time.monotonic() - begin < BUSY_SECONDS + 1
        await database.answers()  # readers do not wait
    async with database.write():
        pass
    await database.close()


STOPPED = """
import asyncio, os, signal, sys
from pathlib import Path
from sqlalchemy import text
from madang.kernel.database import Database, DatabaseSettings
async def main():
    settings = DatabaseSettings(url=sys.argv[1], password_file=sys.argv[2], answer_seconds=1.0)
    try:
        async with Database(Path("unused"), settings).write() as connection:
            await connection.execute(text("INSERT INTO pairs VALUES (7, 1)"))
            print("inside", flush=True)
            os.kill(os.getpid(), signal.SIGSTOP)
            await connection.execute(text("INSERT INTO pairs VALUES (7, 2)"))
    except Exception as error:
        print(type(error).__name__, flush=True)
asyncio.run(main())
"""


async def test_a_portal_that_stands_still_in_the_middle_of_a_write_holds_nobody_up_for_long(
    settings: DatabaseSettings, open_pairs
):
    pairs = await open_pairs(busy_seconds=8.0)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STOPPED, settings.url, settings.password_file, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 20) == b"inside\n"
        begin = time.monotonic()
        await pairs.add(1)
        assert time.monotonic() - begin < 4
        os.kill(process.pid, signal.SIGCONT)
        assert await asyncio.wait_for(process.stdout.readline(), 20) in (
            b"DatabaseConflict\n",
            b"DatabaseUnavailable\n",
        )
        await process.wait()
        assert await pairs.numbers(1) == await pairs.numbers(2) == [1]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_first_host_that_answers_is_used(server: Server, settings: DatabaseSettings, open_pairs):
    place = f"@127.0.0.1:{server.port}/"
    pairs = await open_pairs(url=settings.url.replace(place, f"@127.0.0.1:1,127.0.0.1:{server.port}/"))
    await pairs.add(1)
    assert await pairs.numbers(2) == [1]


async def test_a_socket_stands_in_place_of_a_host(server: Server, settings: DatabaseSettings, open_pairs):
    name = settings.url.rpartition("/")[2]
    pairs = await open_pairs(url=f"{server.scheme}://madang@/{name}?socket={server.socket}")
    await pairs.add(1)
    assert await pairs.numbers(2) == [1]
    assert str(server.socket) in pairs.database.dialect.where


@pytest.fixture
async def with_tls(server: Server) -> AsyncIterator[Path]:
    """The server's own certificate, which vouches for itself."""
    key, certificate = server.folder / "key.pem", server.folder / "certificate.pem"
    what = ["-subj", "/CN=database", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    await asyncio.to_thread(server.stop)
    server.run("openssl", "req", *kind, *what, "-keyout", str(key), "-out", str(certificate))
    if server.scheme == "mariadb":
        await asyncio.to_thread(server.start, f"--ssl-key={key}", f"--ssl-cert={certificate}")
    else:
        options = ("ssl=on", f"ssl_key_file={key}", f"ssl_cert_file={certificate}")
        await asyncio.to_thread(server.start, *(word for each in options for word in ("-c", each)))
    yield certificate
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)


async def test_with_a_ca_file_the_connection_is_encrypted_and_the_server_checked(
    server: Server, settings: DatabaseSettings, with_tls: Path, tmp_path: Path, open_pairs
):
    pairs = await open_pairs(ca_file=str(with_tls))
    query = {"mariadb": "SHOW STATUS LIKE 'Ssl_version'"}.get(
        server.scheme, "SELECT '', version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    )
    async with pairs.database.read() as connection:
        row = (await connection.execute(text(query))).one()
    assert row[1].startswith("TLSv1.")
    for impostor in ("/etc/ssl/certs/ca-certificates.crt", str(tmp_path / "missing.pem")):
        with pytest.raises((DatabaseUnavailable, DatabaseRefused, SettingError)):
            await (await open_pairs(ca_file=impostor)).numbers(1)
