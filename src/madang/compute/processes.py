"""Looking at processes in /proc, and ending them without ever hitting a stranger.

A process is remembered as (pid, start time): a pid alone may have been given to somebody else since.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

TICK = 1 / os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """One line of /proc/PID/stat, as far as we need it; started, cpu_ticks in clock ticks, rss in pages."""

    pid: int
    name: str
    state: str
    parent: int
    cpu_ticks: int
    started: int
    rss: int

    @property
    def running(self) -> bool:
        return self.state not in "ZX"


def look(pid: int) -> Process | None:
    """The process, or None when there is none (any more)."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            text = file.read(1024).decode("utf-8", "replace")
    except OSError:
        return None
    # The name is in brackets and may itself hold brackets and spaces: what follows the last one is numbers.
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    if len(fields) < 22:
        return None
    return Process(
        pid=pid,
        name=head.partition("(")[2],
        state=fields[0],
        parent=int(fields[1]),
        cpu_ticks=int(fields[11]) + int(fields[12]),
        started=int(fields[19]),
        rss=int(fields[21]),
    )


Processes = dict[int, Process]  # by pid


def everything() -> Iterator[Process]:
    """All processes of the machine, the newest first: one that keeps forking is seen before it has forked again."""
    for pid in sorted((int(name) for name in os.listdir("/proc") if name.isdigit()), reverse=True):
        if process := look(pid):
            yield process


def snapshot() -> Processes:
    """All processes of the machine, as they are now."""
    return {process.pid: process for process in everything()}


def descendants(roots: Iterable[int], among: Processes) -> Processes:
    """All children of the roots, their children and so on; the roots themselves only if they descend from another."""
    children: dict[int, list[Process]] = {}
    for process in among.values():
        children.setdefault(process.parent, []).append(process)
    found: Processes = {}
    waiting = list(roots)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child.pid not in found:
                found[child.pid] = child
                waiting.append(child.pid)
    return found


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            parts = []
            while part := file.read(65536):
                parts.append(part)
            return b"".join(parts)
    except OSError:
        return b""


def owner(pid: int) -> int | None:
    """The real user id. (The owner of /proc/PID is root for a process that may not be dumped.)"""
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith(b"Uid:"):
            return int(line.split()[1])
    return None


def _may_belong(pid: int, uids: set[int]) -> bool:
    """A cheap first look: the owner of /proc/PID is the process's user, or root when it may not be dumped."""
    try:
        return os.stat(f"/proc/{pid}").st_uid in uids | {0}
    except OSError:
        return False


def marked(marker: str, uids: set[int], among: Processes) -> Processes:
    """Processes of these users that carry marker ("NAME=value") in their environment or as an argument."""
    wanted = marker.encode()
    found = {}
    for process in among.values():
        if not process.running or not _may_belong(process.pid, uids):
            continue
        words = _read(f"/proc/{process.pid}/environ").split(b"\0")
        if wanted not in words and wanted not in _read(f"/proc/{process.pid}/cmdline").split(b"\0"):
            continue
        if owner(process.pid) in uids:
            found[process.pid] = process
    return found


def send(process: Process, *numbers: signal.Signals) -> bool:
    """Signals this very process; False when it is gone or not ours to signal."""
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return False
    try:
        now = look(process.pid)
        if now is None or now.started != process.started or not now.running:
            return False
        for number in numbers:
            signal.pidfd_send_signal(handle, number)
        return True
    except OSError:
        return False
    finally:
        os.close(handle)


def reap() -> None:
    """Takes the exit status of every ended child, so that none stays as a zombie."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def end(
    find: Callable[[], Processes],
    grace_seconds: float,
    *,
    kill_seconds: float = 5.0,
    after_round: Callable[[], None] = lambda: None,
) -> set[int]:
    """Ends what find() finds: asks (TERM, HUP for shells, CONT for stopped ones), waits, kills until nothing is left.

    Blocks up to grace_seconds + kill_seconds. Returns the pids that were seen. after_round is for reaping children.
    """
    seen: set[int] = set()
    asked: set[tuple[int, int]] = set()

    def look_twice() -> Processes:
        # Between being listed and being looked at, a process may have been replaced by its child.
        for _ in range(2):
            if left := {pid: process for pid, process in find().items() if process.running}:
                seen.update(left)
                return left
        return {}

    deadline = time.monotonic() + grace_seconds
    while time.monotonic() < deadline:
        left = look_twice()
        if not left:
            after_round()
            return seen
        # The oldest first: an agent that is asked before its programs end knows why they do.
        for process in sorted(left.values(), key=lambda process: (process.started, process.pid)):
            if (process.pid, process.started) not in asked:
                asked.add((process.pid, process.started))
                send(process, signal.SIGTERM, signal.SIGHUP, signal.SIGCONT)
        after_round()
        time.sleep(0.03)
    deadline = time.monotonic() + kill_seconds
    while time.monotonic() < deadline:
        left = look_twice()
        if not left:
            break
        # Stopped first, all of them: one that forks as fast as we kill would stay ahead for ever.
        for process in left.values():
            send(process, signal.SIGSTOP)
        for process in left.values():
            send(process, signal.SIGKILL)
        after_round()
        time.sleep(0.01)
    after_round()
    return seen
