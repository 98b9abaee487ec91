"""Why jobs wait, what is refused, how much time there is: on a real cluster."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from madang.compute.launcher import LaunchFailed
from madang.compute.sight import Placement, Seen
from madang.compute.slurm import SlurmLauncher
from madang.kernel import clock
from madang.kernel.errors import Conflict, InvalidInput
from tests.support.slurm import OTHER, PERSON, STRANGER, make_launcher, make_order, seen


@pytest.fixture
async def launcher(cluster: Any, place: Any) -> AsyncIterator[SlurmLauncher]:
    made = make_launcher(cluster, place, "/bin/sleep", "600")
    await made.prepare()
    yield made
    made.close()


async def begin(launcher: SlurmLauncher, account: str = PERSON, **resources: Any) -> tuple[str, Placement]:
    order = make_order(launcher, account, **resources)
    return order.session, await launcher.start(order, "")


async def waits(launcher: SlurmLauncher, job: tuple[str, Placement], reason: str) -> Seen:
    return await seen(launcher, *job, lambda s: s.waiting and s.waiting.reason == reason, 20)


async def test_who_waits_is_told_why_and_until_when(launcher: SlurmLauncher) -> None:
    first = [await begin(launcher, cpus=4, time_limit_seconds=1200) for _ in range(2)]
    for job in first:
        await seen(launcher, *job, lambda s: s.alive)
    second = await begin(launcher, OTHER, cpus=4)
    third = await begin(launcher, cpus=4)
    sight = await seen(launcher, *second, lambda s: s.waiting and s.waiting.expected_at and s.waiting.position == 1)
    assert sight.alive is None and sight.end is None and sight.waiting is not None
    assert sight.waiting.reason in ("resources", "priority") and sight.waiting.partition == "viz"
    assert 0 < sight.waiting.expected_at - time.time() <= 1200  # type: ignore[operator]
    sight = await seen(launcher, *third, lambda s: s.waiting and s.waiting.position == 2)
    assert sight.waiting is not None and sight.waiting.said in ("Priority", "Resources")
    for job in first:
        assert await launcher.sweep(job[0], PERSON, launcher.folder(job[0]), None, job[1])
    await seen(launcher, *second, lambda s: s.alive)
    await seen(launcher, *third, lambda s: s.alive)


async def test_limits_of_a_qos(launcher: SlurmLauncher) -> None:
    one = await begin(launcher, qos="single")
    await seen(launcher, *one, lambda s: s.alive)
    two = await begin(launcher, qos="single")
    await waits(launcher, two, "person_limit")
    with pytest.raises(LaunchFailed) as refused:
        await begin(launcher, qos="single")
    assert refused.value.failure.code == "scheduler_limit"
    assert "QOSMaxSubmitJobPerUserLimit" in refused.value.failure.detail


@pytest.mark.parametrize(
    ("account", "asked", "code"),
    [
        (PERSON, {"partition": "nosuch"}, "scheduler_partition"),
        (PERSON, {"qos": "nosuch"}, "scheduler_qos"),
        (PERSON, {"charge": "nosuch"}, "scheduler_account"),
        (STRANGER, {}, "scheduler_account"),
        (PERSON, {"qos": "short", "time_limit_seconds": 3600}, "scheduler_time_limit"),
        (PERSON, {"memory_bytes": 10**12}, "scheduler_cannot_run"),
        (PERSON, {"features": "nosuch"}, "scheduler_cannot_run"),
        (PERSON, {"gpus": "9"}, "scheduler_cannot_run"),
        (PERSON, {"reservation": "nosuch"}, "scheduler_reservation"),
        ("nobody-at-all", {}, "account_gone"),
    ],
)
async def test_what_is_refused(launcher: SlurmLauncher, account: str, asked: dict[str, Any], code: str) -> None:
    with pytest.raises(LaunchFailed) as refused:
        await begin(launcher, account, **asked)
    failure = refused.value.failure
    assert failure.code == code and failure.title and failure.detail and failure.hint
    assert "sbatch:" not in failure.detail


async def test_more_time_than_a_partition_gives_waits_and_says_so(launcher: SlurmLauncher) -> None:
    job = await begin(launcher, partition="debug", time_limit_seconds=36_000)
    sight = await waits(launcher, job, "partition_limit")
    assert sight.waiting is not None and sight.waiting.position is None


async def test_a_job_gets_its_gpu_its_node_and_its_reservation(launcher: SlurmLauncher, cluster: Any) -> None:
    node = cluster.node_names[0]
    cluster.run("scontrol", "create", "reservation", "ReservationName=lesson", "StartTime=now", "Duration=60",
                f"Users={PERSON}", f"Nodes={node}")  # fmt: skip
    try:
        job = await begin(launcher, reservation="lesson", features="fast", gpus="demo:1")
        assert (await seen(launcher, *job, lambda s: s.alive)).node == node
        facts = await launcher.cluster()
        assert [found.name for found in facts.reservations] == ["lesson"]
        await launcher.sweep(job[0], PERSON, launcher.folder(job[0]), None, job[1])
    finally:
        cluster.end_jobs()
        cluster.run("scontrol", "delete", "ReservationName=lesson")


async def test_extending(launcher: SlurmLauncher) -> None:
    session, placement = await begin(launcher, partition="debug", time_limit_seconds=600)
    sight = await seen(launcher, session, placement, lambda s: s.alive)
    assert sight.started_at is not None
    end = await launcher.extend(session, placement, sight.started_at + 1150)
    assert end == sight.started_at + 1200  # whole minutes, rounded up
    assert (await seen(launcher, session, placement, lambda s: s.alive)).ends_at == end
    assert await launcher.extend(session, placement, sight.started_at + 1800) == sight.started_at + 1800
    with pytest.raises(InvalidInput) as refused:
        await launcher.extend(session, placement, sight.started_at + 1861)
    assert refused.value.code == "too_long" and refused.value.extras["most"] == clock.iso(sight.started_at + 1800)
    await launcher.sweep(session, PERSON, launcher.folder(session), None, placement)
    with pytest.raises(Conflict) as over:
        await launcher.extend(session, placement, time.time() + 60)
    assert over.value.code == "not_running"


async def test_extending_within_a_qos_and_not_while_it_waits(launcher: SlurmLauncher) -> None:
    session, placement = await begin(launcher, qos="short", time_limit_seconds=300)
    sight = await seen(launcher, session, placement, lambda s: s.alive)
    assert sight.started_at is not None
    assert await launcher.extend(session, placement, sight.started_at + 600) == sight.started_at + 600
    with pytest.raises(InvalidInput):
        await launcher.extend(session, placement, sight.started_at + 700)
    held = await begin(launcher, partition="debug", time_limit_seconds=36_000)
    with pytest.raises(Conflict):
        await launcher.extend(*held, time.time() + 600)


async def test_what_the_cluster_offers(launcher: SlurmLauncher) -> None:
    said = await launcher.described()
    assert said["scheduler"] == "slurm" and said["answers"] is True and said["since"] is None
    assert said["version"].count(".") >= 1
    viz, debug = said["partitions"]
    assert (viz["name"], viz["state"], viz["default"], viz["longest_seconds"]) == ("viz", "up", True, 86400)
    assert (debug["name"], debug["nodes"], debug["longest_seconds"]) == ("debug", 2, 1800)
    assert {"normal", "moonlight", "short", "single"} <= {qos["name"] for qos in said["qos"]}
    assert "lab" in said["accounts"]
    assert await launcher.longest("", "") == 86400
    assert await launcher.longest("viz", "short") == 600
    assert await launcher.longest("debug", "moonlight") == 1800


async def test_a_job_cannot_speak_for_another(launcher: SlurmLauncher, cluster: Any) -> None:
    mine = await begin(launcher)
    sight = await seen(launcher, *mine, lambda s: s.alive)
    fields = f"{sight.job}|RUNNING|None|0|viz|normal|9|1|1|1|evil|madang-{mine[0]}"
    sleeps = "#!/bin/sh\nsleep 60\n"
    forged = ["sbatch", "--output=/dev/null", "--chdir=/"]
    cluster.run(*forged, f"--job-name=x\n{fields}", account=OTHER, stdin=sleeps)
    cluster.run(*forged, f"--job-name=madang-{mine[0]}", account=OTHER, stdin=sleeps)
    await launcher.refresh()
    assert (await launcher.look(*mine)).node == sight.node
    # Without its number, by name: only a job of the account it was submitted as.
    unknown = await seen(launcher, mine[0], None, lambda s: s.alive)
    assert unknown.job == sight.job
    assert await launcher.sweep(mine[0], PERSON, launcher.folder(mine[0]), None, mine[1])
    assert len(cluster.run("squeue", "-h", "-u", OTHER).splitlines()) >= 1  # the other's job is not ours to end
