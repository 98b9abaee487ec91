"""What a portal costs that has nothing to do, and how soon it is back."""

from __future__ import annotations

import datetime
import signal
import statistics
import time
from pathlib import Path

from bench import processes
from bench.measures import Plan
from bench.results import Row, Target
from bench.site import Site

TITLE = "Idle with 20 running desktops, and restart"
METHOD = (
    "20 real desktops run, nobody looks. Memory is the portal process's (PSS counts shared pages by their share, RSS "
    "whole), CPU its share of a core over 30 s. Restart is from the signal to the old process until the new one says "
    "it is ready, with the 20 desktops; the slowest of three each. `make run` is its second run, from the command to "
    "ready."
)
SESSIONS = 20
ROOT = Path(__file__).parents[2]


def measure(plan: Plan) -> list[Row]:
    count = plan.times(SESSIONS, 3)
    site = Site(plan.user)
    try:
        _start_desktops(site, count)
        rows = _at_rest(plan, site, count)
        for how, words in ((signal.SIGTERM, "stopped and started"), (signal.SIGKILL, "killed and started")):
            took = [_restart(site, how) for _ in range(plan.times(3, 1))]
            rows.append(Row(f"{words}, to ready", max(took), "s", Target(at_most=2.0), samples=len(took)))
        rows.append(Row("all desktops heard again after that", _heard_again(site, count), "s"))
    finally:
        site.close()
    took = [_make_run(plan) for _ in range(1 + plan.times(3, 1))][1:]
    return [*rows, Row("make run, the second time, to ready", max(took), "s", Target(at_most=3.0), samples=len(took))]


def _start_desktops(site: Site, count: int) -> None:
    waiting: list[str] = []
    for _ in range(count):
        waiting.append(site.new_desktop(name="idle")["id"])
        if len(waiting) == 2:
            site.wait_for(waiting.pop(0), "ready")
    for session in waiting:
        site.wait_for(session, "ready")


def _at_rest(plan: Plan, site: Site, count: int) -> list[Row]:
    time.sleep(plan.times(10, 2))
    seconds = plan.times(30, 5)
    agents = [site.agents(path.name) for path in (site.base / "s").iterdir()]
    every = [pid for pids in agents for pid in pids]
    began, cpu, agents_cpu = time.monotonic(), processes.cpu_seconds([site.pid]), processes.cpu_seconds(every)
    time.sleep(seconds)
    passed = time.monotonic() - began
    used = (processes.cpu_seconds([site.pid]) - cpu) / passed * 100
    agents_used = (processes.cpu_seconds(every) - agents_cpu) / passed * 100
    each = [processes.pss_bytes(pids) for pids in agents]
    return [
        Row(f"portal's memory with {count} desktops, PSS", _megabytes(processes.pss_bytes([site.pid])), "MB", MEMORY),
        Row(f"portal's memory with {count} desktops, RSS", _megabytes(processes.rss_bytes([site.pid])), "MB", MEMORY),
        Row(f"portal's CPU with {count} desktops", used, "% of a core", Target(at_most=0.5)),
        Row("an agent's memory (two processes), PSS", _megabytes(statistics.mean(each)), "MB", samples=len(each)),
        Row("an agent's CPU", agents_used / count, "% of a core", samples=count),
    ]


MEMORY = Target(at_most=120)


def _megabytes(size: float) -> float:
    return size / 1e6


def _restart(site: Site, how: signal.Signals) -> float:
    return site.stop(how) + site.start()


def _heard_again(site: Site, count: int) -> float:
    """Seconds after ready until each desktop is running as before, with a heartbeat of after the restart."""

    def all_heard() -> bool:
        found = site.get("/api/vnc/sessions?ended=false")
        return sum(one["state"] == "ready" and _epoch(one["pulse"]) > since for one in found) == count

    since = time.time()
    return processes.until(all_heard, 30, "the heartbeats after a restart", 0.05)


def _epoch(pulse: dict[str, str] | None) -> float:
    return datetime.datetime.fromisoformat(pulse["at"]).timestamp() if pulse else 0.0


def _make_run(plan: Plan) -> float:
    """`make run` where everything is set up already; stopped again by its processes' ids."""
    site = Site(plan.user)
    try:
        site.stop()
        site.environment["MADANG_HTTP_PORT"] = str(site.port)
        began = time.monotonic()
        site.start(["make", "--no-print-directory", "-C", ROOT, "run"])
        took = time.monotonic() - began
        for pid in reversed(processes.tree(site.pid)):
            processes.end(pid)
        site.stop()
        return took
    finally:
        site.close()
