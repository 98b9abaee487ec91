"""Who is before whom, and what the cluster gives."""

from __future__ import annotations

import time
from collections.abc import Callable

from madang.compute.slurm import parse
from madang.compute.slurm.facts import ClusterFacts, Partition, Qos
from madang.compute.slurm.parse import Job
from madang.compute.slurm.snapshot import Snapshot
from tests.unit.compute.slurm.conftest import WORD

Captured = Callable[[str], str]


def job(number: int, **more: object) -> Job:
    one = Job(
        str(number), "PENDING", "Priority", 1000, "viz", "normal", 10, float(number), None, None, "", f"job{number}"
    )
    return one._replace(**more)  # type: ignore[arg-type]


def positions(*jobs: Job) -> list[int | None]:
    snapshot = Snapshot(jobs, 0.0)
    return [snapshot.waiting(one, 0.0).position for one in jobs]


def test_priority_counts_then_age() -> None:
    assert positions(job(1), job(2, priority=99), job(3)) == [2, 1, 3]


def test_each_partition_has_its_own_line() -> None:
    assert positions(job(1), job(2, partitions="debug"), job(3, partitions="viz,debug")) == [1, 1, 2]


def test_who_cannot_begin_is_before_nobody() -> None:
    held = job(1, reason="JobHeldUser", priority=1000)
    later = job(2, reason="BeginTime", priority=500)
    assert positions(held, later, job(3)) == [None, None, 1]


def test_an_expected_moment_that_is_over_is_none() -> None:
    one = job(1, begins=100.0)
    snapshot = Snapshot([one], 0.0)
    assert snapshot.waiting(one, 50.0).expected_at == 100.0
    assert snapshot.waiting(one, 150.0).expected_at is None


def test_by_name_and_user() -> None:
    jobs = [job(10, name="a"), job(9, name="a"), job(11, name="a", uid=1001)]
    snapshot = Snapshot(jobs, 0.0)
    assert [one.id for one in snapshot.named("a", 1000)] == ["9", "10"]
    assert [one.id for one in snapshot.named("a", None)] == ["9", "10", "11"]
    assert snapshot.named("b", None) == []


def test_the_captured_queue(captured: Captured) -> None:
    jobs = {one.name: one for one in parse.queue(captured("squeue"), WORD)}
    snapshot = Snapshot(jobs.values(), 0.0)
    assert snapshot.waiting(jobs["madang-resources000"], 0.0).position == 1
    assert snapshot.waiting(jobs["madang-held00000000"], 0.0).position is None


def test_reading_the_queue_takes_no_more_than_its_length() -> None:
    """What a tick for 1,000 sessions takes is measured by `bench cluster`."""

    def seconds(count: int) -> float:
        lines = [
            f"{WORD}|{n}|{'PENDING' if n % 2 else 'RUNNING'}|Priority|1000|viz|normal|{n}|1795200824|1795204380|"
            f"1795205580|node{n}|madang-{n:012d}"
            for n in range(count)
        ]
        text = "\n".join(lines)
        began = time.process_time()
        snapshot = Snapshot(parse.queue(text, WORD), 0.0)
        for one in snapshot.jobs.values():
            if one.waits:
                snapshot.waiting(one, 0.0)
        return time.process_time() - began

    short, long = min(seconds(500) for _ in range(3)), min(seconds(8000) for _ in range(3))
    assert long < 16 * 4 * short, "16 times as long; looking through all for each would take 256 times"


def test_the_shortest_limit_counts() -> None:
    facts = ClusterFacts(
        partitions=(
            Partition("viz", "up", 2, 1, 86400, True),
            Partition("debug", "up", 2, 1, 1800, False, qos="tight"),
            Partition("long", "up", 2, 1, None, False),
        ),
        qos=(Qos("normal", None), Qos("short", 600), Qos("tight", 900), Qos("beyond", 7200, True)),
    )
    assert facts.longest("viz", "normal") == 86400
    assert facts.longest("", "") == 86400
    assert facts.longest("viz", "short") == 600
    assert facts.longest("debug", "normal") == 900
    assert facts.longest("long", "normal") is None
    assert facts.longest("debug", "beyond") == 900  # the partition's own QoS still counts
    assert facts.longest("nosuch", "nosuch") is None


def test_what_a_persons_association_gives_counts_where_no_qos_says_otherwise() -> None:
    qos = (Qos("normal", None), Qos("short", 600), Qos("beyond", None, beyond_partition=True))
    viz = Partition("viz", "up", 2, 2, 86400, default=True)
    facts = ClusterFacts(partitions=(viz, Partition("debug", "up", 2, 2, 900, default=False, qos="short")), qos=qos)
    assert facts.longest("viz", "normal", 1200) == 1200
    assert facts.longest("viz", "normal", 100_000) == 86400
    assert facts.longest("viz", "beyond", 100_000) == 100_000
    assert facts.longest("viz", "short", 300) == 600
    assert facts.longest("debug", "normal", 300) == 600
    assert facts.longest("nosuch", "nosuch", 300) == 300
