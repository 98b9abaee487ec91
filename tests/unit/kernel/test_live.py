"""What every kind of live state does, on the embedded one; and what may happen to its file.

Several processes, and Redis: tests/daemons/kernel.
"""

import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from madang.kernel import live_embedded as live_module
from madang.kernel.live import LiveStateUnavailable
from madang.kernel.live_embedded import EmbeddedLive
from tests.support.live_behaviour import *  # noqa: F403  (the tests that Redis has to pass, too)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "live.sqlite3"


@pytest.fixture
async def live(file: Path) -> AsyncIterator[EmbeddedLive]:
    state = EmbeddedLive(file, shared=False)
    await state.start()
    yield state
    await state.stop()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> "Clock":
    found = Clock()
    monkeypatch.setattr(live_module, "time", found)
    return found


@pytest.fixture
def elapse(clock: "Clock"):
    return clock.elapse


class Clock:
    """Stands in for the module `time`."""

    seconds = 1_000_000.0

    def time(self) -> float:
        return self.seconds

    monotonic = time

    async def elapse(self, seconds: float) -> None:
        self.seconds += seconds

    def time_ns(self) -> int:
        return int(self.seconds * 1e9)


def rows(file: Path, table: str) -> int:
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


async def test_what_expired_is_removed_while_we_run(clock: Clock, live: EmbeddedLive, file: Path):
    for number in range(20):
        await live.put(f"old:{number}", number, 5)
    clock.seconds += live.CLEAN_SECONDS + 1
    await live.put("new", 1, 60)
    assert rows(file, "records") == 1


async def test_records_outlive_a_restart(file: Path):
    for expected in (None, "kept"):
        state = EmbeddedLive(file, shared=False)
        await state.start()
        assert await state.get("key") == expected
        await state.put("key", "kept", 60)
        await state.stop()


def test_several_that_make_the_file_at_once_all_can_use_it(tmp_path: Path):
    for number in range(100):
        several = [EmbeddedLive(tmp_path / f"{number}.sqlite3", shared=True) for _ in range(4)]
        together = threading.Barrier(len(several))

        def make(one: EmbeddedLive, together: threading.Barrier = together) -> None:
            together.wait(10)
            one._open()

        with ThreadPoolExecutor(len(several)) as threads:
            for made in [threads.submit(make, one) for one in several]:
                made.result()
        for one in several:
            one._close()


async def test_the_file_is_for_its_owner_only(live: EmbeddedLive, file: Path):
    await live.put("key", 1, 60)
    assert {path.stat().st_mode & 0o777 for path in file.parent.glob("live.sqlite3*")} == {0o600}


async def test_alone_nothing_is_kept_for_other_processes(live: EmbeddedLive, file: Path):
    await live.publish(b"message")
    assert rows(file, "messages") == 0


def delete(file: Path) -> None:
    for path in file.parent.glob("live.sqlite3*"):
        path.unlink()


def delete_only_the_database(file: Path) -> None:
    file.unlink()


def delete_with_its_folder(file: Path) -> None:
    delete(file)
    file.parent.rmdir()


def wipe(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript("DROP TABLE records; DROP TABLE messages;")


def empty(file: Path) -> None:
    os.truncate(file, 0)


def fill_with_nonsense(file: Path) -> None:
    delete(file)
    file.write_bytes(b"This is not a database. " * 1000)


def damage(file: Path) -> None:
    for path in file.parent.glob("live.sqlite3*"):
        with path.open("r+b") as handle:
            handle.write(os.urandom(max(4096, path.stat().st_size)))


def change_the_tables(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript("DROP TABLE records; CREATE TABLE records (key TEXT);")


@pytest.mark.parametrize(
    "harm",
    [
        delete,
        delete_only_the_database,
        delete_with_its_folder,
        wipe,
        empty,
        fill_with_nonsense,
        damage,
        change_the_tables,
    ],
)
async def test_live_state_begins_anew_when_it_is_lost_while_we_run(live: EmbeddedLive, file: Path, harm):
    for number in range(200):
        await live.put(f"key:{number}", "x" * 100, 60)
    harm(file)
    await live.get_many("key:")  # whatever it gives, it is no error
    await live.put("key:new", "value", 60)
    assert await live.get("key:new") == "value"
    assert await live.add("mark", 60) and not await live.add("mark", 60)
    # What others see under this name is what we see.
    other = EmbeddedLive(file, shared=False)
    assert await other.get("key:new") == "value"
    await other.stop()


@pytest.fixture
async def unusable(file: Path) -> AsyncIterator[EmbeddedLive]:
    """Live state whose file cannot be made."""
    file.mkdir()
    state = EmbeddedLive(file, shared=True)
    await state.start()
    yield state
    await state.stop()


async def test_live_state_that_cannot_be_used_is_as_good_as_empty(unusable: EmbeddedLive):
    await unusable.put("key", 1, 60)
    await unusable.delete("key")
    await unusable.publish(b"message")
    assert await unusable.get("key") is None
    assert await unusable.get_many("k") == {}


async def test_what_guards_something_is_refused_when_live_state_cannot_be_used(unusable: EmbeddedLive, file: Path):
    with pytest.raises(LiveStateUnavailable) as caught:
        await unusable.add("ticket", 60)
    assert caught.value.status == 503
    assert str(file) in caught.value.detail
    with pytest.raises(LiveStateUnavailable):
        await unusable.count("tries", 60)


async def test_live_state_comes_back_by_itself(unusable: EmbeddedLive, file: Path):
    file.rmdir()
    await unusable.put("key", 1, 60)
    assert await unusable.get("key") == 1


async def test_a_writer_that_holds_the_file_too_long_is_not_waited_for_and_nothing_is_lost(
    file: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(EmbeddedLive, "BUSY_SECONDS", 0.2)
    state = EmbeddedLive(file, shared=False)
    await state.put("key", "old", 60)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await state.put("key", "new", 60)
        assert await state.get("key") == "old"
        with pytest.raises(LiveStateUnavailable):
            await state.count("tries", 60)
    await state.put("other", 1, 60)
    assert await state.get_many("") == {"key": "old", "other": 1}
    await state.stop()
