"""A thousand sessions in the table and 200 WebSockets, of which half are abandoned: people notice nothing of it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from tests.daemons.portal.conftest import Accounts, add_people, forget
from tests.daemons.portal.test_abandoned_sockets import CROWD, GONE_SECONDS, SPARE
from tests.support.people import Client
from tests.support.portal import PortalProcess
from tests.support.rfb import Viewer
from tests.support.session import descriptors
from tests.support.waiting import eventually

SESSIONS = 1000
RUNNING = 400
OF_EACH = 50
QUICK_SECONDS = 6.0


@pytest.fixture(scope="module")
def site(accounts: Accounts) -> Iterator[PortalProcess]:
    with PortalProcess(HTTP_PING_SECONDS="2.0", HTTP_STALL_SECONDS="3.0", VNC_START_SECONDS="25.0") as portal:
        add_people(portal, accounts)
        yield portal


@pytest.fixture(scope="module")
def kim(site: PortalProcess) -> Iterator[Client]:
    with site.by_token("kim") as client:
        yield client


@pytest.fixture(scope="module")
def session(site: PortalProcess, kim: Client) -> Iterator[str]:
    """One that is real, among many that are on other machines or over."""
    session = str(kim.start_desktop(name="real")["id"])
    real = site.stored(session)
    elsewhere = {"node": "elsewhere", "display": None, "person_id": "0" * 12, "person_name": "somebody"}
    over = {"state": "ended", "wanted": False, "ended_at": time.time(), "end_reason": "asked", "door_key": None}
    with site.database() as database:
        database.execute("BEGIN")
        for number in range(SESSIONS - 1):
            row = real | elsewhere | {"id": f"many{number:08}"} | (over if number >= RUNNING else {})
            marks = ", ".join("?" * len(row))
            database.execute(f"INSERT INTO sessions ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
        database.execute("COMMIT")
    yield session
    with site.database() as database:
        database.execute("DELETE FROM sessions WHERE id LIKE 'many%'")
    forget(kim, session)


@contextlib.contextmanager
def crowd(portal: PortalProcess, session: str, how: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, str(CROWD), portal.ws_url, portal.token_for("kim"), session, str(OF_EACH), how]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_thousand_sessions_and_200_sockets_of_which_half_are_abandoned(
    site: PortalProcess, kim: Client, session: str
) -> None:
    boss = site.by_token("boss")
    boss.sessions(all=True)
    before = descriptors(site.pid)
    with contextlib.ExitStack() as stack:
        for how in ("glance", "live"):
            stack.enter_context(crowd(site, session, how))
        for how in ("door", "live"):
            stack.enter_context(crowd(site, session, how)).send_signal(signal.SIGSTOP)
        _works_quickly(site, kim, boss, session)
        doors = f'madang_door_connections{{service="vnc"}} {OF_EACH}.0'
        eventually(lambda: doors in site.metrics(), GONE_SECONDS, lambda: f"not {doors}")
        eventually(
            lambda: descriptors(site.pid) <= before + 3 * OF_EACH + SPARE,  # a door has two
            GONE_SECONDS,
            lambda: f"{descriptors(site.pid)} descriptors, {before} before",
        )
        _works_quickly(site, kim, boss, session)
    eventually(lambda: descriptors(site.pid) <= before + SPARE, GONE_SECONDS, "what is gone is kept")
    assert "Traceback" not in site.log


def _works_quickly(site: PortalProcess, kim: Client, boss: Client, session: str) -> None:
    begun = time.monotonic()
    assert len(boss.sessions(all=True)) == SESSIONS
    assert kim.session(session)["state"] == "ready"
    assert kim.patch(f"/api/vnc/sessions/{session}", json={"notes": str(begun)}).status_code == 200
    with Viewer(kim, session) as viewer:
        assert viewer.works()
    assert time.monotonic() - begun < QUICK_SECONDS, "the portal is held up"
    other = str(kim.start_desktop()["id"])
    kim.end(other)
    kim.delete(f"/api/vnc/sessions/{other}")
