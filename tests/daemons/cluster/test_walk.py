"""A desktop as a job of its person's account, from the click to its end."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.daemons.cluster.conftest import KIM
from tests.daemons.cluster.job import Job, ago, epoch
from tests.support.people import Client
from tests.support.portal import PortalProcess
from tests.support.rfb import Viewer, refusal
from tests.support.waiting import eventually

Ask = Callable[..., Job]
# Later ones may follow each other faster than somebody looks.
WAY = ["requested", "waiting", "starting", "ready"]


def test_from_the_click_to_the_end(
    cluster: Any, portal: PortalProcess, kim: Client, lee: Client, accounts: dict[str, str], ask: Ask
) -> None:
    job = ask(name="walk")
    states = [job.seen["state"]]

    def walks() -> bool:
        if (state := job.seen["state"]) != states[-1]:
            states.append(state)
        return state == "ready"

    eventually(walks, 20, lambda: f"{states}\n{kim.log_of(job.id)}", pause=0.01)
    assert states == [state for state in WAY if state in states], states
    seen = job.seen
    assert (seen["launcher"], seen["preset"]["name"], seen["waiting"]) == ("slurm", "plain", None)
    assert seen["node"] in cluster.node_names and seen["job"] in job.numbers and len(job.numbers) == 1
    assert [stage["name"] for stage in seen["stages"]] == [
        "request", "queue", "agent", "display", "window_manager", "desktop"
    ]  # fmt: skip
    assert all(stage["seconds"] is not None and stage["seconds"] < 20 for stage in seen["stages"]), seen["stages"]
    began = [epoch(stage["started_at"]) for stage in seen["stages"]]
    assert began == sorted(began) and ago(seen["ready_at"]) < 20
    # Slurm's own clock counts the time: it knows whole seconds.
    shown = job.shown
    assert abs(epoch(seen["ends_at"]) - epoch(seen["ready_at"]) - 3600) < 15
    assert shown["TimeLimit"] == "01:00:00" and shown["NodeList"] == seen["node"]
    assert shown["JobName"] == f"madang-{job.id}" and shown["UserId"].startswith(f"{accounts[KIM]}(")
    assert job.owners() == {pwd.getpwnam(accounts[KIM]).pw_uid}
    assert job.folder.stat().st_mode & 0o777 == 0o700

    with Viewer(kim, job.id) as viewer:
        assert viewer.works() and (viewer.width, viewer.height) == (seen["width"], seen["height"])
        assert refusal(f"{portal.ws_url}/vncproxy/{job.id}", lee.socket_headers)[0] == 404
        ended = job.end()
        assert viewer.closed_with(5) == 4001
    assert (ended["state"], ended["end_reason"], ended["failure"]) == ("ended", "asked", None)
    job.assert_nothing_left()
    log = kim.log_of(job.id)
    assert "ready on display" in log and "ending: asked" in log
    eventually(
        lambda: job.shown["JobState"] == "COMPLETED", 5, lambda: f"not told as ended well: {job.shown['JobState']}"
    )


def test_no_secret_of_the_order_can_be_seen(
    cluster: Any, portal: PortalProcess, kim: Client, accounts: dict[str, str], ask: Ask
) -> None:
    seen_words: list[bytes] = []
    job = ask()
    while job.seen["state"] != "ready":
        seen_words.append(_words_of_everybody())  # while sbatch and the job start, too
        job.until("requested", "waiting", "starting", "ready")
    order = job.order
    secrets = [order["agent_secret"], order["door_key"]]
    assert all(len(secret) > 20 for secret in secrets)
    told = cluster.run("squeue", "-o", "%all") + cluster.run("scontrol", "-d", "show", "job")
    assert job.id in told
    job.end()
    everything = b"".join(seen_words) + told.encode() + portal.log.encode() + kim.log_of(job.id).encode()
    everything += b"".join(path.read_bytes() for path in (cluster.folder / "log").glob("*.log"))
    for secret in secrets:
        assert secret.encode() not in everything
    job.assert_nothing_left()


def _words_of_everybody() -> bytes:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for what in ("cmdline", "environ"):
            try:
                found.append(Path(f"/proc/{pid}/{what}").read_bytes())
            except OSError:
                continue
    return b"\0".join(found)


def test_two_desktops_on_one_node(cluster: Any, kim: Client, lee: Client, accounts: dict[str, str], ask: Ask) -> None:
    other_node = cluster.node_names[1]
    cluster.run("scontrol", "update", f"NodeName={other_node}", "State=DRAIN", "Reason=test")
    jobs = [ask(), ask(client=lee), ask()]
    seen = [job.until("ready") for job in jobs]
    assert {one["node"] for one in seen} == {cluster.node_names[0]}
    assert len({one["display"] for one in seen}) == len({job.stored["door_port"] for job in jobs}) == 3
    assert len({job.stored["door_fingerprint"] for job in jobs}) == 3
    assert all(job.works() for job in jobs)
    jobs[0].end()
    jobs[0].assert_nothing_left()
    assert jobs[1].works() and jobs[2].works()
    assert refusal(f"{jobs[0].portal.ws_url}/vncproxy/{jobs[1].id}", kim.socket_headers)[0] == 404
