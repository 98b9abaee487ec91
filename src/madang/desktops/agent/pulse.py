"""How much a session takes: CPU and memory of all its processes, cheaply."""

from __future__ import annotations

import os
import time

from madang.compute import processes

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Meter:
    """Reads /proc for the descendants of one process.

    The list of processes is made anew only at every fourth reading (looking through all of /proc is what costs), and
    the proportional size at every twelfth: in between the resident sizes are scaled by what was last found.
    """

    LIST_EVERY = 4
    PROPORTIONAL_EVERY = 12

    def __init__(self, root: int) -> None:
        self._root = root
        self._pids: list[int] = []
        self._readings = 0
        self._ticks: dict[tuple[int, int], int] = {}
        self._read_at = time.monotonic()
        self._share = 1.0

    def read(self) -> tuple[float, int]:
        """(CPU in percent of one core since the last reading, memory in bytes)."""
        if self._readings % self.LIST_EVERY == 0:
            found = list(processes.descendants([self._root], processes.snapshot()).values())
            self._pids = [process.pid for process in found]
        else:
            found = [process for pid in self._pids if (process := processes.look(pid))]
        now = time.monotonic()
        ticks = {(process.pid, process.started): process.cpu_ticks for process in found}
        # What started since the last reading counts from its beginning; what ended since is not seen any more.
        first = self._readings == 0
        spent = sum(spent - self._ticks.get(key, spent if first else 0) for key, spent in ticks.items())
        percent = 100 * spent * processes.TICK / max(now - self._read_at, 0.001)
        resident = sum(process.rss for process in found) * _PAGE
        if self._readings % self.PROPORTIONAL_EVERY == 0:
            self._share = self._proportional(resident)
        self._ticks, self._read_at = ticks, now
        self._readings += 1
        return max(0.0, round(percent, 1)), int(resident * self._share)

    def _proportional(self, resident: int) -> float:
        """Proportional to resident size; pages shared by ten processes would otherwise count ten times."""
        total = sum(_proportional_size(pid) for pid in self._pids)
        return total / resident if resident else 1.0


def _proportional_size(pid: int) -> int:
    """PSS in bytes, or the resident size for a process whose memory may not be looked at."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    process = processes.look(pid)
    return process.rss * _PAGE if process else 0
