"""The portal killed, away for a minute, moved: desktops on the cluster live, and whatever was under way ends well."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.daemons.cluster.conftest import settings_of
from tests.daemons.cluster.job import Job, epoch
from tests.support.people import OVER, Client
from tests.support.portal import PortalProcess
from tests.support.rfb import Viewer

Ask = Callable[..., Job]
Start = Callable[..., Job]
AWAY_SECONDS = 60
# What a desktop is made of: beside these XFCE starts a piece or two that soon ends.
LASTING = {"python3", "Xvnc", "xfce4-session", "xfwm4", "xfce4-panel", "xfdesktop"}


def lasting(job: Job) -> set[int]:
    found = [process for process in job.processes() if process.name in LASTING]
    assert {process.name for process in found} == LASTING
    return {process.pid for process in found}


def test_away_for_a_minute(cluster: Any, portal: PortalProcess, accounts: dict[str, str], start: Start) -> None:
    """The desktop that stays is back within three seconds; one that was ended meanwhile is known to have been."""
    job, gone = start(name="stays"), start(name="goes")
    before, running = job.seen, lasting(job)
    portal.kill()
    stopped = time.monotonic()
    time.sleep(AWAY_SECONDS / 2)
    cluster.run("scancel", gone.numbers[0], account=accounts["kim"])
    time.sleep(max(0.0, AWAY_SECONDS - (time.monotonic() - stopped)))
    assert running <= job.pids() and not gone.processes()
    portal.start()
    back = time.monotonic()
    with job.viewer(3) as viewer:
        assert viewer.works()
    seen = job.until_true(lambda seen: seen["pulse"] and not seen["unknown_since"], 3, "its agent is not back")
    assert time.monotonic() - back < 4
    for word in ("state", "job", "node", "display", "ready_at", "ends_at", "restarts"):
        assert seen[word] == before[word], word
    assert running <= job.pids() and len(job.numbers) == 1
    ended = gone.until(*OVER, seconds=8)
    assert (ended["state"], ended["end_reason"], ended["failure"]) == ("ended", "job_cancelled", None), ended
    job.end()
    job.assert_nothing_left()
    gone.assert_nothing_left()


@pytest.fixture
def moved(cluster: Any, portal: PortalProcess) -> Iterator[PortalProcess]:
    """The same portal at another address. The old one is killed once this is entered."""
    portal.kill()
    new = PortalProcess(folder=portal.folder, **settings_of(cluster))
    try:
        new.start()
        yield new
    finally:
        new.kill()
        portal.start()
        # Desktops that report to the address that is gone find the way back.


def test_moved_to_another_address(
    portal: PortalProcess, kim: Client, start: Start, request: pytest.FixtureRequest
) -> None:
    """The agent knocks where nobody is: the portal calls it through its door, and it reports to the new address."""
    job = start()
    before, running = job.seen, lasting(job)
    new: PortalProcess = request.getfixturevalue("moved")
    moved_at = time.time()  # a heartbeat of before may still be known
    assert new.port != portal.port
    with Client(new.url, {"authorization": kim.headers["authorization"]}) as client:
        with Viewer(client, job.id) as viewer:
            assert viewer.works()  # that goes through the door alone
        fresh = client.until_true(
            job.id,
            lambda seen: seen["pulse"] and epoch(seen["pulse"]["at"]) > moved_at and not seen["unknown_since"],
            12,
            "its agent does not report",
        )
        assert (fresh["state"], fresh["display"], fresh["job"]) == ("ready", before["display"], before["job"])
        client.until_true(
            job.id,
            lambda seen: seen["pulse"] and seen["pulse"]["at"] > fresh["pulse"]["at"],
            5,
            "its agent reports no more",
        )
        assert running <= job.pids()
        assert f"the portal is at {new.url}" in client.log_of(job.id)
        ended = client.end(job.id)
        assert (ended["state"], ended["end_reason"]) == ("ended", "asked")
    job.assert_nothing_left()


def test_killed_during_use(portal: PortalProcess, start: Start) -> None:
    job = start()
    running = lasting(job)
    with job.viewer() as viewer:
        assert viewer.works()
        portal.kill()
    portal.start()
    with job.viewer(3) as viewer:
        assert viewer.works()
    job.until_true(lambda seen: seen["pulse"] and not seen["unknown_since"], 5, "its agent is not back")
    assert running <= job.pids() and len(job.numbers) == 1 and job.seen["state"] == "ready"


def test_killed_at_any_moment_of_a_start(portal: PortalProcess, ask: Ask) -> None:
    """One job each becomes of them, and one desktop."""
    jobs = []
    for pause in (0.0, 0.05, 0.3, 1.0):
        jobs.append(ask(name=f"{pause}"))
        time.sleep(pause)  # the moment is what is tried
        portal.kill()
        portal.start()
    for job in jobs:
        job.until("ready", seconds=30)
    for job in jobs:
        assert len(job.numbers) == 1 and job.seen["restarts"] == 0
        assert [process.name for process in job.processes()].count("Xvnc") == 1
        with job.viewer() as viewer:
            assert viewer.works()


def test_killed_at_any_moment_of_an_end(portal: PortalProcess, start: Start) -> None:
    jobs = [start() for _ in range(3)]
    for job, pause in zip(jobs, (0.0, 0.1, 0.4), strict=True):
        assert job.client.delete(f"/api/vnc/sessions/{job.id}").status_code == 202
        time.sleep(pause)
        portal.kill()
        portal.start()
    for job in jobs:
        seen = job.until(*OVER, seconds=15)
        assert (seen["state"], seen["end_reason"], seen["failure"]) == ("ended", "asked", None)
        job.assert_nothing_left()
