"""The link on which agents report, against those who are no agents or bad ones."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.people import Client
from tests.support.portal import PortalProcess
from tests.support.rfb import close_code, open_socket, refusal
from tests.support.session import OnMachine
from websockets.exceptions import ConnectionClosed

SECRET = "known to this test"
_numbers = itertools.count()
STRANGE: list[dict[str, Any]] = [
    {"pid": 2**80},
    {"pid": -1},
    {"pid_started": 2**70},
    {"display": 2**70},
    {"display": -5},
    {"node": "n" * 100_000},
    {"end_reason": "r" * 100_000, "state": "ending"},
    {"stages": [{"name": "s" * 50, "started_at": 1e300, "seconds": None}]},
    {"stages": [{"name": "desktop", "started_at": -1e18, "seconds": 1e308}] * 2000},
    {"pulse": {"at": 1e300}},
    {"pulse": {"at": -1e300, "idle_seconds": 1e308, "memory_bytes": 2**80}},
    {"failure": {"code": "c" * 5000, "title": "t" * 100_000, "detail": "\u0000\ud7ff", "hint": ""}, "state": "failed"},
]


@pytest.fixture
def impostor(portal: PortalProcess, shared: OnMachine) -> Iterator[str]:
    """A session whose agent this test is. Each has an id of its own: what was launched meanwhile is counted by it."""
    session = f"impostor{next(_numbers):04}"
    row = portal.stored(shared.id) | {
        "id": session,
        "pid": None,
        "pid_started": None,
        "display": None,
        "folder": None,
        "agent_secret_hash": hashlib.sha256(SECRET.encode()).hexdigest(),
    }
    with portal.database() as database:
        names = ", ".join(row)
        database.execute(f"INSERT INTO sessions ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))
    yield session
    with portal.database() as database:
        database.execute("DELETE FROM sessions WHERE id = ?", (session,))


def agents_url(portal: PortalProcess, session: str) -> str:
    return f"{portal.ws_url}/api/vnc/agents/{session}"


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_who_is_no_agent_is_refused(portal: PortalProcess, kim: Client, shared: OnMachine) -> None:
    for headers in ({}, bearer("wrong"), bearer(""), kim.socket_headers):
        status, problem = refusal(agents_url(portal, shared.id), headers)
        assert (status, problem["code"]) == (401, "agent_unknown")
    assert refusal(agents_url(portal, "000000000000"), bearer("wrong"))[0] == 404
    assert kim.session(shared.id)["state"] == "ready"


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"state":"paused"}', '{"pid":"1"}', "[" * 100_000])
def test_garbage_is_refused(portal: PortalProcess, impostor: str, text: str) -> None:
    link = open_socket(agents_url(portal, impostor), bearer(SECRET))
    link.send(text)
    assert close_code(link, 5) == 1008


def test_a_giant_message_is_refused(portal: PortalProcess, kim: Client, impostor: str) -> None:
    link = open_socket(agents_url(portal, impostor), bearer(SECRET))
    with pytest.raises(ConnectionClosed) as caught:
        link.send(b'{"state":"' + b"x" * 40_000_000)
        while True:
            link.recv(5)
    assert caught.value.rcvd is None or caught.value.rcvd.code in (1008, 1009)
    assert kim.get("/ready").status_code == 200


@pytest.mark.parametrize("strange", STRANGE, ids=lambda strange: "-".join(strange))
def test_a_strange_report_harms_nobody(
    portal: PortalProcess, kim: Client, impostor: str, strange: dict[str, Any]
) -> None:
    before = len(portal.log)
    report = {"state": "ready", "pid": 0, "pid_started": 0, "node": "node"} | strange
    link = open_socket(agents_url(portal, impostor), bearer(SECRET))
    with contextlib.suppress(TimeoutError, ConnectionClosed):
        link.send(json.dumps(report))
        link.send(json.dumps(report))
        link.recv(0.5)
    assert impostor in {session["id"] for session in kim.sessions()}
    assert kim.get(f"/api/vnc/sessions/{impostor}").status_code == 200
    said = portal.log[before:]
    assert "Traceback" not in said, said
    link.close()


def test_who_reports_without_pause_keeps_nobody_waiting(portal: PortalProcess, kim: Client, impostor: str) -> None:
    said = json.dumps({"state": "ready", "pulse": {"at": 1.0}})
    stop = threading.Event()

    def flood() -> None:
        with open_socket(agents_url(portal, impostor), bearer(SECRET)) as socket:
            while not stop.is_set():
                try:
                    socket.send(said)
                except ConnectionClosed:
                    return

    flooding = threading.Thread(target=flood, daemon=True)
    flooding.start()
    try:
        time.sleep(1)
        slowest = 0.0
        for _ in range(10):
            begun = time.monotonic()
            assert kim.get("/api/vnc/options").status_code == 200
            slowest = max(slowest, time.monotonic() - begun)
        assert slowest < 0.5
    finally:
        stop.set()
        with open_socket(agents_url(portal, impostor), bearer(SECRET)):  # which ends the old connection
            flooding.join(10)
    assert not flooding.is_alive()
