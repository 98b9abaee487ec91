"""The agent's smaller rooms: its clock, its log, its own folder, its children, new files, its start."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from madang.compute.order import AgentOrder, Failure, Pulse, Report, Stage
from madang.desktops.agent import life, log, new_file, own_folder
from madang.desktops.agent.account import Account, look_up
from madang.desktops.agent.aside import AsideFailed, aside
from madang.desktops.agent.clock import Clock
from madang.desktops.agent.new_file import NewFile
from madang.desktops.agent.output import Output
from madang.desktops.agent.own_folder import FolderRefused

ME = look_up(None)


# Clock.


def test_a_clock_that_was_told() -> None:
    clock = Clock()
    assert clock.offset == 0.0
    clock.learn(time.time() + 300)
    assert clock.offset == pytest.approx(300, abs=0.05)
    report = Report(stages=[Stage("agent", 1000.0, 1.5)], pulse=Pulse(2000.0, 1.0))
    seen = clock.translated(report)
    assert seen.pulse is not None and report.pulse is not None
    assert seen.stages[0].started_at == pytest.approx(1300, abs=0.05) and seen.stages[0].seconds == 1.5
    assert seen.pulse.at == pytest.approx(2300, abs=0.05)
    assert report.stages[0].started_at == 1000.0 and report.pulse.at == 2000.0
    clock.learn_date("Thu, 01 Jan 1970 00:00:10 GMT")
    assert clock.offset == pytest.approx(300, abs=0.05)


def test_two_clocks_that_are_the_same() -> None:
    clock = Clock()
    report = Report()
    clock.learn(time.time() + 0.03)
    assert clock.offset == 0.0 and clock.translated(report) is report


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), -1.0, 1e300])
def test_a_time_that_cannot_be(nonsense: float) -> None:
    clock = Clock()
    clock.learn(nonsense)
    assert clock.offset == 0.0


@pytest.mark.parametrize("date", ["", "yesterday", "Fri, 99 Foo 2026 00:00:00 GMT", "Mon, 01 Jan 99999 00:00:00 GMT"])
def test_a_date_that_is_none(date: str) -> None:
    clock = Clock()
    clock.learn_date(date)
    assert clock.offset == 0.0


def test_a_date_is_good_to_a_second() -> None:
    clock = Clock()
    clock.learn_date(time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()))
    assert clock.offset == 0.0
    clock.learn_date(time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() - 300)))
    assert clock.offset == pytest.approx(-300, abs=1.1)


# Log. In processes of their own: a log takes their standard error.


def in_child(script: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True, timeout=20
    ).stdout


def test_a_log_of_our_own_keeps_its_newest_part(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom madang.desktops.agent import log\nout = open(sys.argv[2], 'w')\n"
        "log.keep_in(sys.argv[1], 5000)\n"
        "for number in range(1000): log.log(f'line {number}')\n"
        "import os; os.unlink(sys.argv[1] + '/session.log')\n"
        "out.write(log.tail_text(1000))\n"
    )
    (tmp_path / "s").mkdir()
    in_child(script, str(tmp_path / "s"), str(tmp_path / "tail"))
    lines = (tmp_path / "tail").read_text().splitlines()
    assert lines[-1].endswith("line 999") and 20 < len(lines) < 40
    assert all("line " in line for line in lines)


def test_the_log_stays_within_its_limit(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom madang.desktops.agent import log\nlog.keep_in(sys.argv[1], 5000)\n"
        "for number in range(300): log.write(b'x' * 49 + b'\\n')\nlog.log('\\x1b[31mred')\n"
    )
    in_child(script, str(tmp_path))
    file = tmp_path / "session.log"
    assert file.stat().st_size <= 5100 and file.stat().st_mode & 0o777 == 0o600
    assert file.read_bytes().startswith(b"[earlier lines are left out]\n")


def test_a_launchers_log_is_not_ours_to_tell() -> None:
    assert not log.is_ours() and log.tail_text(100) == ""


# The folder.


def test_the_folder_is_made_taken_over_and_refused(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    own_folder.make(str(folder), "none", ME, 0.1)
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "left").mkdir()
    (folder / "left" / "over").touch()
    folder.chmod(0o755)
    own_folder.make(str(folder), secrets.token_hex(8), ME, 0.1)
    assert folder.stat().st_mode & 0o777 == 0o700 and not list(folder.iterdir())
    link = tmp_path / "link"
    link.symlink_to(folder)
    (folder / "kept").touch()
    (tmp_path / "file").touch()
    for other in (link, tmp_path / "file", tmp_path / "no" / "way"):
        with pytest.raises(FolderRefused):
            own_folder.make(str(other), "none", ME, 0.1)
    assert (folder / "kept").exists()
    with pytest.raises(FolderRefused):
        own_folder.make(str(folder), "none", Account("x", ME.uid + 1, ME.gid, "/", "/bin/sh"), 0.1)


# Children.


async def test_work_is_done_aside() -> None:
    assert await aside(lambda: str(os.getpid()).encode(), 5) != str(os.getpid()).encode()
    assert await aside(lambda: bytes(3_000_000), 5) == bytes(3_000_000)
    with pytest.raises(AsideFailed, match="ZeroDivisionError"):
        await aside(lambda: b"%d" % (1 // 0), 5)
    with pytest.raises(AsideFailed, match="ended"):
        await aside(lambda: os.kill(os.getpid(), 9) or b"", 5)
    began = time.monotonic()
    with pytest.raises(AsideFailed, match="not done"):
        await aside(lambda: time.sleep(9) or b"", 0.2)
    assert time.monotonic() - began < 2


async def test_a_child_holds_no_connection_open() -> None:
    inside, outside = os.pipe()
    child = asyncio.create_task(aside(lambda: time.sleep(1) or b"", 5))
    await asyncio.sleep(0.2)
    os.close(outside)
    os.set_blocking(inside, False)
    assert os.read(inside, 1) == b""  # nobody else has the writing end
    os.close(inside)
    await child


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_modules_below_a_folder_that_may_not_be_passed(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden" / "site"
    hidden.mkdir(parents=True)
    (hidden / "large_library.py").write_text("VALUE = b'loaded'\n")
    (tmp_path / "hidden").chmod(0o700)
    script = (
        "import asyncio, os, sys\nsys.path.insert(0, sys.argv[1])\n"
        "from madang.desktops.agent import aside\n"
        "def work():\n import large_library\n return large_library.VALUE\n"
        "aside.hold_places()\nos.setresuid(65534, 65534, 65534)\n"
        "assert not os.access(sys.argv[1], os.R_OK)\n"
        "sys.stdout.write(asyncio.run(aside.aside(work, 5)).decode())\n"
    )
    assert in_child(script, str(hidden)) == "loaded"


# New files.


@pytest.fixture(params=["nameless", "hidden", "no links"])
def file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """As file systems are: those that can do all, NFS, FAT."""
    if request.param != "nameless":
        real = os.open

        def no_nameless(path: Any, flags: int, *more: Any, **named: Any) -> int:
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, "no")
            return real(path, flags, *more, **named)

        monkeypatch.setattr(new_file.os, "open", no_nameless)
    if request.param == "no links":

        def no_links(*_: Any, **__: Any) -> None:
            raise OSError(errno.EPERM, "no")

        monkeypatch.setattr(new_file.os, "link", no_links)
    return str(request.param)


def test_a_new_file_appears_whole(tmp_path: Path, file_system: str) -> None:
    file = NewFile(str(tmp_path), "a.txt", 10)
    file.write(memoryview(b"hello"))
    assert not (tmp_path / "a.txt").exists()
    assert file_system == "nameless" or [name[0] for name in os.listdir(tmp_path)] == ["."]
    assert file.finish() == "a.txt"
    file.close()
    file.close()
    assert os.listdir(tmp_path) == ["a.txt"] and (tmp_path / "a.txt").read_bytes() == b"hello"


def test_nothing_is_written_over(tmp_path: Path, file_system: str) -> None:
    (tmp_path / "a.txt").write_text("kept")
    (tmp_path / "a (2).txt").symlink_to("nowhere")
    file = NewFile(str(tmp_path), "a.txt", 10)
    assert file.finish() == "a (3).txt"
    file.close()
    assert (tmp_path / "a.txt").read_text() == "kept" and not (tmp_path / "nowhere").exists()


def test_an_unfinished_file_is_gone(tmp_path: Path, file_system: str) -> None:
    file = NewFile(str(tmp_path), "a.txt", 10)
    file.write(memoryview(b"hello"))
    file.close()
    assert os.listdir(tmp_path) == []


def test_a_file_for_which_there_is_no_room(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No space"):
        NewFile(str(tmp_path), "a.txt", 2**60)
    assert len(os.listdir("/proc/self/fd")) == before


# The start.


@pytest.fixture
def one_life(tmp_path: Path) -> Iterator[life.Life]:
    order = AgentOrder(session="s1", folder=str(tmp_path), portal="http://p:1", agent_secret="a", door_key="d")
    words, words_end = os.pipe()
    yield life.Life(order, ME, Output(1000), words, os.getpid(), time.time())
    os.close(words)
    os.close(words_end)


async def test_a_bug_while_it_starts_is_said_at_once(one_life: life.Life, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __init__(self, number: int) -> None:
            raise KeyError("a bug")

    monkeypatch.setattr(life, "Screen", Broken)
    one_life._keep(one_life._finish_start(1))
    await asyncio.wait_for(one_life._over.wait(), 1)
    failure = one_life._report.failure
    assert isinstance(failure, Failure) and failure.code == "agent_error" and "a bug" in failure.detail


async def test_nonsense_of_the_starter_is_said_at_once(one_life: life.Life) -> None:
    one_life._unread = b"nonsense"
    os.set_blocking(one_life._words, False)
    writer = os.open(f"/proc/self/fd/{one_life._words}", os.O_WRONLY)
    os.write(writer, b"\n")
    os.close(writer)
    one_life._listen()
    assert one_life._report.failure is not None and one_life._report.failure.code == "agent_error"


async def test_a_piece_whose_end_nobody_told_us_of(one_life: life.Life) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    one_life._pids = {"display_ready": os.getpid(), "desktop": os.getppid(), "bus": gone.pid}
    one_life._look_for_lost_pieces()
    await asyncio.wait_for(one_life._over.wait(), 2)
    assert one_life._report.failure is not None and one_life._report.failure.code == "desktop_lost"
    assert "message bus" in one_life._report.failure.detail
