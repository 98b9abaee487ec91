"""One session under test, and the site it runs on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import secrets
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from madang.compute import processes, remains
from madang.compute.launcher import Placement
from madang.compute.local import LocalLauncher
from madang.compute.order import AgentOrder
from madang.doors import tickets
from tests.daemons.agent.portal import Message, Portal
from tests.support.displays import take_range

DISPLAYS = take_range()


class Site:
    def __init__(self, folder: Path, portal: Portal, account: str | None, **options: Any) -> None:
        self.folder = folder
        self.portal = portal
        self.account = account
        entry = pwd.getpwnam(account) if account else pwd.getpwuid(os.geteuid())
        self.uid, self.gid, self.home = entry.pw_uid, entry.pw_gid, Path(entry.pw_dir)
        self.exited: list[str] = []
        self.desks: list[Desk] = []
        self.launcher = LocalLauncher(
            folder_root=folder / "s",
            log_folder=folder / "logs",
            agent_module="madang.desktops.agent",
            on_exit=self.exited.append,
            **options,
        )

    async def start(self, **changes: Any) -> Desk:
        session = secrets.token_hex(6)
        order = {
            "session": session,
            "account": self.account,
            "folder": str(self.launcher.folder(session)),
            "portal": self.portal.url,
            "agent_secret": secrets.token_hex(16),
            "door_key": tickets.new_key(),
            "displays": DISPLAYS,
            "heartbeat_seconds": 1.0,
            "minimum_free_bytes": 1024 * 1024,
        } | changes
        desk = Desk(self, AgentOrder(**order))
        self.desks.append(desk)
        desk.placement = await self.launcher.start(desk.order, "desk")
        return desk

    @contextlib.contextmanager
    def autostarting(self, name: str, *command: str) -> Iterator[None]:
        """While this holds, desktops start a program by themselves: as their child, not the tests'."""
        folder = self.home / ".config/autostart"
        folder.mkdir(parents=True, exist_ok=True)
        for owned in (self.home / ".config", folder):
            os.chown(owned, self.uid, self.gid)
        entry = folder / f"{name}.desktop"
        entry.write_text(f"[Desktop Entry]\nType=Application\nName={name}\nExec={shlex.join(command)}\n")
        try:
            yield
        finally:
            entry.unlink()

    async def close(self) -> None:
        for desk in self.desks:
            await desk.sweep()
        self.launcher.close()


class Desk:
    placement: Placement

    def __init__(self, site: Site, order: AgentOrder) -> None:
        self.site = site
        self.order = order
        self.session = order.session
        self.folder = Path(order.folder)
        self.uid, self.gid, self.home = site.uid, site.gid, site.home

    # What it says.

    async def until(self, state: str, seconds: float = 30, since: int = 0) -> Message:
        try:
            return await self.site.portal.wait(self.session, lambda report: report["state"] == state, seconds, since)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log[-3000:]}") from None

    async def settled(self, seconds: float = 1.5) -> None:
        """XFCE goes on starting for a moment after its picture is complete, and minds no piece of it until then."""
        seen, since = self.processes(), time.monotonic()
        deadline = since + 15
        while time.monotonic() - since < seconds and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
            if (now := self.processes()) != seen:
                seen, since = now, time.monotonic()

    async def until_failed(self, seconds: float = 30) -> Message:
        """The failure of a session that fails."""
        failure = (await self.until("failed", seconds))["failure"]
        assert isinstance(failure, dict)
        return failure

    async def until_gone(self, seconds: float = 15) -> None:
        """The agent's first process ended, whatever it did."""
        await eventually(lambda: self.session in self.site.exited, seconds, "the agent is still there")

    async def end(self) -> None:
        await self.site.portal.say(self.session, do="end", reason="asked")
        await self.until("ended")
        await self.until_gone()

    @property
    def reports(self) -> list[Message]:
        return self.site.portal.reports(self.session)

    @property
    def display(self) -> int:
        return int(next(report["display"] for report in reversed(self.reports) if report["display"]))

    @property
    def log(self) -> str:
        return self.site.launcher.log_file(self.session).read_text(errors="replace")

    # What it is made of.

    @property
    def keeper(self) -> int:
        return self.placement.pid

    @property
    def worker(self) -> int:
        return next(
            process.pid
            for process in processes.everything()
            if process.parent == self.keeper and remains.marker(self.session) in arguments(process.pid)
        )

    def processes(self) -> dict[int, str]:
        """Everything that carries the session's mark, the agent too."""
        found = processes.marked(remains.marker(self.session), {self.uid, os.geteuid()}, processes.snapshot())
        return {pid: process.name for pid, process in found.items()}

    def pid_of(self, name: str) -> int:
        return next(pid for pid, found in self.processes().items() if found == name)

    def kill(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        os.kill(pid, number)

    def environment(self) -> dict[str, str]:
        words = Path(f"/proc/{self.pid_of('xfce4-session')}/environ").read_text().split("\0")
        return dict(word.split("=", 1) for word in words if "=" in word)

    def run(self, *command: str, check: bool = True, **changes: Any) -> subprocess.CompletedProcess[str]:
        """A program in the session, as its account."""
        who = self._as_account(changes)
        return subprocess.run(command, **who, capture_output=True, text=True, check=check, timeout=20)

    def open(self, *command: str, **changes: Any) -> subprocess.Popen[bytes]:
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | self._as_account(changes)
        return subprocess.Popen(command, **options)

    def _as_account(self, changes: dict[str, Any]) -> dict[str, Any]:
        who: dict[str, Any] = {}
        if os.geteuid() == 0:
            who = {"user": self.uid, "group": self.gid, "extra_groups": []}
        return {"env": self.environment(), "cwd": self.home} | who | changes

    # What is left of it.

    def leftovers(self) -> list[str]:
        found = [f"process {pid} {name}" for pid, name in self.processes().items()]
        with contextlib.suppress(StopIteration):
            display = self.display
            paths = [Path(f"/tmp/.X{display}-lock"), Path(f"/tmp/.X11-unix/X{display}")]
            found += [str(path) for path in paths if os.path.lexists(path)]
        if os.path.lexists(self.folder):
            found.append(str(self.folder))
        return found

    async def assert_nothing_left(self, seconds: float = 3) -> None:
        await eventually(lambda: not self.leftovers(), seconds, lambda: f"left: {self.leftovers()}\n{self.log[-2000:]}")

    async def sweep(self) -> bool:
        display = next((report["display"] for report in reversed(self.reports) if report["display"]), None)
        placement = getattr(self, "placement", None)  # it may not have come that far
        return await self.site.launcher.sweep(self.session, self.order.account, self.folder, display, placement)


def arguments(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    return []


async def eventually(true: Any, seconds: float, otherwise: Any) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(otherwise() if callable(otherwise) else otherwise)
        await asyncio.sleep(0.02)
