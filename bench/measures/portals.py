"""Two portals: how soon one takes over the loops of the other."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import httpx

from bench import processes
from bench.measures import Plan
from bench.processes import Trouble
from bench.results import Row, Target, median
from bench.site import MADANG, Site

TITLE = "Two portals"
METHOD = (
    "Two portals on one database and one Redis. The one whose loop over desktops runs is killed (SIGKILL); the clock "
    "stops when the other one's metrics say that the loop runs there. Then the killed one is started again."
)
HELD = 'madang_loop_runs_here{loop="vnc"} 1.0'


def measure(plan: Plan) -> list[Row]:
    program = shutil.which("redis-server")
    if program is None:
        raise Trouble("there is no redis-server: scripts/setup test brings it")
    folder = Path(tempfile.mkdtemp(prefix="mbr-", dir="/tmp"))
    socket = folder / "redis.sock"
    words = [program, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
    redis = processes.start(words)
    try:
        processes.until(socket.exists, 10, "Redis")
        took = _takeovers(plan, f"unix://{socket}")
    finally:
        processes.stop(redis)
        shutil.rmtree(folder, ignore_errors=True)
    return [
        Row("loops taken over after a kill, slowest", max(took), "s", Target(at_most=5.0), samples=len(took)),
        Row("loops taken over after a kill, p50", median(took), "s", samples=len(took)),
    ]


def _takeovers(plan: Plan, live: str) -> list[float]:
    site = Site(plan.user, LIVE_URL=live)
    ports = [site.port, processes.free_port()]
    running = {}
    try:
        running[ports[0]] = site.process
        running[ports[1]] = _start(site, ports[1])
        took = []
        for _ in range(plan.times(8, 2)):
            holder = _holder(ports)
            other = next(port for port in ports if port != holder)
            time.sleep(0.37)  # not in step with the renewals
            began = time.monotonic()
            assert running[holder] is not None
            processes.stop(running[holder], signal.SIGKILL)
            processes.until(lambda other=other: _runs(other), 30, "a takeover", 0.02)
            took.append(time.monotonic() - began)
            running[holder] = _start(site, holder)
        return took
    finally:
        for process in running.values():
            if process is not None:
                processes.stop(process)
        site.process = None
        site.close()


def _start(site: Site, port: int) -> subprocess.Popen[bytes]:
    process = processes.start([MADANG, "up", "--port", str(port)], environment=site.environment)
    processes.until(lambda: processes.answers(port), 30, "a portal", 0.05)
    return process


def _runs(port: int) -> bool:
    try:
        return HELD in httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
    except httpx.HTTPError:
        return False


def _holder(ports: list[int]) -> int:
    processes.until(lambda: sum(map(_runs, ports)) == 1, 30, "one holder", 0.05)
    return next(port for port in ports if _runs(port))
