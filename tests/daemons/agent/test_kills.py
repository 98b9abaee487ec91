"""Whatever is killed, stopped or ill-behaved: the session ends or goes on, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.daemons.agent.desk import Desk, Site, arguments, eventually

Start = Callable[..., Awaitable[Desk]]

# Leaves its parent and its session behind, refuses to be asked, and wipes what it could be found by.
STUBBORN = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
if {wipe}:
    os.execve({python!r}, [{python!r}, "-c", "import time; time.sleep(600)", {name!r}], {{}})
os.execv({python!r}, [{python!r}, "-c", "import time; time.sleep(600)", {name!r}])
"""


def running(name: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if name.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


@pytest.fixture
def stubborn(site: Site, short_folder: Path) -> Callable[[bool], Awaitable[tuple[Desk, str]]]:
    """A desktop that starts such a program by itself."""

    async def begin(wipe: bool) -> tuple[Desk, str]:
        name = f"stubborn-{os.path.basename(short_folder)}"
        script = short_folder / "stubborn.py"
        script.write_text(STUBBORN.format(python="/usr/bin/python3", name=name, wipe=wipe))
        with site.autostarting("stubborn", "/usr/bin/python3", str(script)):
            desk = await site.start(grace_seconds=0.5)
            await desk.until("ready")
            await eventually(lambda: running(name), 10, "the stubborn program did not start")
        return desk, name

    return begin


async def test_worker_killed(desk: Desk) -> None:
    desk.kill(desk.worker)
    await desk.until_gone()
    await desk.assert_nothing_left(0.5)
    assert "the agent's worker ended with -9" in desk.log


async def test_keeper_killed(desk: Desk) -> None:
    desk.kill(desk.keeper)
    report = await desk.until("failed")
    assert report["failure"]["code"] == "agent_lost"
    await desk.until_gone()
    # As root the worker may empty the session's folder, but not remove it: the portal does, when it hears of the exit.
    await eventually(lambda: not desk.processes(), 5, lambda: desk.processes())
    assert await desk.sweep()
    await desk.assert_nothing_left(0)


async def test_both_killed_then_swept(desk: Desk) -> None:
    worker = desk.worker
    desk.kill(desk.keeper, signal.SIGSTOP)
    desk.kill(worker)
    desk.kill(desk.keeper)
    await desk.until_gone()
    assert "Xvnc" in desk.processes().values()
    assert (await desk.site.launcher.look(desk.session, desk.placement)).alive is False
    assert await desk.sweep()
    await desk.assert_nothing_left(0)
    assert await desk.sweep()


async def test_swept_while_it_runs(desk: Desk) -> None:
    assert await desk.sweep()
    await desk.until_gone()
    await desk.assert_nothing_left(0)
    assert (await desk.until("ended"))["end_reason"] == "terminated"


async def test_swept_while_the_whole_agent_is_stopped(desk: Desk) -> None:
    desk.kill(desk.worker, signal.SIGSTOP)
    desk.kill(desk.keeper, signal.SIGSTOP)
    assert await desk.sweep()
    await desk.assert_nothing_left(0)


async def test_display_killed(desk: Desk) -> None:
    desk.kill(desk.pid_of("Xvnc"))
    failure = await desk.until_failed()
    assert failure["code"] == "display_lost"
    assert "SIGKILL" in failure["detail"]
    await desk.until_gone()
    await desk.assert_nothing_left()


async def test_session_manager_killed(desk: Desk) -> None:
    desk.kill(desk.pid_of("xfce4-session"))
    failure = await desk.until_failed()
    assert failure["code"] == "desktop_lost"
    await desk.until_gone()
    await desk.assert_nothing_left()


async def test_message_bus_killed(desk: Desk) -> None:
    await desk.settled()
    desk.kill(desk.pid_of("dbus-daemon"))
    failure = await desk.until_failed()
    assert failure["code"] == "desktop_lost"
    await desk.until_gone()
    await desk.assert_nothing_left()


@pytest.mark.parametrize("after", [0.0, 0.3, 0.8])
async def test_message_bus_killed_in_the_first_second(start: Start, after: float) -> None:
    desk = await start()
    await desk.until("ready")
    await asyncio.sleep(after)
    # Beside the bus itself there are processes of its name that start services for it.
    bus = next(pid for pid in desk.processes() if "--nofork" in arguments(pid))
    desk.kill(bus)
    failure = await desk.until_failed(5)
    assert failure["code"] == "desktop_lost" and "message bus" in failure["detail"]
    await desk.until_gone()
    await desk.assert_nothing_left()


@pytest.mark.parametrize("name", ["xfwm4", "xfce4-panel", "xfdesktop"])
async def test_piece_of_the_desktop_killed_comes_back(desk: Desk, name: str) -> None:
    await desk.settled()
    before = desk.pid_of(name)
    desk.kill(before)
    await eventually(
        lambda: any(found == name and pid != before for pid, found in desk.processes().items()), 10, f"no {name}"
    )
    seen = len(desk.reports)
    report = await desk.until("ready", since=seen)
    assert report["failure"] is None
    await desk.end()
    await desk.assert_nothing_left()


async def test_worker_stopped_goes_on_afterwards(desk: Desk) -> None:
    worker = desk.worker
    desk.kill(worker, signal.SIGSTOP)
    # Two reports may still have been on their way.
    seen = len(desk.reports) + 2
    time.sleep(3)
    assert (await desk.site.launcher.look(desk.session, desk.placement)).alive is True
    assert {"Xvnc", "xfwm4"} <= set(desk.processes().values())
    desk.kill(worker, signal.SIGCONT)
    await desk.until("ready", 5, since=seen)
    await desk.end()
    await desk.assert_nothing_left()


async def test_display_stopped_does_not_stop_the_agent(desk: Desk) -> None:
    desk.kill(desk.pid_of("Xvnc"), signal.SIGSTOP)
    seen = len(desk.reports)
    await desk.site.portal.wait(
        desk.session, lambda report: bool(report["pulse"] and report["pulse"]["idle_seconds"] is None), since=seen
    )
    desk.kill(desk.pid_of("Xvnc"), signal.SIGCONT)
    await desk.site.portal.wait(
        desk.session, lambda report: bool(report["pulse"] and report["pulse"]["idle_seconds"]), since=seen + 3
    )
    desk.kill(desk.pid_of("Xvnc"), signal.SIGSTOP)
    await desk.end()
    await desk.assert_nothing_left()


@pytest.mark.parametrize("wipe", [False, True], ids=["marked", "unmarked"])
async def test_stubborn_program_ends_with_the_session(
    stubborn: Callable[[bool], Awaitable[tuple[Desk, str]]], wipe: bool
) -> None:
    desk, name = await stubborn(wipe)
    await desk.end()
    assert not running(name)
    await desk.assert_nothing_left()


async def test_stubborn_program_ends_when_the_worker_is_killed(
    stubborn: Callable[[bool], Awaitable[tuple[Desk, str]]],
) -> None:
    desk, name = await stubborn(True)
    desk.kill(desk.worker)
    await desk.until_gone()
    assert not running(name)
    await desk.assert_nothing_left(0.5)


@pytest.mark.skipif(os.geteuid() != 0, reason="as an ordinary user this would end the tests too")
async def test_account_kills_everything_of_its_own(desk: Desk) -> None:
    desk.run("/usr/bin/python3", "-c", "import os; os.kill(-1, 9)", check=False)
    await desk.until_gone()
    await desk.assert_nothing_left(0.5)


async def test_killed_at_any_moment_of_the_start(start: Start) -> None:
    for tenths in (0, 1, 2, 3, 5):
        desk = await start()
        time.sleep(tenths / 10)
        desk.kill(desk.keeper)
        await desk.until_gone()
        assert await desk.sweep()
        await desk.assert_nothing_left(0)


async def test_adopted_after_a_restart_of_the_portal(open_site: Callable[..., Awaitable[Site]], desk: Desk) -> None:
    again = await open_site()
    assert (await again.launcher.look(desk.session, desk.placement)).alive is True
    assert await again.launcher.adopt(desk.session, desk.placement)
    await desk.end()
    await eventually(lambda: again.exited == [desk.session], 5, "the exit was not seen")
    assert (await again.launcher.look(desk.session, desk.placement)).alive is False
    assert not await again.launcher.adopt(desk.session, desk.placement)


async def test_stubborn_program_ends_when_the_session_is_swept(
    stubborn: Callable[[bool], Awaitable[tuple[Desk, str]]],
) -> None:
    desk, name = await stubborn(True)
    assert await desk.sweep()
    assert not running(name)
    await desk.assert_nothing_left(0)


async def test_a_killed_session_manager_leaves_no_socket(desk: Desk) -> None:
    pid = desk.pid_of("xfce4-session")
    assert os.path.exists(f"/tmp/.ICE-unix/{pid}")
    desk.kill(pid)
    await desk.until_failed()
    assert not os.path.exists(f"/tmp/.ICE-unix/{pid}")
