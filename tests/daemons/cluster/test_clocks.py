"""Nodes whose clock is five minutes off: what people read and what is counted is the portal's time."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from madang.compute.slurm.settings import AGENT_COMMAND
from tests.daemons.cluster.job import Job, ago, epoch
from tests.support.people import OVER
from tests.support.portal import PortalProcess
from tests.support.waiting import eventually

VARIABLE = "MADANG_SLURM_AGENT_COMMAND"
FAKED = ("/usr/bin/faketime", "-f")


@pytest.fixture
def start_off(portal: PortalProcess, start: Callable[..., Job]) -> Iterator[Callable[..., Job]]:
    """Starts a desktop whose agent's clock is so far off ("+5m"; "": not at all). The portal is restarted for it."""
    if shutil.which("faketime") is None:
        pytest.skip("not installed: faketime")

    def begin(off: str, preset: str) -> Job:
        portal.environment[VARIABLE] = json.dumps([*FAKED, off, *AGENT_COMMAND] if off else AGENT_COMMAND)
        portal.restart()
        return start(preset)

    try:
        yield begin
    finally:
        del portal.environment[VARIABLE]
        portal.restart()


def test_time_by_any_clock(start_off: Callable[..., Job]) -> None:
    """Three desktops of a minute, the shortest that Slurm knows: one with a clock that is right, two without.

    Slurm itself looks twice a minute; we count to the second.
    """
    jobs = {off: start_off(off, "minute") for off in ("", "+5m", "-5m")}
    ends_at = {off: epoch(job.seen["ends_at"]) for off, job in jobs.items()}
    for off, job in jobs.items():
        seen = job.seen
        begun = ends_at[off] - 60
        assert abs(begun - epoch(seen["stages"][2]["started_at"])) < 2.5  # Slurm tells whole seconds
        assert (job.shown["TimeLimit"], seen["extendable_until"]) == ("00:01:00", None)
        assert seen["state"] == "ready" and job.works()  # a ticket is good for seconds
        _times_are_the_portals(job)
        _log_has_the_nodes_time(job, off)
    for off, job in jobs.items():
        ended = job.until(*OVER, seconds=75)
        assert (ended["state"], ended["end_reason"], ended["failure"]) == ("ended", "time_limit", None), (off, ended)
        assert -1 < epoch(ended["ended_at"]) - ends_at[off] < 6, off
        job.assert_nothing_left()
        assert "ending: time_limit" in job.client.log_of(job.id)


@pytest.mark.parametrize("off", ["+5m", "-5m"])
def test_extended_by_a_clock_that_is_off(start_off: Callable[..., Job], off: str) -> None:
    job = start_off(off, "plain")
    before = epoch(job.seen["ends_at"])
    answer = job.client.post(f"/api/vnc/sessions/{job.id}/extend", json={"seconds": 600})
    assert answer.status_code == 200, answer.text
    assert 600 <= epoch(answer.json()["ends_at"]) - before < 661
    job.until_true(lambda seen: seen["pulse"], 5, "no pulse")
    time.sleep(2)
    assert job.seen["state"] == "ready" and job.works()
    ended = job.end()
    assert ended["end_reason"] == "asked" and abs(ago(ended["ended_at"])) < 5


def _times_are_the_portals(job: Job) -> None:
    seen = job.until_true(lambda seen: seen["pulse"], 5, "no pulse")
    assert abs(ago(seen["pulse"]["at"])) < 4 and seen["pulse"]["idle_seconds"] < 60
    created = epoch(seen["created_at"])
    for stage in seen["stages"]:
        assert created - 1.5 < epoch(stage["started_at"]) < time.time() + 1.5, (stage, seen["stages"])
        assert 0 <= stage["seconds"] < 20, seen["stages"]
    began = [epoch(stage["started_at"]) for stage in seen["stages"]]
    assert all(later >= earlier - 1.2 for earlier, later in pairwise(began)), seen["stages"]


def _log_has_the_nodes_time(job: Job, off: str) -> None:
    """Else this test has tested nothing."""
    line = eventually(lambda: job.client.log_of(job.id), 5, "no log").splitlines()[0]
    said = epoch(line.split()[0]) - time.time()
    least, most = {"": (-60, 1), "+5m": (240, 301), "-5m": (-360, -299)}[off]
    assert least < said < most, line
