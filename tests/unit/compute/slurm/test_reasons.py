"""Slurm's words in ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from madang.compute.sight import WAITING_REASONS
from madang.compute.slurm import parse, reasons
from tests.unit.compute.slurm.conftest import WORD

Captured = Callable[[str], str]


def test_why_the_captured_jobs_wait(captured: Captured) -> None:
    found = {job.name: reasons.waiting_reason(job.reason) for job in parse.queue(captured("squeue"), WORD) if job.waits}
    assert found | {"sbatch": ""} == {
        "array": "priority",
        "madang-begin0000000": "begin_time",
        "madang-dependency00": "dependency",
        "madang-held00000000": "held",
        "madang-priority001": "priority",
        "madang-priority002": "priority",
        "madang-priority003": "priority",
        "madang-qossingle0002": "person_limit",
        "madang-reserved0000": "reservation",
        "madang-resources000": "resources",
        "madang-twoparts0000": "nodes_unavailable",
        "sbatch": "",
    }


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("QOSMaxJobsPerUserLimit", "person_limit"),
        ("QOSMaxCpuPerUserLimit", "person_limit"),
        ("QOSGrpCpuLimit", "qos_limit"),
        ("QOSMaxWallDurationPerJobLimit", "qos_limit"),
        ("AssocGrpCpuLimit", "account_limit"),
        ("AssocMaxJobsLimit", "account_limit"),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-2]", "nodes_unavailable"),
        ("ReqNodeNotAvail, May be reserved for other job", "nodes_unavailable"),
        ("PartitionDown", "partition_closed"),
        ("PartitionTimeLimit", "partition_limit"),
        ("JobHeldAdmin", "held"),
        ("launch failed requeued held", "held"),
        ("Licenses", "licenses"),
        ("DependencyNeverSatisfied", "cannot_run"),
        ("BurstBufferResources", "other"),
        ("", "other"),
    ],
)
def test_other_reasons(said: str, reason: str) -> None:
    assert reasons.waiting_reason(said) == reason
    assert reason in WAITING_REASONS


@pytest.mark.parametrize(
    ("state", "end"),
    [
        ("COMPLETED", "completed"),
        ("CANCELLED", "cancelled"),
        ("TIMEOUT", "time_limit"),
        ("DEADLINE", "time_limit"),
        ("NODE_FAIL", "node_lost"),
        ("BOOT_FAIL", "node_lost"),
        ("OUT_OF_MEMORY", "out_of_memory"),
        ("PREEMPTED", "preempted"),
        ("FAILED", "failed"),
        ("LAUNCH_FAILED", "failed"),
    ],
)
def test_ends(state: str, end: str) -> None:
    assert reasons.job_end(state) == end


def test_details_of_ends() -> None:
    assert "not on n1 (exit status 127)" in reasons.end_detail(parse.JobEnd("FAILED", 127), "n1")
    assert "another version of Python" in reasons.end_detail(parse.JobEnd("FAILED", 126), "n1")
    assert reasons.end_detail(parse.JobEnd("FAILED", 3), "n1") == "Exit status 3."
    assert reasons.end_detail(parse.JobEnd("FAILED", 0, 9), "n1") == "Signal 9."
    assert reasons.end_detail(parse.JobEnd("NODE_FAIL"), "n1") == "Node n1 was lost."
    assert reasons.end_detail(parse.JobEnd("CANCELLED", 0, 15), "n1") == ""


CODES = {
    "QOSMaxSubmit": "scheduler_limit",
    "qos": "scheduler_qos",
    "partition": "scheduler_partition",
    "account": "scheduler_account",
    "nouser": "scheduler_account",
    "qoswall": "scheduler_time_limit",
    "cpus": "scheduler_cannot_run",
    "constraint": "scheduler_cannot_run",
    "reservation": "scheduler_reservation",
    "gres": "scheduler_cannot_run",
    "badgpu": "scheduler_cannot_run",
    "mem": "scheduler_cannot_run",
    "badopt": "scheduler_refused",
}


def test_what_sbatch_refused(captured: Captured) -> None:
    """The captures: "== name status", then what sbatch printed."""
    for part in captured("refused").split("== ")[1:]:
        head, _, said = part.partition("\n")
        name, status = head.split()
        if status == "0":
            continue
        if name == "dead":
            assert reasons.not_sent(said)
            continue
        assert not reasons.not_sent(said) and not reasons.unsure(said), name
        failure = reasons.refusal(said)
        assert failure.code == CODES[name], name
        assert failure.hint and "error:" not in failure.detail


@pytest.mark.parametrize(
    "said",
    [
        "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
        "sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received",
        "sbatch: error: Batch job submission failed: Unable to contact slurm controller (send/recv failure)",
    ],
)
def test_lost_answers(said: str) -> None:
    assert reasons.unsure(said) and not reasons.not_sent(said)
