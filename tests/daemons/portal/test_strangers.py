"""What people may not do over HTTP and WebSocket: reach into each other's desktops, come from other sites, stay on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.daemons.portal.conftest import ensure_running
from tests.support.people import Client, token_client
from tests.support.portal import PortalProcess
from tests.support.rfb import Viewer, close_code, open_socket, refusal
from tests.support.session import OnMachine

UNSAFE = ("post", "put", "patch", "delete")
FOREIGN = {"origin": "https://evil.example"}
# Answers before anybody is known.
ENTRANCE = ("/api/identity/sign-in", "/api/identity/links/redeem", "/api/vnc/shared")
# What operations on a session need to be understood at all.
BODIES: dict[str, dict[str, Any]] = {
    "extend": {"json": {"seconds": 60}},
    "shares": {"json": {"mode": "view", "expires_in_seconds": 60}},
    "answer": {"json": {"allow": True}},
    "content": {"content": b"x", "params": {"name": "x", "path": "x"}},
}
Browser = Callable[[str], Client]
Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module")
def operations(portal: PortalProcess) -> list[Operation]:
    """Method, path and description of every operation of the API."""
    ensure_running(portal)
    paths = httpx.get(f"{portal.url}/api/openapi.json").json()["paths"]
    return [(method, path, what) for path, methods in paths.items() for method, what in methods.items()]


def filled(path: str, session: str) -> str:
    for name in ("session_id", "person", "token", "preset_id", "share_id", "view_id"):
        path = path.replace(f"{{{name}}}", session)
    return path


def some_body(method: str, path: str, what: dict[str, Any]) -> dict[str, Any]:
    if (known := BODIES.get(path.rpartition("/")[2])) is not None and "{session_id}" in path:
        return known if method in UNSAFE else {key: value for key, value in known.items() if key == "params"}
    needed = [one["name"] for one in what.get("parameters", ()) if one["in"] == "query" and one.get("required")]
    asked: dict[str, Any] = {"params": dict.fromkeys(needed, "1")} if needed else {}
    if method == "patch":
        return asked | {"json": {"name": "mine now"}}
    return asked | {"json": {}} if method in UNSAFE else asked


def test_another_persons_session_is_not_there(operations: list[Operation], lee: Client, shared: OnMachine) -> None:
    asked = 0
    for method, path, what in operations:
        if "{session_id}" not in path:
            continue
        answer = lee.request(method, filled(path, shared.id), **some_body(method, path, what))
        assert (answer.status_code, answer.json()["code"]) == (404, "session_not_found"), (method, path)
        # The same as for one that never was: nobody learns what there is.
        unknown = lee.request(method, filled(path, "000000000000"), **some_body(method, path, what))
        assert unknown.status_code == 404
        assert unknown.text.replace("000000000000", shared.id) == answer.text
        asked += 1
    assert asked >= 4


def test_another_persons_door_is_not_there(portal: PortalProcess, lee: Client, shared: OnMachine) -> None:
    for session in (shared.id, "000000000000", "../vnc", "%00", shared.id + "/"):
        status, problem = refusal(f"{portal.ws_url}/vncproxy/{session}", lee.socket_headers)
        assert (status, problem["code"]) == (404, "session_not_found"), session


def test_notes_hold_what_every_database_can_store(kim: Client, shared: OnMachine) -> None:
    path = f"/api/vnc/sessions/{shared.id}"
    assert kim.patch(path, json={"notes": "one\n\ttwo\r\n세"}).json()["notes"] == "one\n\ttwo\r\n세"
    for bad in ("nul\0", "\x1b[2J", "\x7f"):
        for method, where in (("patch", path), ("post", "/api/vnc/sessions")):
            answer = kim.request(method, where, json={"notes": bad})
            assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, "notes"), bad


def test_an_administrator_sees_the_list_but_no_desktop(portal: PortalProcess, boss: Client, shared: OnMachine) -> None:
    assert shared.id not in {session["id"] for session in boss.sessions()}
    assert shared.id in {session["id"] for session in boss.sessions(all=True)}
    status, problem = refusal(f"{portal.ws_url}/vncproxy/{shared.id}", boss.socket_headers)
    assert (status, problem["code"]) == (404, "session_not_found")


def test_a_member_sees_only_their_own(lee: Client, shared: OnMachine) -> None:
    assert shared.id not in {session["id"] for session in lee.sessions(all=True)}


def test_nobody_gets_in_unknown(portal: PortalProcess, operations: list[Operation], shared: OnMachine) -> None:
    nobody = Client(portal.url, {})
    for headers in ({}, {"Authorization": "Bearer mdg_no_no"}, {"Cookie": "madang_sign_in=no.no"}):
        for method, path, what in operations:
            if not path.startswith("/api/") or path in ENTRANCE:
                continue
            answer = nobody.request(method, filled(path, shared.id), headers=headers, **some_body(method, path, what))
            assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in"), (method, path, what)
        for path in (f"/vncproxy/{shared.id}", "/api/live"):
            status, problem = refusal(portal.ws_url + path, headers | {"Origin": portal.url})
            assert (status, problem["code"]) == (401, "not_signed_in"), path


def test_a_foreign_origin_is_refused_everywhere(
    portal: PortalProcess, operations: list[Operation], browser: Browser, shared: OnMachine
) -> None:
    kim = browser("kim")
    for origin in ("https://evil.example", "null", f"{portal.url}.evil.example", "http://127.0.0.1:1"):
        for method, path, what in operations:
            if method in UNSAFE:
                answer = kim.request(
                    method, filled(path, shared.id), headers={"origin": origin}, **some_body(method, path, what)
                )
                assert answer.status_code in (403, 422), (method, path, answer.text)
                if answer.status_code == 403:
                    assert answer.json()["code"] == "foreign_origin", (method, path)
                else:
                    assert path in ENTRANCE, "only a body that cannot be read is refused before its origin"
        for path in (f"/vncproxy/{shared.id}", "/api/live"):
            status, problem = refusal(portal.ws_url + path, kim.socket_headers | {"Origin": origin})
            assert (status, problem["code"]) == (403, "foreign_origin"), (path, origin)
    assert kim.get("/api/identity/me").status_code == 200, "nothing was ended by it"


def test_a_socket_by_cookie_needs_an_origin(portal: PortalProcess, browser: Browser, shared: OnMachine) -> None:
    headers = browser("kim").socket_headers
    del headers["Origin"]
    for path in (f"/vncproxy/{shared.id}", "/api/live"):
        assert refusal(portal.ws_url + path, headers)[0] == 403


def test_a_foreign_origin_cannot_sign_in(portal: PortalProcess) -> None:
    bodies = ({"name": "kim", "password": "x"}, {"token": "x"}, {"token": "x"})
    for path, body in zip(ENTRANCE, bodies, strict=True):
        answer = httpx.post(portal.url + path, json=body, headers=FOREIGN)
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")


def test_without_the_right_csrf_token_nothing_changes(
    operations: list[Operation], browser: Browser, shared: OnMachine
) -> None:
    kim, others = browser("kim"), browser("lee").headers["x-csrf-token"]
    del kim.headers["x-csrf-token"]
    for token in (None, "", "wrong", others):
        headers = {} if token is None else {"x-csrf-token": token}
        for method, path, what in operations:
            if method in UNSAFE and path not in ENTRANCE:
                answer = kim.request(method, filled(path, shared.id), headers=headers, **some_body(method, path, what))
                assert (answer.status_code, answer.json()["code"]) == (403, "csrf_token_wrong"), (method, path)
    assert kim.session(shared.id)["state"] == "ready"


def test_without_an_origin_the_csrf_token_still_counts(browser: Browser) -> None:
    kim = browser("kim")
    del kim.headers["origin"]
    assert kim.post("/api/vnc/sessions", json={"width": 1}).status_code == 422
    del kim.headers["x-csrf-token"]
    assert kim.post("/api/vnc/sessions", json={"width": 1}).status_code == 403


@pytest.fixture
def looking(portal: PortalProcess, browser: Browser, shared: OnMachine) -> Iterator[tuple[Client, Viewer, Any]]:
    """Kim in a browser with an open desktop and a page that listens."""
    kim = browser("kim")
    live = open_socket(f"{portal.ws_url}/api/live", kim.socket_headers)
    with Viewer(kim, shared.id) as viewer:
        assert viewer.works()
        yield kim, viewer, live
    live.close()


@pytest.mark.parametrize("path", ["sign-out", "sign-out-everywhere"])
def test_signed_out_everything_closes(
    portal: PortalProcess, looking: tuple[Client, Viewer, Any], shared: OnMachine, path: str
) -> None:
    kim, viewer, live = looking
    assert kim.post(f"/api/identity/{path}").status_code == 204
    assert viewer.closed_with(3) == 4003
    assert close_code(live, 3) == 4003
    assert kim.get("/api/identity/me").status_code == 401
    assert refusal(f"{portal.ws_url}/vncproxy/{shared.id}", kim.socket_headers)[0] == 401


def test_signing_out_closes_only_that_browser(
    looking: tuple[Client, Viewer, Any], browser: Browser, shared: OnMachine
) -> None:
    _kim, viewer, _live = looking
    other = browser("kim")
    with Viewer(other, shared.id) as gone:
        other.post("/api/identity/sign-out")
        assert gone.closed_with(3) == 4003
    assert viewer.works()


def test_a_sign_in_that_is_ended_from_another_browser_closes(
    looking: tuple[Client, Viewer, Any], browser: Browser
) -> None:
    _kim, viewer, live = looking
    other = browser("kim")
    for sign_in in other.get("/api/identity/sign-ins").json():
        if not sign_in["current"]:
            assert other.delete(f"/api/identity/sign-ins/{sign_in['id']}").status_code == 204
    assert viewer.closed_with(3) == 4003
    assert close_code(live, 3) == 4003


def test_a_disabled_person_is_out_at_once(
    portal: PortalProcess,
    people: dict[str, Client],
    boss: Client,
    looking: tuple[Client, Viewer, Any],
    shared: OnMachine,
) -> None:
    kim, viewer, live = looking
    token = portal.by_token("kim")
    by_token = Viewer(token, shared.id)
    person = kim.get("/api/identity/me").json()["person"]["id"]
    assert boss.patch(f"/api/identity/people/{person}", json={"disabled": True}).status_code == 200
    try:
        assert viewer.closed_with(3) == 4003
        assert by_token.closed_with(3) == 4003
        assert close_code(live, 3) == 4003
        assert kim.get("/api/vnc/sessions").status_code == 401
        assert token.get("/api/vnc/sessions").status_code == 401
        assert refusal(f"{portal.ws_url}/vncproxy/{shared.id}", token.socket_headers)[0] == 401
    finally:
        assert boss.patch(f"/api/identity/people/{person}", json={"disabled": False}).status_code == 200
        people["kim"].headers["authorization"] = f"Bearer {portal.token_for('kim')}"


def test_a_sign_in_that_runs_out_closes(portal: PortalProcess, looking: tuple[Client, Viewer, Any]) -> None:
    kim, viewer, live = looking
    with portal.database() as database:
        sign_in = kim.cookies["madang_sign_in"].partition(".")[0]
        database.execute("UPDATE sign_ins SET expires_at = 1 WHERE id = ?", (sign_in,))
    assert viewer.closed_with(5) == 4003
    assert close_code(live, 5) == 4003


def test_a_revoked_token_is_out(portal: PortalProcess, browser: Browser, shared: OnMachine) -> None:
    kim = browser("kim")
    made = kim.post("/api/identity/tokens", json={"name": "short-lived", "expires_in_days": 1}).json()
    with token_client(portal.url, made["secret"]) as program, Viewer(program, shared.id) as viewer:
        assert viewer.works()
        assert kim.delete(f"/api/identity/tokens/{made['id']}").status_code == 204
        assert program.get("/api/vnc/sessions").status_code == 401
        assert viewer.closed_with(10) == 4003
