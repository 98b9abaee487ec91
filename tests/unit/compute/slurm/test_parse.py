"""Reading what both versions of Slurm print."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.compute.slurm import parse
from tests.unit.compute.slurm.conftest import WORD

Captured = Callable[[str], str]


def by_name(text: str) -> dict[str, parse.Job]:
    return {job.name: job for job in parse.queue(text, WORD)}


def test_the_queue(captured: Captured) -> None:
    jobs = by_name(captured("squeue"))
    running = jobs["madang-runningone00"]
    assert running.runs and not running.waits and not running.over
    assert (running.id, running.node, running.partitions, running.qos) == ("1", "captured-n1", "viz", "normal")
    assert running.begins is not None and running.ends == running.begins + 1800
    waiting = jobs["madang-resources000"]
    assert waiting.waits and waiting.node == "" and waiting.begins is not None
    assert jobs["madang-held00000000"].priority == 0 and jobs["madang-held00000000"].begins is None
    assert jobs["madang-twoparts0000"].partitions == "viz,debug"
    assert jobs["madang-qossingle0001"].qos == "single"
    for name, state in {"cancelled000": "CANCELLED", "failedthree0": "FAILED", "completed000": "COMPLETED"}.items():
        assert jobs[f"madang-{name}"].state == state and jobs[f"madang-{name}"].over
    assert jobs["array"].id.endswith("_[1-20]")


def test_jobs_of_a_lost_node_begin_again_and_others_reach_their_time(captured: Captured) -> None:
    jobs = by_name(captured("squeue_node_lost"))
    assert jobs["madang-runningone00"].waits and jobs["madang-runningone00"].reason == "BeginTime"
    assert jobs["madang-timedout0000"].state == "TIMEOUT" and jobs["madang-timedout0000"].over


def test_a_name_of_several_lines_forges_nothing(captured: Captured) -> None:
    """Slurm takes such names; the captures hold a job that tries to speak for another one."""
    text = captured("squeue")
    assert "\n4|RUNNING|None|0|viz" in text and "\ndeadbeef|4|RUNNING" in text
    jobs = list(parse.queue(text, WORD))
    assert {job.name for job in jobs}.isdisjoint({"madang-forged000000"})
    assert all(job.node != "evil" for job in jobs)
    assert [job.name for job in jobs if job.id == "2"] == ["odd|name"]
    assert len({job.id for job in jobs}) == len(jobs)


@given(st.text(max_size=80))
def test_no_name_forges_a_line(name: str) -> None:
    line = (
        f"{WORD}|7|RUNNING|None|1000|viz|normal|1|1|1|1|n1|{name}\n{WORD}|8|PENDING|None|1000|viz|normal|1|1|1|1|n/a|b"
    )
    jobs = list(parse.queue(line, WORD))
    assert [job.id for job in jobs] == ["7", "8"] and all(job.uid == 1000 for job in jobs)


@given(st.text(max_size=200))
def test_anything_can_be_read(text: str) -> None:
    list(parse.queue(text, WORD))
    parse.blocks(text)
    parse.job_end(text)
    parse.accounted_end(text)
    parse.seconds(text)
    parse.moment(text)
    parse.submitted(text)


def test_one_job(captured: Captured) -> None:
    assert parse.job_end(captured("job_running")) == parse.JobEnd("RUNNING")
    assert parse.job_end(captured("job_failed")) == parse.JobEnd("FAILED", 3)
    end = parse.job_end(captured("job_timeout"))
    assert end is not None and (end.state, end.exit_status, end.over) == ("TIMEOUT", 0, True)
    end = parse.job_end(captured("job_requeued"))
    assert end is not None and (end.state, end.over) == ("PENDING", False)
    assert parse.job_end(captured("job_unknown")) is None


def test_the_accounting(captured: Captured) -> None:
    assert parse.accounted_end(captured("sacct_failed")) == parse.JobEnd("FAILED", 3)
    assert parse.accounted_end(captured("sacct_cancelled")) == parse.JobEnd("CANCELLED")
    assert parse.accounted_end(captured("sacct_timeout")) == parse.JobEnd("TIMEOUT")
    # Started anew: its last run counts.
    assert parse.accounted_end(captured("sacct_requeued")) == parse.JobEnd("PENDING")
    assert parse.accounted_end(captured("sacct_unknown")) is None


def test_nodes_and_partitions(captured: Captured) -> None:
    node = parse.pairs(captured("node"))
    assert (node["NodeName"], node["NodeAddr"]) == ("captured-n1", "127.0.0.1")
    assert "NodeAddr" not in parse.pairs(captured("node_unknown"))
    viz, debug = parse.blocks(captured("partitions"))
    assert (viz["PartitionName"], viz["Default"], parse.seconds(viz["MaxTime"])) == ("viz", "YES", 86400)
    assert (debug["State"], parse.seconds(debug["MaxTime"])) == ("UP", 1800)
    (night,) = parse.blocks(captured("reservations"))
    assert (night["ReservationName"], night["State"]) == ("night", "INACTIVE")
    assert parse.moment(night["EndTime"]) == parse.moment(night["StartTime"]) + 3600  # type: ignore[operator]


def test_qos_and_accounts(captured: Captured) -> None:
    rows = {row[0]: row[1:] for row in parse.table(captured("qos"))}
    assert rows["short"] == ["00:10:00", "DenyOnLimit"] and rows["moonlight"] == ["", ""]
    assert ["lab"] in parse.table(captured("accounts"))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30:00", 1800),
        ("01:00:00", 3600),
        ("1-00:00:00", 86400),
        ("2-3", 183_600),
        ("1-02:30", 95_400),
        ("5", 300),
        ("UNLIMITED", None),
        ("NONE", None),
        ("", None),
        ("INVALID", None),
        ("x-5", None),
    ],
)
def test_durations(text: str, seconds: int | None) -> None:
    assert parse.seconds(text) == seconds


def test_what_sbatch_says() -> None:
    assert parse.submitted("4711\n") == "4711"
    assert parse.submitted("4711;north\n") == "4711"
    assert parse.submitted("Submitted batch job 4711") is None
    assert parse.submitted("") is None
