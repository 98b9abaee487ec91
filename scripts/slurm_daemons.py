"""Daemons that one script starts and another one stops, and how to find what belongs to them. No package is needed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

STOP_SECONDS = 10.0
PAUSE_SECONDS = 0.05


class Daemon:
    """One process of the cluster; it may have been started by another process than this one."""

    def __init__(self, folder: Path, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self.log = folder / "log" / f"{name}.log"
        self._command = command
        self._environment = environment
        self._note = folder / "run" / f"{name}.json"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self._command, env=dict(self._environment), cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self._note.write_text(json.dumps([self._child.pid, _started(self._child.pid)]))

    @property
    def pid(self) -> int | None:
        """None when it does not run."""
        if self._child is not None and self._child.poll() is not None:
            return None
        try:
            pid, started = json.loads(self._note.read_text())
        except (OSError, ValueError):
            return None
        return pid if started is not None and _started(pid) == started else None

    def send(self, number: signal.Signals) -> None:
        if (pid := self.pid) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = STOP_SECONDS) -> None:
        """Ends it and waits for that; by force when it takes longer."""
        self.send(signal.SIGCONT)
        self.send(number)
        if not wait(lambda: self.pid is None, seconds):
            self.send(signal.SIGKILL)
            wait(lambda: self.pid is None, seconds)
        self._note.unlink(missing_ok=True)

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    @property
    def last_lines(self) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-15:])


def wait(done: Callable[[], bool], seconds: float) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_SECONDS)
    return True


def _started(pid: int) -> int | None:
    """When it started (ticks since boot), which tells it from a later process of this pid; None: it does not run."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[19]) if fields[0] not in "ZX" else None


def _pids() -> Iterable[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _read(pid: int, what: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return b""


def carrying(word: bytes) -> set[int]:
    """Processes that have this word (NAME=value) in their environment."""
    return {pid for pid in _pids() if word in _read(pid, "environ").split(b"\0")}


def steps_of(spool: str) -> set[int]:
    """The slurmstepd whose socket lies in that spool. Nothing else tells whose they are: they overwrite their words."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    sockets = {f"socket:[{fields[6]}]" for line in lines if (fields := line.split())[-1].startswith(spool)}
    return {
        pid
        for pid in _pids()
        if b"slurmstepd" in _read(pid, "cmdline")[:100] and not sockets.isdisjoint(_descriptors(pid))
    }


def _descriptors(pid: int) -> set[str]:
    """What its descriptors are."""
    found = set()
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found.add(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found


def kill_now(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def owned_by(uid: int) -> set[int]:
    """Running processes of this user."""
    found = set()
    for pid in _pids():
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{pid}").st_uid == uid and _started(pid) is not None:
                found.add(pid)
    return found
