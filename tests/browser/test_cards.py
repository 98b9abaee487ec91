"""Cards: the picture of the desktop, charts, why it waits, what happened to it, repair, native clients."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import MakeContext
from tests.browser.inside import Inside
from tests.browser.offers import own_desktop, presets
from tests.browser.site import Person, Site
from tests.support.waiting import eventually

Json = dict[str, Any]


def test_a_card_shows_the_desktop_itself(page: Page, person: Person, go_inside: Callable[[str], Inside]) -> None:
    session = own_desktop(person, name="Picture")
    asked: list[str] = []
    page.on("request", lambda request: "/picture" in request.url and asked.append(request.url))
    page.goto("/desktops")
    thumbnail = page.get_by_test_id("thumbnail")
    expect(thumbnail).to_be_visible()
    size = thumbnail.evaluate("async image => { await image.decode(); return image.naturalWidth; }")
    assert size == 640
    expect(page.get_by_test_id("charts")).to_contain_text(re.compile(r"CPU.*%.*Memory.*MB", re.DOTALL))
    # Heartbeats go on drawing what was read of the last hour.
    expect(page.get_by_test_id("charts").locator("path.line")).to_have_count(2, timeout=10_000)
    assert session in asked[0]


def test_no_picture_is_taken_for_nobody(page: Page, person: Person) -> None:
    own_desktop(person, name="Unseen")
    asked: list[str] = []
    page.on("request", lambda request: "/picture" in request.url and asked.append(request.url))
    page.add_init_script("Object.defineProperty(document, 'visibilityState', { get: () => window.look ?? 'hidden' })")
    page.goto("/desktops")
    expect(page.get_by_test_id("session")).to_have_attribute("data-state", "ready")
    page.wait_for_timeout(1000)
    assert not asked
    page.evaluate("window.look = 'visible'; document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_test_id("thumbnail")).to_be_visible()


def with_changes(page: Page, session: str, changes: Json) -> None:
    """The page is told something of the session that is not so; a cluster would be needed for the real thing."""

    def answer(route: Route) -> None:
        found = route.fetch()
        body = [one | changes if one["id"] == session else one for one in found.json()]
        route.fulfill(response=found, body=json.dumps(body))

    page.route(re.compile(r"/api/vnc/sessions\?"), answer)
    page.route_web_socket(re.compile("/api/live"), lambda socket: None)


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


WAITS: Json = {
    "state": "waiting",
    "launcher": "slurm",
    "waiting": {"reason": "resources", "said": "Resources", "partition": "viz", "position": 4},
}


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en-GB", ["It waits for a free node.", "Partition viz.", "Expected at", "3 before it", "Waiting"]),
        (
            "ko-KR",
            [
                "빈 노드를 기다리고 있습니다.",
                "파티션은 viz입니다.",
                "시작될 것으로 보입니다",
                "앞에 3개가 있습니다",
                "대기 중",
            ],
        ),
    ],
)
def test_why_it_waits_is_said(
    site: Site, person: Person, open_browser: MakeContext, locale: str, words: list[str]
) -> None:
    session = own_desktop(person)
    page = open_browser(site, person, locale=locale).new_page()
    waiting = WAITS["waiting"] | {"expected_at": in_seconds(1800)}
    with_changes(page, session, WAITS | {"waiting": waiting})
    page.goto("/desktops")
    card = page.get_by_test_id("session")
    expect(card).to_have_attribute("data-state", "waiting")
    for word in words:
        expect(card).to_contain_text(word)
    card.get_by_role("button", name=re.compile("Cancel|취소")).click()
    expect(page.get_by_test_id("confirm")).to_contain_text(re.compile("leaves the queue|대기열에서 빠집니다"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"unknown_since": "2026-01-01T10:00:00Z", "unknown_reason": "scheduler"},
            "The scheduler has not answered since",
        ),
        ({"unknown_since": "2026-01-01T10:00:00Z", "unknown_reason": "agent"}, "Its agent has not reported."),
        ({"restarts": 1, "node": "w2"}, "Started anew on node w2: the first node was lost."),
    ],
)
def test_what_happened_to_it_is_said(page: Page, person: Person, changes: Json, words: str) -> None:
    session = own_desktop(person)
    with_changes(page, session, changes)
    page.goto("/desktops")
    expect(page.get_by_test_id("session")).to_contain_text(words)
    expected = "unknown" if changes.get("unknown_reason") == "agent" else "ready"
    expect(page.get_by_test_id("session")).to_have_attribute("data-state", expected)


def test_a_dead_window_manager_is_repaired(page: Page, person: Person, go_inside: Callable[[str], Inside]) -> None:
    session = own_desktop(person, name="Frozen")
    inside = go_inside(session)
    inside.open_terminal()
    inside.output("xfconf-query", "-c", "xfce4-session", "-p", "/general/SaveOnExit", "-n", "-t", "bool", "-s", "false")
    before = inside.output("pgrep", "-u", inside.account, "-x", "xfwm4")
    inside.output("pkill", "-KILL", "-u", inside.account, "-x", "xfwm4")
    page.goto("/desktops")
    page.get_by_test_id("session-menu").click()
    page.get_by_role("menuitem", name="Repair…").click()
    page.get_by_test_id("repair-action").click()
    expect(page.get_by_test_id("repaired")).to_be_visible(timeout=20_000)
    eventually(
        lambda: inside.output("pgrep", "-u", inside.account, "-x", "xfwm4") not in ("", before), 10, "no window manager"
    )
    assert "test-terminal" in inside.windows(), "a program was lost"


def test_a_native_client_is_let_in(site: Site, page: Page, person: Person) -> None:
    with presets(site, {"name": "Native", "native": True}):
        own_desktop(person, name="Native")
        page.goto("/desktops")
        page.get_by_test_id("session-menu").click()
        page.get_by_role("menuitem", name="Native client…").click()
        dialog = page.get_by_test_id("native-dialog")
        dialog.get_by_test_id("native-open").click()
        expect(dialog.get_by_test_id("native-password")).to_have_value(re.compile(r"^\S{8}$"))
        expect(dialog.get_by_test_id("native-command")).to_have_value(re.compile(r"^vncviewer -SecurityTypes=X509Vnc "))
        with page.expect_download() as coming:
            dialog.get_by_test_id("native-certificate").click()
        assert coming.value.suggested_filename.endswith(".pem")
