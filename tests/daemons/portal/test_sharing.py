"""Links to a desktop, and operators who ask to look: who gets in, what they can do there, and how they are shut out."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.daemons.portal.conftest import add_people, forget
from tests.support.people import Client
from tests.support.portal import PortalProcess
from tests.support.rfb import Viewer, close_code, open_socket, refusal

Browser = Callable[[str], Client]
HOUR = {"expires_in_seconds": 3600}
KEY_A = 0x61


@pytest.fixture(scope="module")
def site(accounts: Any) -> Iterator[PortalProcess]:
    """A portal that lets guests in by link, and asks again often whether they may stay."""
    with PortalProcess(VNC_SHARE_GUESTS="true", VNC_SHARE_ATTEMPTS="5") as portal:
        add_people(portal, accounts)
        portal.add_person("olga", role="operator", account=accounts.lee)
        yield portal


@pytest.fixture(scope="module")
def owner(site: PortalProcess) -> Client:
    return site.by_token("kim")


@pytest.fixture(scope="module")
def desktop(owner: Client) -> Iterator[str]:
    session = str(owner.start_desktop(name="shared")["id"])
    yield session
    forget(owner, session)


@pytest.fixture
def guest(site: PortalProcess) -> Iterator[Client]:
    with contextlib.closing(Client(site.url, {"origin": site.url})) as client:
        yield client


def make_link(owner: Client, session: str, **wish: Any) -> tuple[str, str]:
    """Id and token of a new link."""
    answer = owner.post(f"/api/vnc/sessions/{session}/shares", json=HOUR | {"mode": "view", "guests": True} | wish)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"], answer.json()["link"].partition("#")[2]


def enter(client: Client, token: str, **more: Any) -> httpx.Response:
    return client.post("/api/vnc/shared", json={"token": token} | more)


def watchers(owner: Client, session: str) -> list[dict[str, Any]]:
    answer = owner.get(f"/api/vnc/sessions/{session}/watchers")
    assert answer.status_code == 200
    return list(answer.json())


def typed(owner: Client, session: str, by: Viewer) -> bool:
    """Whether a key of this viewer reaches the desktop: the seconds without input begin anew."""
    time.sleep(2.2)  # so that nobody's input was a moment ago
    before = owner.session(session)["pulse"]["at"]
    by.key(KEY_A)
    seen = owner.until_true(session, lambda s: s["pulse"]["at"] > before, 10, "no heartbeat")
    seen = owner.until_true(session, lambda s: s["pulse"]["at"] > seen["pulse"]["at"], 10, "no heartbeat")
    return float(seen["pulse"]["idle_seconds"]) < 2.2


def test_a_guest_watches_and_cannot_type(site: PortalProcess, owner: Client, guest: Client, desktop: str) -> None:
    share, token = make_link(owner, desktop, label="for the class")
    answer = enter(guest, token, name="Gast 손님")
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["session"]["id"], shown["session"]["owner_name"], shown["mode"]) == (desktop, "kim", "view")
    cookie = answer.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Lax", f"Path=/vncproxy/{desktop}"))
    with Viewer(guest, desktop) as viewer:
        assert viewer.picture()
        [one] = watchers(owner, desktop)
        assert (one["name"], one["mode"], one["via"], one["share"], one["person"]) == (
            "Gast 손님", "view", "link", share, None,
        )  # fmt: skip
        [listed] = owner.get(f"/api/vnc/sessions/{desktop}/shares").json()
        assert (listed["id"], listed["watching"], listed["label"]) == (share, 1, "for the class")
        assert "link" not in listed and token not in json.dumps(listed)
        assert not typed(owner, desktop, viewer)
        assert viewer.picture(), "what was dropped has not confused anybody"
    assert owner.delete(f"/api/vnc/sessions/{desktop}/shares/{share}").status_code == 204


def test_a_link_for_control_lets_type_and_its_owner_type_too(
    site: PortalProcess, owner: Client, guest: Client, desktop: str
) -> None:
    share, token = make_link(owner, desktop, mode="control")
    enter(guest, token)
    with Viewer(guest, desktop) as viewer, Viewer(owner, desktop) as own:
        assert typed(owner, desktop, viewer)
        assert own.works()
        assert {one["via"] for one in watchers(owner, desktop)} == {"owner", "link"}
    owner.delete(f"/api/vnc/sessions/{desktop}/shares/{share}")


def test_a_link_that_is_taken_back_while_watched_shuts_out_at_once(
    site: PortalProcess, owner: Client, guest: Client, desktop: str
) -> None:
    share, token = make_link(owner, desktop)
    kept, kept_token = make_link(owner, desktop)
    enter(guest, token)
    viewer = Viewer(guest, desktop)
    begun = time.monotonic()
    assert owner.delete(f"/api/vnc/sessions/{desktop}/shares/{share}").status_code == 204
    assert viewer.closed_with(3) == 4003
    assert time.monotonic() - begun < 1
    status, problem = refusal(f"{site.ws_url}/vncproxy/{desktop}", guest.socket_headers)
    assert (status, problem["code"]) == (401, "not_signed_in")
    assert enter(guest, token).json()["code"] == "share_invalid"
    assert enter(guest, kept_token).status_code == 200, "the other link is good"
    assert owner.delete(f"/api/vnc/sessions/{desktop}/shares/{share}").status_code == 404
    owner.delete(f"/api/vnc/sessions/{desktop}/shares/{kept}")


def test_a_link_that_runs_out_ends_at_its_moment(
    site: PortalProcess, owner: Client, guest: Client, desktop: str
) -> None:
    share, token = make_link(owner, desktop)
    with site.database() as database:
        database.execute("UPDATE shares SET expires_at = ? WHERE id = ?", (time.time() + 2, share))
    enter(guest, token)
    viewer = Viewer(guest, desktop)
    begun = time.monotonic()
    assert viewer.closed_with(5) == 4003
    assert time.monotonic() - begun < 3
    assert enter(guest, token).json()["code"] == "share_invalid"
    assert owner.get(f"/api/vnc/sessions/{desktop}/shares").json() == []


def test_a_cookie_lets_in_nowhere_else(site: PortalProcess, owner: Client, guest: Client, desktop: str) -> None:
    share, token = make_link(owner, desktop)
    enter(guest, token)
    value = guest.cookies[f"madang_share_{desktop}"]
    other = str(owner.ask(name="other")["id"])
    try:
        for name, shown in ((other, value), (desktop, value[:-2] + "xx"), (desktop, "x.y"), (desktop, "")):
            headers = {"Cookie": f"madang_share_{name}={shown}", "Origin": site.url}
            assert refusal(f"{site.ws_url}/vncproxy/{name}", headers)[0] == 401, shown
        foreign = {"Cookie": f"madang_share_{desktop}={value}", "Origin": "https://evil.example"}
        assert refusal(f"{site.ws_url}/vncproxy/{desktop}", foreign)[0] == 403
        assert guest.get(f"/api/vnc/sessions/{desktop}").status_code == 401, "it opens the door, nothing else"
    finally:
        owner.until(other, "ready")
        forget(owner, other)
        owner.delete(f"/api/vnc/sessions/{desktop}/shares/{share}")


def test_a_link_without_guests_asks_to_sign_in(site: PortalProcess, owner: Client, guest: Client, desktop: str) -> None:
    share, token = make_link(owner, desktop, guests=False)
    answer = enter(guest, token)
    assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_needed")
    lee = site.by_cookie("lee")
    assert enter(lee, token).status_code == 200
    viewer = Viewer(lee, desktop)
    [one] = watchers(owner, desktop)
    assert (one["name"], one["via"]) == ("lee", "link") and one["person"]
    without_sign_in = {"Cookie": f"madang_share_{desktop}={lee.cookies[f'madang_share_{desktop}']}", "Origin": site.url}
    assert refusal(f"{site.ws_url}/vncproxy/{desktop}", without_sign_in)[0] == 401
    lee.post("/api/identity/sign-out")
    assert viewer.closed_with(5) == 4003
    owner.delete(f"/api/vnc/sessions/{desktop}/shares/{share}")


def test_only_a_page_of_this_site_shows_a_link(site: PortalProcess, owner: Client, desktop: str) -> None:
    share, token = make_link(owner, desktop)
    for headers in ({}, {"origin": "https://evil.example"}, {"origin": "null"}):
        answer = httpx.post(f"{site.url}/api/vnc/shared", json={"token": token}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
    owner.delete(f"/api/vnc/sessions/{desktop}/shares/{share}")


def test_nobody_elses_links_are_there(site: PortalProcess, owner: Client, desktop: str) -> None:
    share, _token = make_link(owner, desktop)
    for name in ("lee", "boss", "olga"):
        other = site.by_token(name)
        path = f"/api/vnc/sessions/{desktop}"
        answers = [
            other.get(f"{path}/shares"),
            other.post(f"{path}/shares", json=HOUR | {"mode": "view"}),
            other.delete(f"{path}/shares/{share}"),
            other.get(f"{path}/watchers"),
        ]
        assert [answer.status_code for answer in answers] == [404] * 4, name
    own = site.by_token("lee")
    mine = str(own.ask()["id"])
    try:
        assert own.delete(f"/api/vnc/sessions/{mine}/shares/{share}").status_code == 404
    finally:
        own.until(mine, "ready")
        forget(own, mine)
    owner.delete(f"/api/vnc/sessions/{desktop}/shares/{share}")


def test_a_link_is_kept_as_a_hash_and_bounded(site: PortalProcess, owner: Client, desktop: str) -> None:
    share, token = make_link(owner, desktop)
    with site.database() as database:
        assert token not in str(database.execute("SELECT * FROM shares").fetchall())
        assert token not in str(database.execute("SELECT * FROM audit").fetchall())
        actions = [row[0] for row in database.execute("SELECT action FROM audit WHERE object = ?", (desktop,))]
    assert "desktop.shared" in actions and token not in site.log
    for wish in ({"expires_in_seconds": 168 * 3600 + 1}, {"mode": "all"}, {"label": "a\nb"}):
        answer = owner.post(f"/api/vnc/sessions/{desktop}/shares", json=HOUR | {"mode": "view"} | wish)
        assert answer.status_code == 422, wish
    owner.delete(f"/api/vnc/sessions/{desktop}/shares/{share}")


def test_the_command_line_asks_to_look_and_answers(site: PortalProcess, desktop: str) -> None:
    asked = site.cli("desktops", "look", desktop, "--wait-seconds", "0", check=False, MADANG_PERSON="olga")
    assert (asked.returncode, "no answer yet" in asked.stdout) == (1, True), asked
    owner = site.by_token("kim")
    view = next(one["id"] for one in owner.get(f"/api/vnc/sessions/{desktop}/views").json() if one["state"] == "asked")
    assert view in site.cli("desktops", "looks", desktop, MADANG_PERSON="kim").stdout
    answer = ("desktops", "answer", desktop, view)
    assert "may look until" in site.cli(*answer, "--allow", "--minutes", "5", MADANG_PERSON="kim").stdout
    allowed = site.cli("desktops", "look", desktop, MADANG_PERSON="olga")
    assert f"/desktops/{desktop}/look/{view}" in allowed.stdout
    assert owner.delete(f"/api/vnc/sessions/{desktop}/views/{view}").status_code == 204


def test_an_operator_looks_with_consent_only(site: PortalProcess, desktop: str) -> None:
    owner, olga = site.by_token("kim"), site.by_cookie("olga")
    door, path = f"{site.ws_url}/vncproxy/{desktop}", f"/api/vnc/sessions/{desktop}/views"
    live = open_socket(f"{site.ws_url}/api/live", owner.socket_headers)
    asked = olga.post(path)
    assert (asked.status_code, asked.json()["state"]) == (201, "asked")
    view = asked.json()["id"]
    assert olga.post(path).json()["id"] == view, "asked again it is the same question"
    assert refusal(door, olga.socket_headers)[0] == 404
    heard = _hear(live, "vnc.view")
    assert (heard["view"]["id"], heard["view"]["by"]) == (view, "olga")
    assert [one["id"] for one in owner.get(path).json()] == [view]
    for client in (olga, site.by_token("lee"), site.by_token("boss")):
        answer = client.post(f"{path}/{view}/answer", json={"allow": True})
        assert answer.status_code == 404, "nobody else consents"
    assert site.by_token("lee").post(path).status_code == 404
    assert owner.post(path).status_code in (404, 409)
    assert owner.post(f"{path}/{view}/answer", json={"allow": True, "minutes": 5}).json()["state"] == "active"
    assert olga.get(f"{path}/{view}").json()["state"] == "active"
    viewer = Viewer(olga, desktop)
    assert viewer.picture()
    assert not typed(owner, desktop, viewer)
    assert [(one["via"], one["mode"]) for one in watchers(owner, desktop)] == [("operator", "view")]
    assert owner.delete(f"{path}/{view}").status_code == 204
    assert viewer.closed_with(3) == 4003
    assert refusal(door, olga.socket_headers)[0] == 404
    with site.database() as database:
        actions = {row[0] for row in database.execute("SELECT action FROM audit WHERE object = ?", (desktop,))}
    assert {"desktop.view.asked", "desktop.view.allowed", "desktop.view.ended"} <= actions
    live.close()


def test_an_operator_who_is_refused_stays_outside(site: PortalProcess, owner: Client, desktop: str) -> None:
    olga, path = site.by_cookie("olga"), f"/api/vnc/sessions/{desktop}/views"
    view = olga.post(path).json()["id"]
    assert owner.post(f"{path}/{view}/answer", json={"allow": False}).json()["state"] == "refused"
    assert owner.post(f"{path}/{view}/answer", json={"allow": True}).status_code == 409
    assert olga.get(f"{path}/{view}").json()["state"] == "refused"
    assert refusal(f"{site.ws_url}/vncproxy/{desktop}", olga.socket_headers)[0] == 404


def test_the_owner_hears_who_comes_and_goes(site: PortalProcess, owner: Client, guest: Client, desktop: str) -> None:
    share, token = make_link(owner, desktop)
    enter(guest, token, name="anna")
    live = open_socket(f"{site.ws_url}/api/live", owner.socket_headers)
    viewer = Viewer(guest, desktop)
    assert [one["name"] for one in _hear(live, "vnc.watchers")["watchers"]] == ["anna"]
    viewer.socket.close()
    assert _hear(live, "vnc.watchers")["watchers"] == []
    live.close()
    owner.delete(f"/api/vnc/sessions/{desktop}/shares/{share}")


def test_guessing_links_is_slowed_down_and_good_ones_are_not(
    site: PortalProcess, owner: Client, guest: Client, desktop: str
) -> None:
    codes = [enter(guest, f"wrong-{number}").status_code for number in range(12)]
    assert codes[-1] == 429
    assert float(enter(guest, "wrong").headers["retry-after"]) > 1
    share, token = make_link(owner, desktop)
    assert enter(guest, token).status_code == 200
    owner.delete(f"/api/vnc/sessions/{desktop}/shares/{share}")


def test_a_site_that_wants_no_guests_makes_no_such_links(kim: Client, start: Callable[..., Any]) -> None:
    session = start().id
    answer = kim.post(f"/api/vnc/sessions/{session}/shares", json=HOUR | {"mode": "view", "guests": True})
    assert (answer.status_code, answer.json()["code"]) == (403, "guests_not_allowed")
    made = kim.post(f"/api/vnc/sessions/{session}/shares", json=HOUR | {"mode": "view"})
    assert made.status_code == 201
    kim.end(session)
    again = kim.post(f"/api/vnc/sessions/{session}/shares", json=HOUR | {"mode": "view"})
    assert (again.status_code, again.json()["code"]) == (409, "not_running")


def _hear(live: Any, kind: str, seconds: float = 5) -> dict[str, Any]:
    """The next live event of this kind."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        said = json.loads(live.recv(left))
        if said["type"] == kind:
            return dict(said)
    raise AssertionError(f"no {kind} was heard")


def test_who_is_disabled_shares_nothing_any_more(site: PortalProcess, guest: Client, accounts: Any) -> None:
    site.add_person("nina", account=accounts.lee)
    with site.by_token("nina") as nina:
        session = str(nina.start_desktop()["id"])
        _, token = make_link(nina, session, mode="control")
    assert enter(guest, token).status_code == 200
    url = f"{site.ws_url}/vncproxy/{session}"
    name = f"madang_share_{session}"
    cookie = {"Cookie": f"{name}={guest.cookies[name]}", "Origin": site.url}
    socket = open_socket(url, cookie, subprotocols=["binary"])
    try:
        site.cli("people", "disable", "nina")
        assert close_code(socket, 5) == 4003
    finally:
        socket.close()
    assert refusal(url, cookie)[0] == 401
    # The second, when other tests of this portal have guessed too often.
    assert enter(guest, token).json()["code"] in ("share_invalid", "too_many_attempts")
    # Only for so long: the desktop itself, and its links, are as they were.
    site.cli("people", "enable", "nina")
    assert enter(guest, token).status_code == 200
    with site.by_token("nina") as nina:
        forget(nina, session)
