"""slurmctld killed, stopped and brought back: nothing is called ended that is not, and nothing runs twice."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.daemons.cluster.conftest import BOSS
from tests.daemons.cluster.job import Job, ago
from tests.support.people import OVER, Client
from tests.support.portal import PortalProcess
from tests.support.waiting import eventually

Ask = Callable[..., Job]
Start = Callable[..., Job]


@contextmanager
def stopped(cluster: Any) -> Iterator[None]:
    """The controller takes connections and says nothing."""
    cluster.controller.send(signal.SIGSTOP)
    try:
        yield
    finally:
        cluster.controller.send(signal.SIGCONT)


def kill(cluster: Any) -> None:
    """kill -9. It writes down what it knows every five seconds; what it truly forgets is another matter."""
    time.sleep(5.5)
    cluster.controller.kill()


def is_unknown(seen: dict[str, Any]) -> bool:
    return seen["unknown_since"] is not None and seen["unknown_reason"] == "scheduler"


def is_known(seen: dict[str, Any]) -> bool:
    return seen["unknown_since"] is None and seen["unknown_reason"] is None


def test_killed_and_brought_back(
    cluster: Any, portal: PortalProcess, people: dict[str, Client], start: Start, ask: Ask
) -> None:
    """A desktop that runs, one that waits, and one whose end is asked for meanwhile; then the portal dies too."""
    running, leaving, _fills = start("whole", name="running"), start(name="leaving"), start(name="fills")
    waiting = ask("whole", name="waiting")
    waiting.until_true(lambda seen: seen["waiting"], 10, "does not wait")
    numbers = running.numbers, waiting.numbers
    viewer = running.viewer()
    kill(cluster)
    for job in (running, waiting):
        seen = job.until_true(is_unknown, 20, "is not unknown")
        assert ago(seen["unknown_since"]) < 20
    assert running.seen["state"] == "ready" and waiting.seen["state"] == "waiting"
    assert people[BOSS].get("/api/vnc/cluster").json()["answers"] is False

    # Its agent is there, so all that a person does with it goes on.
    with viewer:
        assert viewer.works() and running.works()
    fresh = running.seen["pulse"]["at"]
    running.until_true(lambda seen: seen["pulse"]["at"] != fresh, 5, "its agent is not heard")
    ended = leaving.client.end(leaving.id)
    assert (ended["state"], ended["end_reason"]) == ("ended", "asked")
    eventually(lambda: not leaving.processes() and not leaving.folder.exists(), 5, "something of it is left")
    refused = running.client.post(f"/api/vnc/sessions/{running.id}/extend", json={"seconds": 600})
    assert (refused.status_code, refused.json()["code"]) == (503, "scheduler_silent"), refused.text
    assert refused.json()["hint"]

    # A portal that has never seen the queue keeps to what it knows.
    portal.kill()
    portal.start()
    for job, state in ((running, "ready"), (waiting, "waiting")):
        seen = job.until_true(is_unknown, 20, "is not unknown")
        assert (seen["state"], seen["restarts"]) == (state, 0)
    with running.viewer() as viewer:
        assert viewer.works()

    cluster.controller.start()
    cluster.wait_ready()
    for job, state in ((running, "ready"), (waiting, "waiting")):
        assert job.until_true(is_known, 12, "is still unknown")["state"] == state
    assert (running.numbers, waiting.numbers) == numbers
    running.end()
    assert waiting.until("ready", seconds=20)["restarts"] == 0
    leaving.assert_nothing_left(60)  # Slurm's own process on the node takes its time to say so again


def test_stopped_while_somebody_stops_waiting(cluster: Any, start: Start, ask: Ask) -> None:
    """The end of a desktop that waits is recorded once the cluster can no longer start it."""
    for node in cluster.node_names:
        cluster.run("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=tests")
    waiting = ask()
    waiting.until_true(lambda seen: seen["waiting"], 10, "does not wait")
    with stopped(cluster):
        assert waiting.client.delete(f"/api/vnc/sessions/{waiting.id}").status_code == 202
        time.sleep(4)  # longer than a command is given
        assert waiting.seen["state"] == "ending"
    ended = waiting.until(*OVER, seconds=15)
    assert (ended["state"], ended["end_reason"], ended["failure"]) == ("ended", "asked", None)
    waiting.assert_nothing_left()


def test_starts_while_it_is_away(cluster: Any, ask: Ask) -> None:
    """It is told within seconds, and nothing of it comes later; one that is asked for just before it is back runs."""
    kill(cluster)
    early = ask()
    failed = early.until("failed", seconds=20)
    assert failed["failure"]["code"] == "scheduler_silent", failed["failure"]
    assert all(failed["failure"][word] for word in ("title", "detail", "hint"))
    late = ask()
    time.sleep(1)
    cluster.controller.start()
    late.until("ready", seconds=25)
    assert len(late.numbers) == 1
    assert not early.numbers and not early.processes() and early.seen["state"] == "failed"


def test_the_answer_to_a_submit_is_lost(cluster: Any, ask: Ask) -> None:
    """sbatch has sent it, and is given up before it hears that it was taken."""
    with stopped(cluster):
        job = ask()
        seen = job.until_true(is_unknown, 20, "is not unknown")  # after submit_command_seconds
        assert (seen["state"], seen["job"]) == ("waiting", None)
    job.until("ready", seconds=30)
    assert len(job.numbers) == 1 and len(_all_jobs(cluster, job)) == 1
    assert job.works()
    job.end()
    job.assert_nothing_left()


def test_the_portal_dies_in_the_middle_of_a_submit(cluster: Any, portal: PortalProcess, ask: Ask) -> None:
    """What it had begun may come through after it is gone; only one desktop becomes of it."""
    with stopped(cluster):
        job = ask()
        eventually(lambda: job.stored["launched_at"], 5, "was not launched")
        time.sleep(0.3)  # so that sbatch is on its way
        portal.kill()
    portal.start()
    job.until("ready", seconds=40)
    assert len(job.numbers) == 1, job.numbers
    time.sleep(2)  # a second one would be seen by now
    assert len(job.numbers) == 1 and job.seen["state"] == "ready" and job.works()
    job.end()
    job.assert_nothing_left()


def _all_jobs(cluster: Any, job: Job) -> list[str]:
    """Also those that are over."""
    return str(cluster.run("squeue", "-h", "-t", "all", "-n", f"madang-{job.id}", "-o", "%i")).split()
