"""Each reason why a desktop cannot start: its code, a hint, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from madang.compute.launcher import LaunchFailed
from madang.desktops.agent.preflight import PROGRAMS
from tests.daemons.agent.desk import DISPLAYS, Desk, Site, eventually

Start = Callable[..., Awaitable[Desk]]
OpenSite = Callable[..., Awaitable[Site]]
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="mounting and changing homes needs root")


@contextmanager
def tiny_disk(folder: Path, *options: str) -> Iterator[Path]:
    """A file system of 256 KB over a folder."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(("size=256k", *options)), "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    with open(folder / "filler", "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return


@contextmanager
def foreign_server(display: int) -> Iterator[int]:
    """Somebody else's X server. Gives its pid."""
    process = subprocess.Popen(
        ["Xvnc", f":{display}", "-rfbport", "-1", "-rfbunixpath", f"/tmp/foreign-{display}.sock"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 10
        while not os.path.exists(f"/tmp/.X11-unix/X{display}") and time.monotonic() < deadline:
            time.sleep(0.02)
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


def programs(folder: Path, **scripts: str | None) -> str:
    """A PATH with all that is needed, where some programs are scripts of the test (None: not there at all)."""
    folder.mkdir()
    folder.chmod(0o755)
    for name in PROGRAMS:
        script = scripts.get(name, "")
        if script:
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        elif script == "":
            (folder / name).symlink_to(shutil.which(name) or "")
    return str(folder)


async def assert_failed(desk: Desk, code: str, seconds: float = 20) -> dict[str, str]:
    failure = await desk.until_failed(seconds)
    assert failure["code"] == code, failure
    assert failure["title"] and failure["detail"] and failure["hint"]
    await desk.until_gone()
    await desk.assert_nothing_left(1)
    return failure


@root_only
async def test_little_space_in_the_session_folder(site: Site) -> None:
    with tiny_disk(site.launcher.folder_root, "mode=0711"):
        failure = await assert_failed(await site.start(), "disk_full")
    assert "1 MB needed" in failure["detail"]


@root_only
async def test_session_folder_full_before_the_agent(site: Site) -> None:
    with tiny_disk(site.launcher.folder_root, "mode=0711", "nr_inodes=2"):
        fill(site.launcher.folder_root)
        with pytest.raises(LaunchFailed) as caught:
            await site.start()
        assert os.listdir(site.launcher.folder_root) == ["filler"]
    assert caught.value.failure.code == "disk_full"


@root_only
async def test_session_folder_full_under_the_agent(site: Site) -> None:
    with tiny_disk(site.launcher.folder_root, "mode=0711"):
        fill(site.launcher.folder_root)
        desk = await site.start(minimum_free_bytes=0)
        await assert_failed(desk, "disk_full")


@root_only
async def test_little_space_in_the_home(start: Start, site: Site) -> None:
    home = site.home
    with tiny_disk(home, f"uid={site.uid}"):
        await assert_failed(await start(), "disk_full")


@root_only
async def test_home_full_for_this_person(start: Start, site: Site) -> None:
    home = site.home
    with tiny_disk(home, f"uid={site.uid}"):
        fill(home)
        failure = await assert_failed(await start(minimum_free_bytes=0), "disk_full")
    assert str(home) in failure["detail"]


@root_only
async def test_home_missing(start: Start, site: Site) -> None:
    home = site.home
    away = home.with_name(f"{home.name}.away")
    home.rename(away)
    try:
        failure = await assert_failed(await start(), "home_missing")
    finally:
        away.rename(home)
    assert str(home) in failure["detail"]


@root_only
@pytest.mark.parametrize("options", ["ro,uid={uid}", "mode=0755,uid=0"], ids=["read-only", "foreign"])
async def test_home_not_writable(start: Start, site: Site, options: str) -> None:
    home = site.home
    with tiny_disk(home, options.format(uid=site.uid)):
        await assert_failed(await start(minimum_free_bytes=0), "home_not_writable")


@root_only
async def test_account_gone(start: Start, site: Site) -> None:
    with pytest.raises(LaunchFailed) as caught:
        await start(account="mdgnobody")
    assert caught.value.failure.code == "account_gone"
    assert "mdgnobody" in caught.value.failure.detail
    assert not os.listdir(site.launcher.folder_root)


async def test_package_missing(open_site: OpenSite, short_folder: Path) -> None:
    path = programs(short_folder / "bin", Xvnc=None)
    site = await open_site(path=path)
    failure = await assert_failed(await site.start(), "package_missing")
    assert failure["detail"] == "Not found: Xvnc."
    assert "apt-get install" in failure["hint"] and "tigervnc-standalone-server" in failure["hint"]


async def test_only_display_taken_by_another(start: Start) -> None:
    with foreign_server(DISPLAYS[0]) as server:
        desk = await start(displays=(DISPLAYS[0], DISPLAYS[0]))
        failure = await desk.until_failed()
        assert failure["code"] == "no_free_display"
        await desk.until_gone()
        assert await desk.sweep()
        assert Path(f"/tmp/.X{DISPLAYS[0]}-lock").read_text().strip() == str(server)
        assert os.path.exists(f"/tmp/.X11-unix/X{DISPLAYS[0]}")


RACE = """
# Somebody else takes the display between the agent's look and its start; the session's mark is not theirs.
if [ "$1" = ":{display}" ]; then
    env -i {real} "$1" -rfbport -1 -rfbunixpath {socket} >/dev/null 2>&1 </dev/null &
    echo $! >{pid}
    while [ ! -e /tmp/.X11-unix/X{display} ]; do sleep 0.02; done
fi
exec {real} "$@"
"""


@pytest.mark.parametrize("spare", [0, 1])
async def test_display_taken_at_the_last_moment(open_site: OpenSite, short_folder: Path, spare: int) -> None:
    display = DISPLAYS[0]
    notes = short_folder / "notes"
    notes.mkdir()
    notes.chmod(0o777)
    script = RACE.format(
        display=display, real=shutil.which("Xvnc"), socket=notes / "foreign.sock", pid=notes / "foreign.pid"
    )
    path = programs(short_folder / "bin", Xvnc=script)
    site = await open_site(path=f"{path}:{os.environ['PATH']}")
    desk = await site.start(displays=(display, display + spare))
    if spare:
        await desk.until("ready")
        assert desk.display == display + 1
        await desk.end()
    else:
        assert (await desk.until_failed())["code"] == "no_free_display"
        await desk.until_gone()
    # Started by a program of the session it is one of its processes, and ends with it.
    await desk.assert_nothing_left()
    await eventually(lambda: not os.path.exists(f"/tmp/.X{display}-lock"), 5, "the lock of the racing server is left")


@pytest.mark.parametrize(
    ("program", "stage"), [("Xvnc", "display"), ("xfce4-session", "window_manager")], ids=["Xvnc", "xfce4-session"]
)
async def test_start_takes_too_long(open_site: OpenSite, short_folder: Path, program: str, stage: str) -> None:
    path = programs(short_folder / "bin", **{program: "trap '' TERM HUP\nwhile :; do sleep 1; done"})
    site = await open_site(path=f"{path}:{os.environ['PATH']}")
    began = time.monotonic()
    failure = await assert_failed(await site.start(start_seconds=2, grace_seconds=0.3), "start_timeout")
    assert time.monotonic() - began < 6
    assert stage in failure["detail"]


async def test_display_does_not_start(open_site: OpenSite, short_folder: Path) -> None:
    path = programs(short_folder / "bin", Xvnc="echo no fonts here >&2; exit 3")
    site = await open_site(path=f"{path}:{os.environ['PATH']}")
    desk = await site.start()
    failure = await assert_failed(desk, "display_failed")
    assert "status 3" in failure["detail"]
    assert "no fonts here" in desk.log


async def test_desktop_does_not_start(open_site: OpenSite, short_folder: Path) -> None:
    path = programs(short_folder / "bin", **{"xfce4-session": "exit 4"})
    site = await open_site(path=f"{path}:{os.environ['PATH']}")
    failure = await assert_failed(await site.start(), "desktop_lost")
    assert "status 4" in failure["detail"]


async def test_message_bus_does_not_start(open_site: OpenSite, short_folder: Path) -> None:
    path = programs(short_folder / "bin", **{"dbus-daemon": "exit 5"})
    site = await open_site(path=f"{path}:{os.environ['PATH']}")
    await assert_failed(await site.start(), "desktop_lost")


async def test_stale_lock_of_a_display_that_was_killed_is_no_obstacle(start: Start, site: Site) -> None:
    display = DISPLAYS[1]
    desk = await start(displays=(display, display))
    await desk.until("ready")
    desk.kill(desk.pid_of("Xvnc"), signal.SIGSTOP)
    desk.kill(desk.pid_of("Xvnc"), signal.SIGKILL)
    desk.kill(desk.keeper, signal.SIGKILL)
    assert await desk.sweep()
    again = await start(displays=(display, display))
    await again.until("ready")
