"""More time for a desktop that runs: what its preset, its partition and its QoS give, and Slurm's own clock with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from tests.daemons.cluster.job import Job, epoch
from tests.support.waiting import eventually

Start = Callable[..., Job]


def extend(job: Job, seconds: int) -> httpx.Response:
    return job.client.post(f"/api/vnc/sessions/{job.id}/extend", json={"seconds": seconds})


def test_within_what_everybody_gives(cluster: Any, start: Start) -> None:
    job = start()
    before = job.seen
    answer = extend(job, 1800)
    assert answer.status_code == 200, answer.text
    after = answer.json()
    # Slurm counts minutes: nobody gets less than they asked for.
    assert 1800 <= epoch(after["ends_at"]) - epoch(before["ends_at"]) < 1861
    assert job.shown["TimeLimit"] in ("01:30:00", "01:31:00")
    assert cluster.run("squeue", "-h", "-j", after["job"], "-o", "%l").strip() in ("1:30:00", "1:31:00")
    told = f"time limit: {epoch(after['ends_at']):.1f}"
    eventually(lambda: told in job.client.log_of(job.id), 5, lambda: f"{told}\n{job.client.log_of(job.id)}")
    # And it stays so, whoever looks.
    assert job.until_true(lambda seen: seen["pulse"], 3, "no pulse")["ends_at"] == after["ends_at"]

    refused = extend(job, 86_400)
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (422, "too_long"), problem
    assert 0 < problem["most"] <= 1800 and problem["detail"] and problem["hint"]
    assert job.seen["ends_at"] == after["ends_at"]


def test_beyond_its_partition_and_its_qos(start: Start) -> None:
    """The preset would give two hours; the partition gives half an hour, the QoS ten minutes."""
    for preset, most in (("debug", 30), ("short", 10)):
        job = start(preset)
        before, limit = job.seen["ends_at"], job.shown["TimeLimit"]
        refused = extend(job, 3600)
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (422, "too_long"), problem
        assert f"{most} minutes" in problem["detail"] and problem["hint"]
        assert (job.seen["ends_at"], job.shown["TimeLimit"]) == (before, limit)
        answer = extend(job, 120)
        assert answer.status_code == 200, answer.text
        assert epoch(answer.json()["ends_at"]) > epoch(before) and job.shown["TimeLimit"] != limit
        job.end()


def test_beyond_what_its_persons_association_gives(cluster: Any, start: Start, accounts: dict[str, str]) -> None:
    """scontrol, which root calls, would give it all the same."""
    job = start()
    cluster.run("sacctmgr", "-i", "modify", "user", f"name={accounts['kim']}", "set", "MaxWall=70")
    try:
        refused = extend(job, 1800)
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (422, "too_long"), problem
        assert "70 minutes" in problem["detail"] and job.shown["TimeLimit"] == "01:00:00"
        assert extend(job, 300).status_code == 200
    finally:
        cluster.run("sacctmgr", "-i", "modify", "user", f"name={accounts['kim']}", "set", "MaxWall=-1")


def test_changed_by_somebody_else(cluster: Any, start: Start) -> None:
    """An operator gives a job less time: its card and its agent follow."""
    job = start()
    before = epoch(job.seen["ends_at"])
    cluster.run("scontrol", "update", f"JobId={job.seen['job']}", "TimeLimit=20")
    seen = job.until_true(lambda seen: epoch(seen["ends_at"]) < before - 2000, 8, "its end was not moved")
    told = f"time limit: {epoch(seen['ends_at']):.1f}"
    eventually(lambda: told in job.client.log_of(job.id), 5, lambda: f"{told}\n{job.client.log_of(job.id)}")


def test_what_waits_cannot_be_extended(cluster: Any, ask: Callable[..., Job]) -> None:
    for node in cluster.node_names:
        cluster.run("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=tests")
    job = ask()
    job.until_true(lambda seen: seen["waiting"], 10, "does not wait")
    refused = extend(job, 600)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_running"), refused.text
