"""A running session as seen on the machine: its processes, its files, and what is left of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from madang.compute import processes
from madang.compute.processes import Process
from tests.support.portal import PortalProcess, marked
from tests.support.waiting import eventually


class OnMachine:
    """One session of a portal."""

    def __init__(self, portal: PortalProcess, session: str) -> None:
        self.portal = portal
        self.id = session
        self.folder = portal.sessions / session
        self.log_file = portal.state / "logs" / f"{session}.log"

    def processes(self) -> list[Process]:
        return marked(self.id)

    @property
    def keeper(self) -> int:
        return int(self.portal.stored(self.id)["pid"])

    @property
    def worker(self) -> int:
        """The child of the keeper that is our agent."""
        return next(
            process.pid
            for process in self.processes()
            if process.parent == self.keeper and b"madang.desktops.agent" in _arguments(process.pid)
        )

    def pid_of(self, name: str) -> int:
        return next(process.pid for process in self.processes() if process.name == name)

    def kill(self, *pids: int, number: signal.Signals = signal.SIGKILL) -> None:
        for pid in pids:
            os.kill(pid, number)

    def stop_agent(self) -> None:
        self.kill(self.keeper, self.worker, number=signal.SIGSTOP)

    def continue_agent(self) -> None:
        self.kill(self.keeper, self.worker, number=signal.SIGCONT)

    @property
    def display_files(self) -> list[Path]:
        number = self.portal.stored(self.id).get("display")
        return [] if number is None else [Path(f"/tmp/.X{number}-lock"), Path(f"/tmp/.X11-unix/X{number}")]

    def leftovers(self) -> list[str]:
        found = [f"process {process.pid} {process.name}" for process in self.processes()]
        found += [str(path) for path in (*self.display_files, self.folder) if os.path.lexists(path)]
        return found

    def assert_nothing_left(self, seconds: float = 5) -> None:
        eventually(lambda: not self.leftovers(), seconds, lambda: f"left: {self.leftovers()}")


def _arguments(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def memory(pid: int) -> int:
    """Resident bytes."""
    process = processes.look(pid)
    return process.rss * os.sysconf("SC_PAGE_SIZE") if process else 0
