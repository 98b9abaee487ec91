"""What people get: a whole XFCE desktop that is theirs to use."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from madang.compute import processes
from madang.doors import handover, tickets
from tests.daemons.agent.desk import Desk, Site, eventually
from tests.daemons.agent.portal import Message
from tests.daemons.agent.rfb import Client

Start = Callable[..., Awaitable[Desk]]


async def connect(desk: Desk) -> Client:
    ticket = tickets.issue(desk.order.door_key, desk.session)
    engine = await handover.take(desk.folder / "door.sock", ticket, desk.uid)
    return await asyncio.to_thread(Client, engine)


def idle(report: Message) -> float:
    """-1: not said."""
    seconds = (report["pulse"] or {}).get("idle_seconds")
    return -1 if seconds is None else float(seconds)


def window_names(desk: Desk) -> str:
    return desk.run("xwininfo", "-root", "-tree").stdout


async def test_panels_wallpaper_and_no_question(desk: Desk) -> None:
    await eventually(lambda: desk.run("xwininfo", "-name", "Desktop", check=False).returncode == 0, 5, "no wallpaper")
    names = window_names(desk)
    assert names.count('"xfce4-panel": ("xfce4-panel"') >= 2
    assert "Welcome" not in names
    plugins = desk.run("xfconf-query", "-c", "xfce4-panel", "-p", "/plugins", "-l").stdout
    assert "/plugins/plugin-1" in plugins


async def test_first_start_ever_of_an_account(site: Site) -> None:
    for name in (".config", ".cache", ".local"):
        if os.geteuid() == 0:
            shutil.rmtree(site.home / name, ignore_errors=True)
    desk = await site.start()
    await desk.until("ready")
    await asyncio.sleep(1)
    assert "Welcome" not in window_names(desk)
    assert window_names(desk).count('"xfce4-panel": ("xfce4-panel"') >= 2


async def test_never_blanks_or_locks(desk: Desk) -> None:
    settings = desk.run("xset", "q").stdout
    assert "timeout:  0" in settings
    assert "DPMS is Enabled" not in settings
    assert not {"xscreensaver", "xfce4-screensaver", "light-locker"} & set(desk.processes().values())


async def test_language_is_utf8(desk: Desk) -> None:
    assert desk.environment()["LANG"].lower().replace("-", "").endswith("utf8")
    script = "import sys; print(sys.stdout.encoding, '한글')"
    assert desk.run("/usr/bin/python3", "-c", script).stdout == "utf-8 한글\n"


async def test_an_ssh_agent_that_goes_with_the_session(desk: Desk) -> None:
    if shutil.which("ssh-agent") is None:
        pytest.skip("no ssh-agent here")
    assert desk.environment()["SSH_AUTH_SOCK"] == str(desk.folder / "run/ssh-agent")
    names = [process.name for process in processes.everything() if processes.owner(process.pid) == desk.uid]
    if desk.site.account:
        assert names.count("ssh-agent") == 1
        assert "gpg-agent" not in names
    assert desk.run("ssh-add", "-l", check=False).returncode == 1


async def test_the_session_is_at_home(desk: Desk) -> None:
    environment = desk.environment()
    assert environment["HOME"] == str(desk.home)
    assert os.readlink(f"/proc/{desk.pid_of('xfce4-session')}/cwd") == str(desk.home)
    assert environment["XDG_RUNTIME_DIR"] == str(desk.folder / "run")
    assert "sbin" not in environment["PATH"]
    assert sys.prefix not in environment["PATH"]


async def test_a_terminal_opens_where_keys_arrive(desk: Desk) -> None:
    if shutil.which("xfce4-terminal") is None:
        pytest.skip("no terminal here")
    note = desk.home / "typed"
    note.unlink(missing_ok=True)
    desk.open("xfce4-terminal", "--disable-server")
    await eventually(lambda: "erminal" in window_names(desk), 10, "no terminal")
    await asyncio.sleep(1)
    client = await connect(desk)
    for character in "echo hello >typed":
        client.press(ord(character))
    client.press(0xFF0D)
    await eventually(lambda: note.exists() and note.read_text() == "hello\n", 10, "what was typed did not arrive")
    note.unlink()


async def test_idle_time_counts_from_the_last_input(start: Start) -> None:
    desk = await start(heartbeat_seconds=0.5)
    await desk.until("ready")
    await desk.site.portal.wait(desk.session, lambda report: idle(report) > 2)
    client = await connect(desk)
    client.point(300, 300)
    client.point(310, 310)
    seen = len(desk.reports)
    await desk.site.portal.wait(desk.session, lambda report: 0 <= idle(report) < 1, 5, since=seen)


async def test_the_size_is_as_ordered_and_follows_the_viewer(start: Start) -> None:
    desk = await start(width=1024, height=700)
    await desk.until("ready")
    client = await connect(desk)
    assert (client.width, client.height) == (1024, 700)
    client.resize(1311, 777)
    await desk.site.portal.wait(
        desk.session, lambda report: bool(report["pulse"] and report["pulse"]["width"] == 1311), 5
    )
    assert desk.reports[-1]["pulse"]["height"] == 777


async def test_cpu_and_memory_follow_what_runs(site: Site, short_folder: Path) -> None:
    quiet = await site.start()
    await quiet.until("ready")
    await asyncio.sleep(2)
    program = short_folder / "busy.py"
    program.write_text("block = bytearray(b'x') * 200_000_000\nwhile True: pass")
    with site.autostarting("busy", "/usr/bin/python3", str(program)):
        busy = await site.start()
        await busy.until("ready")
        report = await site.portal.wait(
            busy.session, lambda report: bool(report["pulse"] and report["pulse"]["cpu_percent"] > 30), 20
        )
    await site.portal.wait(
        busy.session, lambda report: bool(report["pulse"] and report["pulse"]["memory_bytes"] > 300_000_000), 20
    )
    assert report["pulse"]["cpu_percent"] < 250
    pulse = quiet.reports[-1]["pulse"]
    assert pulse["cpu_percent"] < 30
    assert pulse["memory_bytes"] < 300_000_000


async def test_programs_that_print_much_do_not_fill_the_log(start: Start) -> None:
    desk = await start(log_bytes=20_000)
    await desk.until("ready")
    flood = "import os\nfor _ in range(200): os.write(1, b'x' * 50_000)"
    # What a program of the session inherits: the output of the session manager.
    with open(f"/proc/{desk.pid_of('xfce4-session')}/fd/1", "wb", buffering=0) as output:
        process = desk.open("/usr/bin/python3", "-c", flood, stdout=output)
        assert process.wait(20) == 0
    await eventually(lambda: "the rest is left out" in desk.log, 5, "the limit was not said")
    size = desk.site.launcher.log_file(desk.session).stat().st_size
    assert 20_000 < size < 30_000
    before = time.monotonic()
    await desk.end()
    assert time.monotonic() - before < 5
    assert "ended" in desk.log[-200:]
