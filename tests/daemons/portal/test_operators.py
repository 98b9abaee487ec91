"""What operators set while the site runs: presets, limits, the notice; what they read; and desktops that they end."""

from __future__ import annotations

import csv
import io
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from tests.daemons.portal.conftest import add_people, forget
from tests.support.people import Client
from tests.support.portal import PortalProcess
from tests.support.rfb import refusal
from tests.support.waiting import eventually

FILE = """\
[[preset]]
name = "Small"
width = 800
height = 600
time_limit_seconds = 600
longest_time_limit_seconds = 1200

[[preset]]
name = "Teachers"
roles = ["teacher"]
"""


@pytest.fixture(scope="module")
def site(accounts: Any) -> Iterator[PortalProcess]:
    with PortalProcess(VNC_POOL_SECONDS="0.5", VNC_IDLE_WARNING_SECONDS="4.0") as portal:
        add_people(portal, accounts)
        portal.add_person("olga", role="operator", account=accounts.lee)
        yield portal


@pytest.fixture(scope="module")
def olga(site: PortalProcess) -> Client:
    return site.by_token("olga")


@pytest.fixture(scope="module")
def member(site: PortalProcess) -> Client:
    return site.by_token("kim")


@pytest.fixture
def preset(olga: Client) -> Iterator[Any]:
    """Makes presets; they are removed afterwards."""
    made: list[str] = []

    def make(**values: Any) -> dict[str, Any]:
        answer = olga.post("/api/vnc/presets", json={"name": f"preset {len(made)}"} | values)
        assert answer.status_code == 201, answer.text
        made.append(answer.json()["id"])
        return dict(answer.json())

    yield make
    for one in made:
        olga.delete(f"/api/vnc/presets/{one}")


def options(client: Client) -> dict[str, Any]:
    return dict(client.get("/api/vnc/options").json())


def test_only_operators_set_and_read_what_is_theirs(site: PortalProcess, member: Client) -> None:
    asked = [
        member.get("/api/vnc/limits"),
        member.put("/api/vnc/limits", json={}),
        member.put("/api/vnc/notice", json={"text": "x"}),
        member.get("/api/vnc/usage"),
        member.get("/api/vnc/usage.csv"),
        member.get("/api/vnc/cluster"),
        member.post("/api/vnc/presets", json={"name": "x"}),
        member.put("/api/vnc/presets/standard", json={"name": "x"}),
        member.delete("/api/vnc/presets/standard"),
    ]
    assert [answer.status_code for answer in asked] == [403] * len(asked)
    assert [one["id"] for one in member.get("/api/vnc/presets?all=true").json()] == ["standard"]


def test_presets_come_from_a_file_and_a_second_time_nothing_changes(site: PortalProcess, member: Client) -> None:
    file = site.folder / "presets.toml"
    file.write_text(FILE)
    check = site.cli("presets", "apply", str(file), "--check", check=False)
    assert check.returncode == 1 and "+ Small" in check.stdout
    assert [one["name"] for one in options(member)["presets"]] == ["Standard"]
    assert "2 changed" in site.cli("presets", "apply", str(file)).stdout
    assert site.cli("presets", "apply", str(file)).stdout == "No changes.\n"
    assert site.cli("presets", "apply", str(file), "--check").returncode == 0
    assert [one["name"] for one in options(member)["presets"]] == ["Small"], "not those of teachers"
    exported = site.cli("presets", "export").stdout
    file.write_text(exported.replace("width = 800", "width = 1000"))
    assert "width: 800 -> 1000" in site.cli("presets", "apply", str(file)).stdout
    assert "Teachers" in site.cli("presets", "list").stdout
    file.write_text("[[preset]]\nname = 'x'\nwide = 1\n")
    refused = site.cli("presets", "apply", str(file), check=False)
    assert refused.returncode == 1 and "wide" in refused.stderr
    file.write_text("")
    assert "- Small" in site.cli("presets", "apply", str(file), "--remove").stdout
    assert [one["name"] for one in options(member)["presets"]] == ["Standard"]


def test_a_preset_is_started_from_and_remembered(site: PortalProcess, member: Client, preset: Any) -> None:
    small = preset(name="Small", width=800, height=600, time_limit_seconds=600, longest_time_limit_seconds=1200)
    other = preset(name="Other", position=1)
    started = member.ask(preset=small["id"], name="from small")
    try:
        assert (started["preset"]["name"], started["width"], started["time_limit_seconds"]) == ("Small", 800, 600)
        assert options(member)["chosen"]["preset"] == small["id"]
        ready = member.until(started["id"], "ready")
        longer = member.post(f"/api/vnc/sessions/{started['id']}/extend", json={"seconds": 600})
        assert longer.status_code == 200 and longer.json()["ends_at"] > ready["ends_at"]
        too_long = member.post(f"/api/vnc/sessions/{started['id']}/extend", json={"seconds": 60})
        assert (too_long.status_code, too_long.json()["code"]) == (422, "too_long")
        assert "It ends at" not in site.cli("desktops", "extend", started["id"], check=False).stdout
        assert member.post("/api/vnc/sessions", json={"preset": "nobody's"}).status_code == 404
    finally:
        forget(member, started["id"])
    assert other["version"] == 1


def test_limits_of_a_person_and_of_the_site(site: PortalProcess, olga: Client, member: Client) -> None:
    said = site.cli("limits", "--person", "kim=1", "--of-site", "2").stdout
    assert "kim: 1" in said and "whole site: 2" in said
    first = str(member.ask()["id"])
    lee = site.by_token("lee")
    others = [str(lee.ask()["id"])]
    try:
        assert options(member)["sessions_per_person"] == 1
        refused = member.post("/api/vnc/sessions", json={})
        assert (refused.status_code, refused.json()["code"]) == (409, "limit_reached")
        refused = lee.post("/api/vnc/sessions", json={})
        assert (refused.status_code, refused.json()["code"]) == (409, "site_full")
        assert olga.put("/api/vnc/limits", json={"sessions_of_site": 3}).status_code == 200
        several = lee.post("/api/vnc/sessions", json={"count": 5})
        assert several.status_code == 201 and len(several.json()) == 1, "as many as there was room for"
        others.append(several.json()[0]["id"])
    finally:
        assert olga.put("/api/vnc/limits", json={}).status_code == 200
        for client, session in ((member, first), *((lee, each) for each in others)):
            forget(client, session)
    assert olga.put("/api/vnc/limits", json={"people": [{"name": "a", "sessions": 1}] * 2}).status_code == 422


def test_the_notice_is_read_by_everybody_and_stops_new_desktops(
    site: PortalProcess, olga: Client, member: Client
) -> None:
    assert member.get("/api/vnc/notice").json() is None
    assert "점검" in site.cli("notice", "점검", "--from", "2100-01-01T00:00Z").stdout
    try:
        notice = options(member)["notice"]
        assert (notice["text"], notice["in_force"], notice["from"]) == ("점검", False, "2100-01-01T00:00:00.000Z")
        olga.put("/api/vnc/notice", json={"text": "Down until noon", "blocks_start": True})
        refused = member.post("/api/vnc/sessions", json={})
        assert (refused.status_code, refused.json()["code"]) == (503, "maintenance")
        assert refused.json()["detail"] == "Down until noon"
    finally:
        site.cli("notice", "")
    assert options(member)["notice"] is None


def test_an_operator_ends_a_desktop_and_its_person_reads_why(site: PortalProcess, olga: Client, member: Client) -> None:
    session = str(member.start_desktop()["id"])
    lee = site.by_token("lee")
    assert lee.post(f"/api/vnc/sessions/{session}/end", json={"message": "mine"}).status_code == 404
    assert session in {one["id"] for one in olga.sessions(all=True)}
    ended = olga.post(f"/api/vnc/sessions/{session}/end", json={"message": "The node is repaired."})
    assert ended.status_code == 202
    over = member.until(session, "ended")
    assert (over["end_reason"], over["end_message"]) == ("operator", "The node is repaired.")
    with site.database() as database:
        [row] = database.execute(
            "SELECT person_name, detail FROM audit WHERE action = 'desktop.end' AND object = ?", (session,)
        ).fetchall()
    assert row == ("olga", "of kim: The node is repaired.")
    forget(member, session)


def test_usage_is_told_per_person(site: PortalProcess, olga: Client, member: Client, preset: Any) -> None:
    one = preset(name="=Counted", time_limit_seconds=600)
    session = str(member.ask(preset=one["id"])["id"])
    member.until(session, "ready")
    forget(member, session)
    found = [row for row in olga.get("/api/vnc/usage").json() if row["preset"] == "=Counted"]
    assert [(row["person"], row["sessions"]) for row in found] == [("kim", 1)] and 0 < found[0]["hours"] < 0.1
    answer = olga.get("/api/vnc/usage.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert "'=Counted" in {row["preset"] for row in rows}, "no formula for a spreadsheet"
    assert site.cli("usage", "--csv").stdout.splitlines()[0] == answer.text.splitlines()[0]
    assert olga.get("/api/vnc/usage?from=2026-02-30").status_code == 422
    assert olga.get("/api/vnc/usage?from=2001-01-01&to=2001-01-31").json() == []


def test_a_click_takes_a_desktop_that_stands_ready(
    site: PortalProcess, olga: Client, member: Client, preset: Any
) -> None:
    assert site.by_cookie("kim").get("/api/identity/me").status_code == 200, "kim is here"
    one = preset(name="Quick", pool_size=1, people=["kim"], width=800, height=600)
    eventually(lambda: _pool(site, "ready") == 1, 20, lambda: f"no desktop stands ready\n{site.log[-3000:]}")
    [ready] = set(site.stored_sessions()) - {session["id"] for session in member.sessions()}
    for somebody in (member, olga):
        _assert_nobody_has_it(site, somebody, ready)
    taken = member.ask(preset=one["id"], name="mine", width=1024, height=700)
    try:
        assert (taken["id"], taken["state"], taken["name"]) == (ready, "ready", "mine")
        # It was made for nobody's window in particular: its screen takes the size asked for.
        member.until_true(
            ready,
            lambda now: now["pulse"] and (now["pulse"]["width"], now["pulse"]["height"]) == (1024, 700),
            5,
            "its screen has not the size that was asked for",
        )
        eventually(lambda: _pool(site, "ready") == 1, 20, "the pool is not filled again")
        changed = site.by_token("olga").put(f"/api/vnc/presets/{one['id']}", json=one | {"pool_size": 0})
        assert changed.status_code == 200
        eventually(lambda: len(list(site.sessions.glob("*"))) == 1, 15, "the pool is not emptied")
        assert member.session(ready)["state"] == "ready", "what was taken stays"
        assert {session["id"] for session in member.sessions(ended=True)} >= {ready}
        assert all(session["end_reason"] != "pool" for session in member.sessions(ended=True))
    finally:
        forget(member, ready)


def _assert_nobody_has_it(site: PortalProcess, somebody: Client, session: str) -> None:
    """Not even operators, who rule the pool by its preset, nor the person for whom it was made."""
    share = {"mode": "view", "expires_in_seconds": 60}
    asked = [("get", what, {}) for what in ("", "/views", "/shares", "/watchers", "/picture", "/files", "/log")]
    asked += [("post", what, {}) for what in ("/views", "/keep", "/repair", "/native")]
    asked += [("post", "/end", {"message": "x"}), ("post", "/extend", {"seconds": 60}), ("post", "/shares", share)]
    asked += [("patch", "", {"name": "x"}), ("delete", "", {})]
    for method, what, body in asked:
        answer = somebody.request(method, f"/api/vnc/sessions/{session}{what}", json=body or None)
        assert (answer.status_code, answer.json()["code"]) == (404, "session_not_found"), (method, what)
    assert refusal(f"{site.ws_url}/vncproxy/{session}", somebody.socket_headers)[0] == 404
    assert session not in {one["id"] for one in somebody.sessions(all=True)}


def _pool(site: PortalProcess, state: str) -> float:
    lines = [line for line in site.metrics() if line.startswith("madang_pool_desktops{") and f'"{state}"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def test_an_idle_desktop_is_warned_kept_and_stopped(site: PortalProcess, member: Client, preset: Any) -> None:
    one = preset(name="Idle", idle_stop_seconds=60, idle_cpu_percent=100_000)
    with site.database() as database:  # nobody has a minute here
        [(data,)] = database.execute("SELECT data FROM presets WHERE id = ?", (one["id"],)).fetchall()
        changed = json.dumps(json.loads(data) | {"idle_stop_seconds": 9}).encode()
        database.execute("UPDATE presets SET data = ? WHERE id = ?", (changed, one["id"]))
    session = str(member.start_desktop(preset=one["id"])["id"])
    warned = member.until_true(session, lambda s: s["idle_warned_at"], 20, "no warning")
    assert warned["state"] == "ready" and warned["idle_stop_seconds"] == 9
    kept = member.post(f"/api/vnc/sessions/{session}/keep")
    assert kept.status_code == 200 and kept.json()["idle_warned_at"] is None
    again = member.until_true(session, lambda s: s["idle_warned_at"], 20, "no second warning")
    assert again["kept_at"] > warned["idle_warned_at"]
    over = member.until(session, "ended", seconds=20)
    assert over["end_reason"] == "idle"
    forget(member, session)


def test_links_on_the_command_line(site: PortalProcess, member: Client) -> None:
    session = str(member.start_desktop()["id"])
    token = site.token_for("kim")
    try:
        made = site.cli("desktops", "share", session, "--label", "for lee", MADANG_TOKEN=token).stdout
        assert "/shared#" in made
        listed = site.cli("desktops", "shares", session, MADANG_TOKEN=token).stdout
        assert "for lee" in listed and "/shared#" not in listed
        share = member.get(f"/api/vnc/sessions/{session}/shares").json()[0]["id"]
        assert "Taken back" in site.cli("desktops", "unshare", session, share, MADANG_TOKEN=token).stdout
        assert "It ends at" in site.cli("desktops", "extend", session, MADANG_TOKEN=token).stdout
        assert "kept" in site.cli("desktops", "keep", session, MADANG_TOKEN=token).stdout
        site.cli("desktops", "note", session, "what it is for", MADANG_TOKEN=token)
        assert "what it is for" in site.cli("desktops", "list", MADANG_TOKEN=token).stdout
        assert member.get(f"/api/vnc/sessions/{session}/measures").json()["step_seconds"] == 60
        site.cli("desktops", "end", session, "--message", "done", MADANG_TOKEN=token)
        assert member.until(session, "ended")["end_message"] == "done"
    finally:
        forget(member, session)


def test_native_clients_of_somebody_who_is_disabled_are_cut_off(
    site: PortalProcess, accounts: Any, preset: Any
) -> None:
    """Whoever came in that way needs no sign-in any more; the programs go on."""
    person = site.add_person("nina", account=accounts.lee)
    nina, boss = site.by_token("nina"), site.by_token("boss")
    desktop = nina.start_desktop(preset=preset(native=True)["id"])
    try:
        opened = nina.post(f"/api/vnc/sessions/{desktop['id']}/native").json()
        assert _accepts(opened["port"])
        assert boss.patch(f"/api/identity/people/{person}", json={"disabled": True}).status_code == 200
        eventually(lambda: not _accepts(opened["port"]), 10, "a native client could still come in")
        assert site.stored(desktop["id"])["state"] == "ready"
    finally:
        boss.patch(f"/api/identity/people/{person}", json={"disabled": False})
        forget(site.by_token("nina"), desktop["id"])


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
    except ConnectionRefusedError:
        return False
    return True
