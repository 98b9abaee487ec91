"""A desktop that waits: why, in words that a person understands, and what they can do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.daemons.cluster.conftest import BOSS
from tests.daemons.cluster.job import Job, epoch
from tests.support.people import Client, Json
from tests.support.waiting import eventually

Ask = Callable[..., Job]


def set_nodes(cluster: Any, state: str) -> None:
    for node in cluster.node_names:
        cluster.run("scontrol", "update", f"NodeName={node}", f"State={state}", "Reason=tests")


def waits_for(job: Job, *reasons: str, seconds: float = 10) -> Json:
    """The session once it waits for one of these."""
    return job.until_true(
        lambda seen: seen["state"] == "waiting" and seen["waiting"] and seen["waiting"]["reason"] in reasons,
        seconds,
        f"does not wait for {reasons}",
    )


def test_no_node_is_there(cluster: Any, ask: Ask) -> None:
    set_nodes(cluster, "DRAIN")
    job = ask()
    seen = waits_for(job, "nodes_unavailable")
    assert seen["waiting"]["partition"] == "viz" and seen["waiting"]["said"]
    assert (seen["node"], seen["display"], seen["failure"], seen["unknown_since"]) == (None, None, None, None)
    assert seen["stages"][-1]["name"] == "queue" and seen["stages"][-1]["seconds"] is None
    assert seen["job"] in job.numbers
    set_nodes(cluster, "RESUME")
    ready = job.until("ready", seconds=20)
    assert ready["waiting"] is None and ready["job"] == seen["job"] and job.works()


def test_a_line_before_a_full_cluster(cluster: Any, ask: Ask, start: Callable[..., Job]) -> None:
    running = [start("whole"), start("whole", time_limit_seconds=1800)]
    first, second, third = line = [ask("whole", name=str(place)) for place in (1, 2, 3)]
    for place, job in enumerate(line, 1):
        job.until_true(
            lambda seen, place=place: (seen["waiting"] or {}).get("position") == place, 10, f"is not number {place}"
        )
    assert all(waits_for(job, "resources", "priority")["waiting"]["said"] for job in line)
    # The scheduler expects it when the shorter one of those that run is over.
    expects = first.until_true(lambda seen: seen["waiting"]["expected_at"], 20, "nothing is expected")
    ends_at = epoch(running[1].seen["ends_at"])
    assert abs(epoch(expects["waiting"]["expected_at"]) - ends_at) < 70

    # Whoever does not want to wait leaves no job, and the others move up.
    ended = second.end()
    assert (ended["state"], ended["end_reason"], ended["failure"], ended["waiting"]) == ("ended", "asked", None, None)
    second.assert_nothing_left()
    third.until_true(lambda seen: seen["waiting"]["position"] == 2, 10, "did not move up")
    running[0].end()
    assert first.until("ready", seconds=20)["restarts"] == 0
    assert third.seen["state"] == "waiting"


def test_a_limit_of_a_qos(cluster: Any, ask: Ask, start: Callable[..., Job], lee: Client) -> None:
    first = start("single")
    second = ask("single")
    seen = waits_for(second, "person_limit", "qos_limit")
    assert "QOS" in seen["waiting"]["said"] and seen["resources"]["qos"] == "single"
    third = ask("single")
    refused = third.until("failed")
    assert refused["failure"]["code"] == "scheduler_limit", refused["failure"]
    assert all(refused["failure"][word] for word in ("title", "detail", "hint"))
    assert not third.numbers and refused["job"] is None
    assert ask("single", client=lee).until("ready")["waiting"] is None  # it is a limit per person
    first.end()
    second.until("ready", seconds=20)


def test_more_time_than_its_qos_gives_is_refused(ask: Ask) -> None:
    job = ask("short", time_limit_seconds=1800)
    refused = job.until("failed")
    assert refused["failure"]["code"] == "scheduler_time_limit", refused["failure"]
    assert refused["failure"]["hint"] and not job.numbers


def test_more_than_any_node_has(ask: Ask) -> None:
    """Slurm takes it all the same (EnforcePartLimits=NO, its default): the card says that it cannot come."""
    job = ask("hungry")
    seen = waits_for(job, "partition_limit", "cannot_run")
    assert (seen["waiting"]["position"], seen["waiting"]["expected_at"]) == (None, None)
    job.end()
    job.assert_nothing_left()


def test_twenty_at_once(cluster: Any, kim: Client, presets: dict[str, str], ask: Ask) -> None:
    """Eight fit; the others wait their turn, and each gets a display and a door of its own."""
    asked: list[Json] = []
    for _ in range(2):
        answer = kim.post("/api/vnc/sessions", json={"preset": presets["plain"], "count": 10, "name": "many"})
        assert answer.status_code == 201, answer.text
        asked += answer.json()
    assert len({session["id"] for session in asked}) == 20
    found: list[Json] = []

    def settled() -> bool:
        found[:] = kim.sessions()
        states = [session["state"] for session in found]
        positions = {session["waiting"]["position"] for session in found if session["waiting"]}
        return states.count("ready") == 8 and states.count("waiting") == 12 and positions == set(range(1, 13))

    eventually(settled, 60, lambda: f"{found}", pause=0.3)
    ready = [session for session in found if session["state"] == "ready"]
    assert len({session["display"] for session in ready}) == 8
    assert sorted({session["node"] for session in ready}) == cluster.node_names
    jobs = cluster.run("squeue", "-h", "-o", "%j").split()
    assert sorted(jobs) == sorted(f"madang-{session['id']}" for session in found)
    # The others may all go before they ever ran.
    for session in found:
        if session["state"] == "waiting":
            assert kim.delete(f"/api/vnc/sessions/{session['id']}").status_code == 202
    for session in ready:
        assert kim.delete(f"/api/vnc/sessions/{session['id']}").status_code == 202
    eventually(
        lambda: {session["state"] for session in kim.sessions()} <= {"ended"} and not cluster.run("squeue", "-h"),
        30,
        lambda: f"left: {kim.sessions()}",
        pause=0.3,
    )


def test_what_operators_see(cluster: Any, people: dict[str, Client], kim: Client) -> None:
    seen = people[BOSS].get("/api/vnc/cluster").json()
    assert (seen["scheduler"], seen["answers"], seen["since"]) == ("slurm", True, None) and seen["version"]
    assert {partition["name"]: partition["default"] for partition in seen["partitions"]} == {
        "viz": True,
        "debug": False,
    }
    assert {"single", "short"} <= set(seen["qos"]) and seen["accounts"]
    assert kim.get("/api/vnc/cluster").status_code == 403
