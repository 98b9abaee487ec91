"""Desktops on Slurm: from the click to the picture, and what a tick over a thousand sessions costs."""

from __future__ import annotations

import pwd
import re
import subprocess
import time
from typing import Any

import httpx

from bench import processes, records
from bench.chrome import chromium, page_of
from bench.measures import Plan
from bench.measures.start import Click, click
from bench.results import Peer, Row, Target, median, percentile
from bench.site import Site
from bench.slurm import cluster, settings_of
from madang.desktops.model import State

TITLE = "On Slurm"
METHOD = (
    "A real Slurm on this machine (one slurmctld, two slurmd). The click is that of *Click to first picture*, with the "
    "desktop as a job of the person's account; in turn with it the scheduler's own start: from sbatch until a job that "
    "does nothing else has written the time. Tick: 1,000 sessions that wait as held jobs, looked at every second; CPU "
    "of the portal over 20 s less that of the same portal without them, and the controller's own count of requests for "
    "the queue (sdiag)."
)
PEER = "the scheduler's own start"
MANY = 1000


def measure(plan: Plan) -> list[Row]:
    with cluster(plan.user) as made:
        return [*_starts(plan, made), *_ticks(plan, made)]


def _starts(plan: Plan, made: Any) -> list[Row]:
    clicks: list[Click] = []
    own: list[float] = []
    site = Site(plan.user, **settings_of(made))
    try:
        with chromium() as browser:
            page = page_of(browser, site)
            for _ in range(1 + plan.times(10, 2)):
                clicks.append(click(page, site))
                own.append(_own_start(made, plan.user))
    finally:
        site.close()
    warm, own = [one.seconds for one in clicks[1:]], own[1:]
    rows = []
    for percent in (50, 95):
        scheduler = percentile(own, percent)
        peer = [Peer(PEER, scheduler)]
        target = Target(at_most=round(scheduler + 2.0, 2))
        rows.append(Row(f"click to first picture, p{percent}", percentile(warm, percent), "s", target, peer, len(warm)))
    parts = [
        Row(f"of it {part}, p50", median([one.parts[part] for one in clicks[1:]]), "s", samples=len(warm))
        for part in clicks[1].parts
    ]
    return [*rows, *parts]


def _own_start(made: Any, user: str) -> float:
    """Seconds from sbatch to the first thing that a job does."""
    file = made.folder / "nodes" / f"started-{time.monotonic_ns()}"
    account = pwd.getpwnam(user)
    began = time.time()
    subprocess.run(
        ["sbatch", "--parsable", "--output=/dev/null", "--chdir=/", f"--wrap=date +%s.%N > {file}"],
        env=made.environment,
        cwd="/",
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        capture_output=True,
        check=True,
        timeout=30,
    )
    processes.until(lambda: file.exists() and file.read_text().endswith("\n"), 30, "a job that only tells the time")
    return float(file.read_text()) - began


def _ticks(plan: Plan, made: Any) -> list[Row]:
    count, seconds = plan.times(MANY, 20), plan.times(20, 3)
    site = Site(plan.user, VNC_LOOK_SECONDS="1.0", VNC_LAUNCH_SECONDS="1000000", **settings_of(made))
    try:
        quiet, _ticks_quiet, _asked = _cpu(site, made, seconds)
        jobs = _hold_jobs(made, plan.user, [records.name_of(site.person, number) for number in range(count)])
        waiting = [records.waiting(n, site.person, plan.user, job) for n, job in enumerate(jobs)]
        records.store(site, waiting)
        # What each waits for is written down once.
        processes.until(lambda: _noted(site) == count, 60, "what all of them wait for", 1.0)
        time.sleep(3)
        busy, ticks, asked = _cpu(site, made, seconds)
        each = (busy - quiet) / ticks * 1000
        return [
            Row(f"one tick for {count:,} sessions, portal's CPU", each, "ms", Target(at_most=100), samples=ticks),
            Row("requests for the queue in a tick", asked / ticks, "", Target(at_most=1.05), samples=ticks),
        ]
    finally:
        made.end_jobs()
        site.close()


def _noted(site: Site) -> int:
    found = site.get(f"/api/vnc/sessions?ended=false&limit={2 * MANY}")
    return sum(one["state"] == State.WAITING and one["waiting"] is not None for one in found)


def _cpu(site: Site, made: Any, seconds: float) -> tuple[float, int, int]:
    """CPU seconds of the portal (not of squeue, a program of its own), ticks, and requests for the queue."""
    cpu, ticks, asked = processes.cpu_seconds([site.pid]), _cycles(site), _asked(made)
    time.sleep(seconds)
    return processes.cpu_seconds([site.pid]) - cpu, max(1, _cycles(site) - ticks), _asked(made) - asked


def _cycles(site: Site) -> int:
    said = httpx.get(f"{site.url}/metrics", timeout=10).text
    return sum(int(float(n)) for n in re.findall(r'^madang_loop_cycles_total\{loop="vnc",.*\} (\S+)', said, re.M))


def _asked(made: Any) -> int:
    said = subprocess.run(["sdiag"], env=made.environment, capture_output=True, text=True, check=True, timeout=20)
    found = re.search(r"REQUEST_JOB_INFO\s+\(\s*\d+\)\s+count:(\d+)", said.stdout)
    return int(found[1]) if found else 0


def _hold_jobs(made: Any, user: str, names: list[str]) -> list[str]:
    """Numbers of jobs that never run, one for each name."""
    account = pwd.getpwnam(user)
    words = ["sbatch", "--parsable", "--hold", "--output=/dev/null", "--chdir=/", "--time=60", "--wrap=true"]
    return [
        subprocess.run(
            [*words, f"--job-name=madang-{name}"],
            env=made.environment,
            cwd="/",
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout.strip()
        for name in names
    ]
