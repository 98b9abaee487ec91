"""The local launcher with a stand-in for the agent."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from madang.compute import processes
from madang.compute.launcher import Launcher, LaunchFailed, Placement
from madang.compute.local import LocalLauncher
from madang.compute.order import AgentOrder

STAND_IN = """
import json, os, signal, sys, time
order = json.load(sys.stdin)
print(json.dumps({"order": order, "argv": sys.argv, "env": dict(os.environ), "cwd": os.getcwd(),
                  "sid": os.getsid(0) == os.getpid(), "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))}),
      flush=True)
signal.pthread_sigmask(signal.SIG_SETMASK, [])
time.sleep(60)
"""


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Short, and on the path of whatever is started from here."""
    with tempfile.TemporaryDirectory(prefix="mdg", dir="/tmp") as name:
        path = Path(name)
        (path / "stand_in.py").write_text(STAND_IN)
        script = path / "python"
        script.write_text(f'#!/bin/sh\nPYTHONPATH={path} exec {sys.executable} "$@"\n')
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))
        yield path


@pytest.fixture
async def launcher(folder: Path) -> AsyncIterator[LocalLauncher]:
    exited: list[str] = []
    launcher = LocalLauncher(
        folder_root=folder / "s", log_folder=folder / "logs", agent_module="stand_in", on_exit=exited.append
    )
    launcher.exited = exited  # type: ignore[attr-defined]
    await launcher.prepare()
    yield launcher
    for name in os.listdir(folder / "s"):
        await launcher.sweep(name, None, folder / "s" / name, None, None)
    launcher.close()


def order(launcher: LocalLauncher, session: str = "s1", **changes: object) -> AgentOrder:
    needed = {"folder": str(launcher.folder(session)), "portal": "http://p", "agent_secret": "as", "door_key": "dk"}
    return AgentOrder(session=session, **(needed | changes))  # type: ignore[arg-type]


async def said(launcher: LocalLauncher, session: str = "s1") -> dict[str, object]:
    for _ in range(200):
        text = launcher.log_file(session).read_text()
        if text.endswith("\n"):
            return dict(json.loads(text))
        await asyncio.sleep(0.02)
    raise AssertionError("the stand-in said nothing")


async def until(true: object, seconds: float = 5) -> None:
    for _ in range(int(seconds / 0.02)):
        if true():  # type: ignore[operator]
            return
        await asyncio.sleep(0.02)
    raise AssertionError("not in time")


async def test_is_a_launcher(launcher: LocalLauncher) -> None:
    _: Launcher = launcher


async def test_how_an_agent_is_started(launcher: LocalLauncher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MADANG_SECRET", "x")
    placement = await launcher.start(order(launcher), "Desktop")
    found = await said(launcher)
    assert found["order"]["agent_secret"] == "as"  # type: ignore[index]
    assert found["argv"][1:] == ["MADANG_SESSION=s1"]  # type: ignore[index]
    assert set(found["env"]) <= {"PATH", "LANG", "LC_CTYPE", "PWD", "PYTHONPATH"}  # type: ignore[call-overload]
    assert found["cwd"] == "/" and found["sid"] is True
    assert {signal.SIGTERM, signal.SIGHUP, signal.SIGINT} <= set(found["blocked"])  # type: ignore[call-overload]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()
    process = processes.look(placement.pid)
    assert process is not None and process.started == placement.pid_started
    assert launcher.folder("s1").stat().st_mode & 0o777 == 0o700
    assert launcher.log_file("s1").stat().st_mode & 0o777 == 0o600
    assert launcher.log_folder.stat().st_mode & 0o777 == 0o700


async def test_an_exit_is_noticed_and_reaped(launcher: LocalLauncher) -> None:
    placement = await launcher.start(order(launcher), "Desktop")
    assert (await launcher.look("s1", placement)).alive is True
    os.kill(placement.pid, signal.SIGKILL)
    await until(lambda: launcher.exited == ["s1"])  # type: ignore[attr-defined]
    assert (await launcher.look("s1", placement)).alive is False
    assert processes.look(placement.pid) is None


async def test_a_placement_elsewhere_cannot_be_seen(launcher: LocalLauncher) -> None:
    placement = await launcher.start(order(launcher), "Desktop")
    assert (await launcher.look("s1", Placement("elsewhere", placement.pid, placement.pid_started))).alive is None
    assert (
        await launcher.look("s1", Placement(placement.node, placement.pid, placement.pid_started - 1))
    ).alive is False
    assert not await launcher.adopt("s1", Placement(placement.node, placement.pid, placement.pid_started - 1))


async def test_sweep_ends_and_removes_and_can_be_repeated(launcher: LocalLauncher) -> None:
    placement = await launcher.start(order(launcher), "Desktop")
    await said(launcher)
    for _ in range(2):
        assert await launcher.sweep("s1", None, launcher.folder("s1"), None, None)
    assert not launcher.folder("s1").exists()
    assert launcher.log_file("s1").exists()
    await until(lambda: launcher.exited == ["s1"])  # type: ignore[attr-defined]
    assert (await launcher.look("s1", placement)).alive is False


@pytest.mark.parametrize("session", ["", "..", "a/b", "a b", "a\n", "x" * 65])
async def test_only_session_ids(launcher: LocalLauncher, session: str) -> None:
    with pytest.raises(ValueError):
        launcher.folder(session)
    with pytest.raises(ValueError):
        launcher.log_file(session)


async def test_only_its_own_folders(launcher: LocalLauncher, folder: Path) -> None:
    with pytest.raises(ValueError):
        await launcher.start(order(launcher, folder="/tmp/elsewhere"), "Desktop")
    with pytest.raises(ValueError):
        await launcher.sweep("s1", None, folder, None, None)
    assert os.listdir(launcher.folder_root) == []


async def test_a_folder_that_is_there_already_is_not_taken(launcher: LocalLauncher) -> None:
    launcher.folder("s1").mkdir()
    (launcher.folder("s1") / "file").write_text("keep")
    with pytest.raises(LaunchFailed) as caught:
        await launcher.start(order(launcher), "Desktop")
    assert caught.value.failure.code == "launch_failed"
    assert (launcher.folder("s1") / "file").exists()


async def test_nothing_half_made_when_the_log_cannot_be_opened(launcher: LocalLauncher) -> None:
    launcher.log_file("s1").mkdir()
    with pytest.raises(LaunchFailed):
        await launcher.start(order(launcher), "Desktop")
    assert os.listdir(launcher.folder_root) == []


async def test_account_gone(launcher: LocalLauncher) -> None:
    with pytest.raises(LaunchFailed) as caught:
        await launcher.start(order(launcher, account="no-such-account"), "Desktop")
    assert caught.value.failure.code == "account_gone"
    assert os.listdir(launcher.folder_root) == []


async def test_an_unsafe_folder_root_is_named(folder: Path) -> None:
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    launcher = LocalLauncher(folder_root=folder / "open", log_folder=folder / "logs", agent_module="x")
    with pytest.raises(LaunchFailed) as caught:
        await launcher.prepare()
    assert caught.value.failure.code == "folder_root_unsafe"
    assert "777" in caught.value.failure.detail


async def test_a_folder_root_too_long_for_sockets(folder: Path) -> None:
    launcher = LocalLauncher(folder_root=folder / ("x" * 60), log_folder=folder / "logs", agent_module="x")
    with pytest.raises(LaunchFailed) as caught:
        await launcher.prepare()
    assert caught.value.failure.code == "folder_root_long"
