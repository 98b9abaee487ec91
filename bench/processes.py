"""Processes: started and ended one by one, and what the kernel says of their CPU and memory."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
_running: dict[int, subprocess.Popen[bytes]] = {}


class Trouble(Exception):
    """A measurement cannot be made; the sentence says why."""


def start(
    command: Sequence[str | Path], *, environment: dict[str, str] | None = None, user: str | None = None, **more: object
) -> subprocess.Popen[bytes]:
    """Start a process that `stop` or `stop_all` ends; without output unless said otherwise."""
    options: dict[str, object] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
    }
    if user is not None and os.geteuid() == 0:
        options |= {"user": user, "group": user, "extra_groups": []}
    process = subprocess.Popen([str(part) for part in command], env=environment, **(options | more))  # type: ignore[call-overload]
    _running[process.pid] = process
    return process


def stop(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM, patience: float = 5.0) -> float:
    """End a process; gives the seconds that took."""
    began = time.monotonic()
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    _running.pop(process.pid, None)
    return time.monotonic() - began


def end(pid: int) -> None:
    """End a process that one of ours started."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def stop_all() -> None:
    for process in reversed(tuple(_running.values())):
        stop(process)


def until(there: Callable[[], object], seconds: float, what: str, pause: float = 0.01) -> float:
    """Wait until something is there; gives the seconds waited. Raises Trouble."""
    began = time.monotonic()
    while not there():
        if time.monotonic() - began > seconds:
            raise Trouble(f"{what}: not within {seconds:g} s")
        time.sleep(pause)
    return time.monotonic() - began


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether something listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def all_pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third (state) on. Raises OSError when the process is gone."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()


def tree(pid: int) -> list[int]:
    """A process and all that came from it."""
    children: dict[int, list[int]] = {}
    for other in all_pids():
        with contextlib.suppress(OSError):
            children.setdefault(int(_stat(other)[1]), []).append(other)
    found = [pid]
    for parent in found:
        found += children.get(parent, ())
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU time that these processes and their children that are gone have used; precise to a hundredth."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            ticks += sum(int(field) for field in _stat(pid)[11:15])
    return ticks / TICKS


def _rollup(pid: int, key: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    return 0


def pss_bytes(pids: Sequence[int]) -> int:
    """Memory, shared pages counted by their share."""
    return sum(_rollup(pid, "Pss") for pid in pids)


def rss_bytes(pids: Sequence[int]) -> int:
    return sum(_rollup(pid, "Rss") for pid in pids)


def with_words(*words: str) -> list[int]:
    """Processes that have each of these words as an argument."""
    found = []
    for pid in all_pids():
        with contextlib.suppress(OSError):
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if all(word.encode() in arguments for word in words):
                found.append(pid)
    return found
