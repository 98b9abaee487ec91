"""Links, who looks, and operators' views with two portals: what is said at one holds at the other."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tests.support.pair import Pair
from tests.support.people import Client
from tests.support.rfb import Viewer, open_socket
from tests.support.session import OnMachine
from tests.support.waiting import eventually

Kim = tuple[Client, Client]
Start = Callable[..., OnMachine]
LINK = {"mode": "view", "expires_in_seconds": 600}


def _hear(live: Any, kind: str, what: Callable[[dict[str, Any]], object], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        said = json.loads(live.recv(left))
        if said["type"] == kind and what(said):
            return
    raise AssertionError(f"no such {kind} was heard")


def test_a_link_of_one_is_good_at_the_other_and_taken_back_at_both(both: Pair, kim: Kim, start: Start) -> None:
    desktop = start()
    path = f"/api/vnc/sessions/{desktop.id}"
    made = kim[0].post(f"{path}/shares", json=LINK).json()
    boss = both.b.by_cookie("boss")
    live = open_socket(f"{both.a.ws_url}/api/live", kim[0].socket_headers)
    answer = boss.post("/api/vnc/shared", json={"token": made["link"].partition("#")[2]})
    assert answer.status_code == 200, answer.text
    viewer = Viewer(boss, desktop.id)
    _hear(live, "vnc.watchers", lambda said: [one["name"] for one in said["watchers"]] == ["boss"])
    for client in kim:
        [one] = client.get(f"{path}/watchers").json()
        assert (one["via"], one["mode"], one["share"]) == ("link", "view", made["id"])
        assert client.get(f"{path}/shares").json()[0]["watching"] == 1
    begun = time.monotonic()
    assert kim[0].delete(f"{path}/shares/{made['id']}").status_code == 204
    assert viewer.closed_with(5) == 4003
    assert time.monotonic() - begun < 2
    eventually(lambda: kim[0].get(f"{path}/watchers").json() == [], 5, "still looked at")
    live.close()


def test_who_looked_through_a_killed_portal_is_gone(both: Pair, kim: Kim, start: Start) -> None:
    desktop = start()
    Viewer(kim[1], desktop.id)
    path = f"/api/vnc/sessions/{desktop.id}/watchers"
    eventually(lambda: len(kim[0].get(path).json()) == 1, 5, "nobody looks")
    both.b.kill()
    try:
        eventually(lambda: kim[0].get(path).json() == [], 25, "still there")
    finally:
        both.start()


def test_consent_given_at_one_lets_look_at_the_other(both: Pair, kim: Kim, start: Start) -> None:
    desktop = start()
    path = f"/api/vnc/sessions/{desktop.id}/views"
    boss = both.b.by_cookie("boss")
    view = boss.post(path).json()["id"]
    assert kim[0].post(f"{path}/{view}/answer", json={"allow": True}).json()["state"] == "active"
    viewer = Viewer(boss, desktop.id)
    assert viewer.picture()
    assert kim[0].delete(f"{path}/{view}").status_code == 204
    assert viewer.closed_with(5) == 4003


def test_what_operators_say_at_one_is_so_at_the_other(both: Pair, kim: Kim) -> None:
    live = open_socket(f"{both.b.ws_url}/api/live", kim[1].socket_headers)
    boss = both.a.by_token("boss")
    assert boss.put("/api/vnc/notice", json={"text": "Down at noon"}).status_code == 200
    _hear(live, "vnc.notice", lambda said: said["notice"]["text"] == "Down at noon")
    assert kim[1].get("/api/vnc/options").json()["notice"]["text"] == "Down at noon"
    boss.put("/api/vnc/notice", json={"text": ""})
    made = boss.post("/api/vnc/presets", json={"name": "Shown at both"}).json()
    _hear(live, "vnc.presets", lambda _said: True)
    assert [one["name"] for one in kim[1].get("/api/vnc/presets").json()] == ["Shown at both"]
    assert boss.delete(f"/api/vnc/presets/{made['id']}").status_code == 204
    live.close()
