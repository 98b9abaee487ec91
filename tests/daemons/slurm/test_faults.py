"""Faults of a real cluster: daemons killed and stopped, answers lost, nodes gone."""

from __future__ import annotations

import asyncio
import pwd
import shutil
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from madang.compute import processes
from madang.compute.launcher import LaunchFailed, LaunchUnsure
from madang.compute.slurm import SlurmLauncher
from madang.kernel.errors import Unavailable
from tests.support.slurm import PERSON, make_launcher, make_order, seen, until


@pytest.fixture
async def launcher(cluster: Any, place: Path) -> AsyncIterator[SlurmLauncher]:
    made = make_launcher(cluster, place, "/bin/sleep", "600")
    await made.prepare()
    yield made
    made.close()


def jobs_of(cluster: Any, session: str) -> list[str]:
    """States of its jobs that are not over."""
    return cluster.run("squeue", "-h", f"--name=madang-{session}", "-o", "%T").split()  # type: ignore[no-any-return]


async def test_a_controller_that_dies_is_silent_and_its_jobs_are_not_over(
    launcher: SlurmLauncher, cluster: Any
) -> None:
    order = make_order(launcher, PERSON)
    placement = await launcher.start(order, "")
    await seen(launcher, order.session, placement, lambda s: s.alive)
    # One that is killed before it has written down what runs, which it does every 5 s, forgets it.
    await asyncio.sleep(6)
    left: list[str] = []
    launcher.on_exit = left.append
    await launcher.cluster()
    died = time.time()
    cluster.controller.kill()
    sight = await seen(launcher, order.session, placement, lambda s: s.silent)
    assert sight.alive is None and sight.end is None and sight.node
    assert sight.silent is not None and abs(sight.silent - died) < 6
    assert (await launcher.described())["answers"] is False
    with pytest.raises(Unavailable) as silent:
        await launcher.extend(order.session, placement, time.time() + 900)
    assert silent.value.code == "scheduler_silent"
    assert await launcher.sweep(order.session, PERSON, Path(order.folder), None, placement) is False
    cluster.mend()
    sight = await seen(launcher, order.session, placement, lambda s: s.alive)
    assert sight.silent is None and left == []
    assert await launcher.sweep(order.session, PERSON, Path(order.folder), None, placement) is True


@pytest.mark.parametrize("patience", [1.5, 8.0], ids=["sbatch is ended", "sbatch gives up"])
async def test_a_submit_whose_answer_is_lost_is_found_again(cluster: Any, place: Path, patience: float) -> None:
    launcher = make_launcher(cluster, place, "/bin/sleep", "600", submit_command_seconds=patience)
    await launcher.prepare()
    order = make_order(launcher, PERSON)
    cluster.controller.send(signal.SIGSTOP)
    with pytest.raises(LaunchUnsure):
        await launcher.start(order, "")
    sight = await seen(launcher, order.session, None, lambda s: s.silent)
    assert sight.alive is None and sight.end is None
    cluster.controller.send(signal.SIGCONT)
    sight = await seen(launcher, order.session, None, lambda s: s.alive)
    assert sight.job and sight.node and jobs_of(cluster, order.session) == ["RUNNING"]


async def test_a_job_that_a_killed_controller_forgot_is_gone(launcher: SlurmLauncher, cluster: Any) -> None:
    """It writes its jobs down every few seconds. The accounting may hold such a job for running for ever."""
    before = {file: file.read_bytes() for file in (cluster.folder / "state").glob("job_state*")}
    order = make_order(launcher, PERSON)
    placement = await launcher.start(order, "")
    await seen(launcher, order.session, placement, lambda s: s.alive)
    cluster.controller.kill()
    for file in (cluster.folder / "state").glob("job_state*"):
        file.unlink()
    for file, content in before.items():
        file.write_bytes(content)
        shutil.chown(file, "slurm", "slurm")
    await asyncio.to_thread(cluster.mend)
    sight = await seen(launcher, order.session, placement, lambda s: s.alive is False)
    # A controller that lost all of its jobs has the accounting call them cancelled.
    assert sight.end == ("gone" if before else "cancelled")
    await until(lambda: _processes(), lambda left: not left)  # its node was told to end it


async def test_a_submit_that_was_never_taken_is_gone_after_a_while(launcher: SlurmLauncher, cluster: Any) -> None:
    began = time.monotonic()
    sight = await seen(launcher, "neverthere00", None, lambda s: s.alive is False)
    assert sight.end == "gone" and time.monotonic() - began >= 3.0
    # While the controller does not answer, that time does not pass.
    cluster.controller.send(signal.SIGSTOP)
    for _ in range(2):
        await launcher.refresh()
        assert (await launcher.look("neverthere01", None)).alive is None


async def test_of_two_jobs_of_a_session_one_stays(launcher: SlurmLauncher, cluster: Any) -> None:
    order = make_order(launcher, PERSON)
    first = await launcher.start(order, "")
    second = await launcher.start(order, "")
    assert first.job != second.job and len(jobs_of(cluster, order.session)) == 2
    await seen(launcher, order.session, second, lambda s: s.alive)
    await until(lambda: _states(cluster, order.session), lambda states: states == ["RUNNING"])
    await seen(launcher, order.session, second, lambda s: s.alive)
    await seen(launcher, order.session, first, lambda s: s.alive is False)


async def test_what_is_swept_without_its_number_is_found_by_name(launcher: SlurmLauncher, cluster: Any) -> None:
    order = make_order(launcher, PERSON)
    await launcher.start(order, "")
    assert await launcher.sweep(order.session, PERSON, Path(order.folder), None, None) is True
    assert jobs_of(cluster, order.session) == []
    assert await launcher.sweep(order.session, PERSON, Path(order.folder), None, None) is True


async def test_a_start_waits_for_a_controller_that_restarts(launcher: SlurmLauncher, cluster: Any) -> None:
    order = make_order(launcher, PERSON)
    cluster.controller.kill()
    starting = asyncio.create_task(launcher.start(order, ""))
    await asyncio.sleep(0.5)
    await asyncio.to_thread(cluster.mend)
    await seen(launcher, order.session, await starting, lambda s: s.alive)


async def test_a_start_without_a_controller_fails_in_plain_words(launcher: SlurmLauncher, cluster: Any) -> None:
    cluster.controller.kill()
    with pytest.raises(LaunchFailed) as failed:
        await launcher.start(make_order(launcher, PERSON), "")
    assert failed.value.failure.code == "scheduler_silent"


async def test_a_daemon_of_a_node_that_restarts_changes_nothing(launcher: SlurmLauncher, cluster: Any) -> None:
    order = make_order(launcher, PERSON)
    placement = await launcher.start(order, "")
    sight = await seen(launcher, order.session, placement, lambda s: s.alive)
    cluster.nodes[sight.node].kill()
    await launcher.refresh()
    assert (await launcher.look(order.session, placement)).alive is True
    await asyncio.to_thread(cluster.mend)
    assert (await seen(launcher, order.session, placement, lambda s: s.alive)).node == sight.node


async def test_lost_nodes_and_reached_time_limits(launcher: SlurmLauncher, cluster: Any) -> None:
    """Three fates at once, for each takes its minute."""
    lost = make_order(launcher, PERSON, features="fast")
    moved = make_order(launcher, PERSON, features="fast|plain", requeue=True)
    short = make_order(launcher, PERSON, features="plain", time_limit_seconds=60)
    node = cluster.node_names[0]
    cluster.run("scontrol", "update", f"NodeName={cluster.node_names[1]}", "State=DRAIN", "Reason=test")
    placements = {order.session: await launcher.start(order, "") for order in (lost, moved)}
    for order in (lost, moved):
        sight = await seen(launcher, order.session, placements[order.session], lambda s: s.alive)
        assert sight.node == node
    cluster.run("scontrol", "update", f"NodeName={cluster.node_names[1]}", "State=RESUME")
    placements[short.session] = await launcher.start(short, "")
    await seen(launcher, short.session, placements[short.session], lambda s: s.alive)
    cluster.kill_node(node)
    sight = await seen(launcher, lost.session, placements[lost.session], lambda s: s.alive is False, 60)
    assert sight.end == "node_lost" and sight.detail == f"Node {node} was lost."
    sight = await seen(launcher, moved.session, placements[moved.session], lambda s: s.waiting or s.node != node, 30)
    assert sight.alive is not False
    sight = await seen(launcher, short.session, placements[short.session], lambda s: s.alive is False, 110)
    assert sight.end == "time_limit"
    sight = await seen(launcher, moved.session, placements[moved.session], lambda s: s.alive, 150)
    assert sight.node == cluster.node_names[1] and sight.job == placements[moved.session].job


async def _processes() -> list[int]:
    uid = pwd.getpwnam(PERSON).pw_uid
    return [process.pid for process in processes.everything() if processes.owner(process.pid) == uid]


async def _states(cluster: Any, session: str) -> list[str]:
    return jobs_of(cluster, session)
