"""50 WebSockets whose clients are stopped, killed or stop reading: the portal goes on and gets rid of them."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.daemons.portal.conftest import Accounts, add_people
from tests.support.people import Client
from tests.support.portal import PortalProcess
from tests.support.rfb import Viewer
from tests.support.session import descriptors, memory
from tests.support.waiting import eventually

CROWD = Path(__file__).with_name("crowd.py")
COUNT = 50
MOST_BYTES_EACH = 3_000_000
# What the portal may have opened meanwhile for itself: connections to its database, three descriptors each.
SPARE = 15
# A ping, a stall, and what the kernel and a busy machine add.
GONE_SECONDS = 40


@pytest.fixture(scope="module")
def pinging(accounts: Accounts) -> Iterator[PortalProcess]:
    with PortalProcess(HTTP_PING_SECONDS="2.0", HTTP_STALL_SECONDS="3.0", VNC_START_SECONDS="25.0") as portal:
        add_people(portal, accounts)
        yield portal


@pytest.fixture(scope="module")
def asker(pinging: PortalProcess) -> Iterator[Client]:
    with pinging.by_token("kim") as client:
        yield client


@pytest.fixture(scope="module")
def session(asker: Client) -> Iterator[str]:
    session = str(asker.start_desktop()["id"])
    yield session
    asker.end(session)


@contextlib.contextmanager
def crowd(portal: PortalProcess, session: str, how: str) -> Iterator[subprocess.Popen[bytes]]:
    token = portal.token_for("kim")
    process = subprocess.Popen(
        [sys.executable, str(CROWD), portal.ws_url, token, session, str(COUNT), how], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("how", ["door", "live"])
@pytest.mark.parametrize("fate", ["stopped", "killed", "not reading"])
def test_abandoned(pinging: PortalProcess, asker: Client, session: str, how: str, fate: str) -> None:
    asker.sessions()
    before, size = descriptors(pinging.pid), memory(pinging.pid)
    with crowd(pinging, session, how) as process:
        # All of them were let in; on a busy machine the first may be gone again.
        if fate != "not reading":
            process.send_signal(signal.SIGSTOP if fate == "stopped" else signal.SIGKILL)
        began = time.monotonic()
        assert asker.get("/health").status_code == 200
        with Viewer(asker, session) as viewer:
            assert viewer.works()
        assert time.monotonic() - began < 10, "the portal is held up"
        assert memory(pinging.pid) - size < COUNT * MOST_BYTES_EACH
        if how == "live" and fate == "not reading":
            return  # its library still answers pings: it may stay
        eventually(
            lambda: descriptors(pinging.pid) <= before + SPARE,
            GONE_SECONDS,
            lambda: f"{descriptors(pinging.pid)} descriptors, {before} before",
        )
    none = 'madang_door_connections{service="vnc"} 0.0'
    eventually(lambda: none in asker.get("/metrics").text, 5, "connections are counted that are gone")
