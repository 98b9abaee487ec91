"""What an operator does and gets wrong: claims, ports, settings, one process a service."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.daemons.portal.conftest import Accounts, add_people, forget
from tests.support.people import Client, token_client
from tests.support.portal import MADANG, PortalProcess
from tests.support.rfb import Viewer, close_code, open_socket
from tests.support.waiting import eventually


@pytest.fixture
def idle() -> Iterator[PortalProcess]:
    """A portal that is not started."""
    portal = PortalProcess()
    yield portal
    portal.close()


def up(portal: PortalProcess, **variables: str) -> str:
    """`madang up` that has to end with 1 by itself; what it said."""
    done = subprocess.run(
        [MADANG, "up"],
        env=portal.environment | variables,
        cwd=portal.folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_claims_are_printed(idle: PortalProcess) -> None:
    said = idle.cli("claims").stdout
    for part in (
        f"{idle.first_display}-{idle.last_display}",
        "vnc:session:*",
        str(idle.sessions),
        "/vncproxy/",
        "5900",
    ):
        assert part in said, said


def test_claims_that_overlap_are_refused(idle: PortalProcess, tmp_path: Path) -> None:
    """A second service that takes the same display range, as a site with its own slice might have."""
    (tmp_path / "sitecustomize.py").write_text(OVERLAPPING)
    clash = {"PYTHONPATH": str(tmp_path)}
    done = idle.cli("claims", check=False, **clash)
    assert done.returncode == 1
    assert "Both claim the same" in done.stderr and "other: display" in done.stderr
    said = up(idle, **clash)
    assert "claim the same" in said and "madang claims" in said


OVERLAPPING = """
import madang.services as services
from madang.kernel.claims import Claim, Range
from madang.kernel.ground import Parts, Service
taken = Claim("other", "display", Range(1, 999))
other = Service("other", "takes what vnc has", lambda ground: Parts(), claims=lambda settings: [taken])
services.SERVICES = (*services.SERVICES, other)
"""


def test_a_port_that_is_taken(idle: PortalProcess) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", idle.port))
        taken.listen()
        said = up(idle)
    assert f"127.0.0.1:{idle.port}" in said and "http.port" in said


@pytest.mark.parametrize(
    ("variables", "file", "words"),
    [
        ({"MADANG_HTTP_PORT": "eighty"}, "", ["MADANG_HTTP_PORT", "'eighty'", "whole number", "65535"]),
        ({}, "[vnc]\nsilent_seconds = -1\n", ["madang.toml", "[vnc] silent_seconds", "-1", "more than 0"]),
        ({}, "[vnc]\nsilent_second = 5\n", ["madang.toml", "silent_second", "silent_seconds"]),
    ],
)
def test_a_wrong_setting_is_named(idle: PortalProcess, variables: dict[str, str], file: str, words: list[str]) -> None:
    (idle.folder / "madang.toml").write_text(file)
    idle.environment = {key: value for key, value in idle.environment.items() if key != "MADANG_VNC_SILENT_SECONDS"}
    said = up(idle, **variables)
    for word in words:
        assert word in said, said


def test_a_state_folder_that_cannot_be_used(idle: PortalProcess) -> None:
    idle.state.write_text("a file")
    assert str(idle.state) in up(idle)


def test_the_doctor(idle: PortalProcess) -> None:
    assert "vnc" in idle.cli("doctor").stdout
    done = idle.cli("doctor", check=False, PATH=os.fspath(idle.folder))
    assert done.returncode == 1
    assert "Xvnc" in done.stdout and "apt-get install" in done.stdout and "tigervnc-standalone-server" in done.stdout


def test_settings_in_force(idle: PortalProcess) -> None:
    assert str(idle.port) in idle.cli("settings").stdout


@pytest.fixture(scope="module")
def pair(accounts: Accounts) -> Iterator[tuple[PortalProcess, PortalProcess]]:
    """`madang serve identity` and `madang serve vnc` on one state."""
    with PortalProcess("serve", "identity") as first:
        second = PortalProcess("serve", "vnc", folder=first.folder, VNC_START_SECONDS="25.0")
        with second:
            add_people(first, accounts)
            yield first, second


def test_two_processes_work_together(pair: tuple[PortalProcess, PortalProcess]) -> None:
    identity, vnc = pair
    kim = identity.by_cookie("kim")
    headers = dict(kim.headers) | {"origin": vnc.url, "cookie": kim.socket_headers["Cookie"]}
    at_vnc = Client(vnc.url, {key: value for key, value in headers.items() if key != "host"})
    assert kim.get("/api/vnc/sessions").status_code == 404, "each serves its own"
    assert at_vnc.get("/api/identity/me").status_code == 404
    live = open_socket(f"{identity.ws_url}/api/live", kim.socket_headers)
    session = at_vnc.start_desktop()["id"]
    heard = eventually(lambda: hear(live, session), 10, "events do not cross")
    assert heard["type"] == "vnc.session"
    socket_headers = {"Cookie": kim.socket_headers["Cookie"], "Origin": vnc.url}
    door = open_socket(f"{vnc.ws_url}/vncproxy/{session}", socket_headers)
    assert kim.post("/api/identity/sign-out").status_code == 204
    assert close_code(door, 5) == 4003, "the sign-out crosses"
    assert close_code(live, 5) == 4003
    with token_client(vnc.url, identity.token_for("kim")) as again:
        forget(again, session)


def hear(live: object, session: str) -> dict[str, object] | None:
    event = json.loads(live.recv(5))  # type: ignore[attr-defined]
    return event if event.get("session", {}).get("id") == session else None


def test_one_goes_on_without_the_other(pair: tuple[PortalProcess, PortalProcess]) -> None:
    identity, vnc = pair
    token = identity.token_for("kim")
    with token_client(vnc.url, token) as at_vnc, token_client(identity.url, token) as at_identity:
        session = at_vnc.start_desktop()["id"]
        identity.kill()
        with Viewer(at_vnc, session) as viewer:
            assert viewer.works()
        assert at_vnc.sessions()[0]["state"] == "ready"
        identity.start()
        vnc.kill()
        assert at_identity.get("/api/identity/me").json()["person"]["name"] == "kim"
        vnc.start()
        with Viewer(at_vnc, session) as viewer:
            assert viewer.works()
        forget(at_vnc, session)


def test_stopping_ends_no_desktop_and_is_quick(accounts: Accounts) -> None:
    with PortalProcess(VNC_START_SECONDS="25.0") as portal:
        add_people(portal, accounts)
        with portal.by_token("kim") as kim:
            session = kim.start_desktop()["id"]
            live = open_socket(f"{portal.ws_url}/api/live", kim.socket_headers)
            with Viewer(kim, session) as viewer:
                assert portal.stop(8) == 0
                assert viewer.closed_with(2) == 1012
            live.close()
            portal.start()
            assert kim.session(session)["state"] == "ready"
            kim.end(session)
