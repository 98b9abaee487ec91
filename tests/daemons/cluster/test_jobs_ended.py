"""A job that ends otherwise than its person wished: cancelled, its node lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from tests.daemons.cluster.job import Job, ago, epoch
from tests.support.people import OVER, Client
from tests.support.portal import PortalProcess
from tests.support.rfb import close_code, open_socket
from tests.support.waiting import eventually

Ask = Callable[..., Job]
Start = Callable[..., Job]


def test_cancelled_from_outside(cluster: Any, accounts: dict[str, str], start: Start, ask: Ask) -> None:
    """By its person's own scancel, while it is looked at and while it waits; that is no failure."""
    job, fills = start("whole"), start("whole")
    waiting = ask("whole")
    waiting.until_true(lambda seen: seen["waiting"], 10, "does not wait")
    with job.viewer() as viewer:
        assert viewer.works()
        cluster.run("scancel", waiting.seen["job"], account=accounts["kim"])
        seen = waiting.until(*OVER, seconds=8)
        assert (seen["state"], seen["end_reason"], seen["failure"]) == ("ended", "job_cancelled", None), seen
        cluster.run("scancel", job.seen["job"], account=accounts["kim"])
        seen = job.until(*OVER, seconds=12)
        assert (seen["state"], seen["failure"]) == ("ended", None)
        # Whoever is first to say it: the agent, which is asked to end a moment before it is killed, or Slurm.
        assert seen["end_reason"] in ("job_cancelled", "terminated"), seen
        assert viewer.closed_with(5) == 4001
    assert "ending: terminated" in job.client.log_of(job.id)
    job.assert_nothing_left()
    waiting.assert_nothing_left()
    assert fills.seen["state"] == "ready"


def test_its_node_is_lost(cluster: Any, kim: Client, start: Start) -> None:
    """One desktop that may begin anew does so on the other node, the other one is over."""
    first, second = cluster.node_names
    cluster.run("scontrol", "update", f"NodeName={second}", "State=DRAIN", "Reason=tests")
    stays, again = start("plain"), start("again")
    assert stays.seen["node"] == again.seen["node"] == first
    secret, old = again.order["agent_secret"], again.seen
    cluster.run("scontrol", "update", f"NodeName={second}", "State=RESUME")
    viewer = again.viewer()
    killed = time.time()
    pids = stays.pids() | again.pids()
    cluster.kill_node(first)
    for pid in pids:  # programs of a session know nothing of Slurm
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert close_code(viewer.socket, 10) in (1011, 4001)
    # Nothing is heard, and nothing is said to be over before Slurm gives the node up.
    for job in (stays, again):
        seen = job.until_true(lambda seen: seen["unknown_reason"] == "agent", 10, "is not unknown")
        assert seen["state"] == "ready"

    lost = stays.until(*OVER, seconds=60)
    assert (lost["state"], lost["failure"]["code"]) == ("failed", "node_lost"), lost
    assert first in lost["failure"]["detail"] and lost["failure"]["hint"]
    back = again.until_true(lambda seen: seen["restarts"] == 1, 30, "was not begun anew")
    assert back["failure"] is None
    ready = again.until_true(lambda seen: seen["state"] == "ready", 30, "did not come back")
    assert (ready["node"], ready["job"], ready["restarts"]) == (second, old["job"], 1)
    assert epoch(ready["ready_at"]) > killed and ready["unknown_since"] is None
    assert [stage["name"] for stage in ready["stages"]] == [
        "request", "queue", "agent", "display", "window_manager", "desktop"
    ]  # fmt: skip
    with again.viewer() as viewer:
        assert viewer.works()
    assert len(again.numbers) == 1 and not stays.processes()
    _late_words_of_the_first_agent(again, secret, old)
    again.end()
    again.assert_nothing_left()


def _late_words_of_the_first_agent(job: Job, secret: str, old: dict[str, Any]) -> None:
    """The node comes back, and with it what ran there: what it says is of a run that is over."""
    before = job.seen
    report = {"state": "failed", "node": old["node"], "display": 1, "restarts": 0, "job": old["job"]}
    report |= {"pid": 4, "failure": {"code": "late", "title": "late", "detail": "", "hint": ""}}
    url = f"{job.portal.ws_url}/api/vnc/agents/{job.id}"
    link = open_socket(url, {"Authorization": f"Bearer {secret}"})
    link.send(json.dumps(report))
    told = [json.loads(link.recv(5)) for _ in range(3)]  # after the portal's clock and its end
    assert {"do": "bye"} in told, told
    link.close()
    after = job.seen
    for word in ("state", "node", "display", "restarts", "failure", "ready_at"):
        assert after[word] == before[word], word
    eventually(job.works, 5, "the new one cannot be looked at any more")


def test_nobody_listens_on_a_node_that_is_up(cluster: Any, portal: PortalProcess, start: Start) -> None:
    """slurmd alone is killed: the desktop goes on, and comes to no harm when slurmd is back in time."""
    job = start()
    cluster.nodes[job.seen["node"]].kill()
    time.sleep(2)
    assert job.works() and job.seen["state"] == "ready"
    cluster.mend()
    time.sleep(2)
    seen = job.seen
    assert (seen["state"], seen["restarts"], seen["unknown_since"]) == ("ready", 0, None) and ago(seen["ready_at"]) > 4
    job.end()
    job.assert_nothing_left()
