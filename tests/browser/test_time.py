"""The end of a desktop: warnings, more time, the stop of an idle one."""

from __future__ import annotations

import re
from datetime import datetime

from playwright.sync_api import Page, expect

from tests.browser.offers import own_desktop, presets
from tests.browser.screen import open_desktop, show_bar
from tests.browser.site import Person, Site

SOON = 800  # seconds: the warning at fifteen minutes is due at once
IDLE = {"name": "Short", "idle_stop_seconds": 60, "idle_cpu_percent": 1000}


def ends_in(person: Person, session: str) -> float:
    ends_at = datetime.fromisoformat(person.http.session(session)["ends_at"])
    return (ends_at - datetime.now(ends_at.tzinfo)).total_seconds()


def test_the_list_warns_and_extends(page: Page, person: Person) -> None:
    session = own_desktop(person, name="Nearly over", time_limit_seconds=SOON)
    page.goto("/desktops")
    notice = page.get_by_test_id("notices")
    expect(notice).to_contain_text(re.compile(r"Nearly over ends in 1\d min\. Save your work\."))
    expect(notice).to_have_attribute("aria-live", "polite")
    notice.get_by_role("button", name="Extend").click()
    dialog = page.get_by_test_id("extend-dialog")
    expect(dialog.get_by_test_id("extension")).to_have_count(4)
    dialog.get_by_text("2 hr more").click()
    dialog.get_by_test_id("extend-action").click()
    expect(dialog).to_be_hidden()
    expect(notice).to_contain_text("Nearly over now ends at")
    expect(notice).not_to_contain_text("Save your work")
    assert 7200 < ends_in(person, session) < 7200 + SOON
    expect(page.get_by_test_id("session").get_by_test_id("extend")).to_have_count(0)


def test_the_desktop_itself_warns_and_extends(page: Page, person: Person) -> None:
    session = own_desktop(person, time_limit_seconds=SOON)
    page.goto(f"/desktops/{session}")
    open_desktop(page)
    warning = page.get_by_test_id("end-warning")
    expect(warning).to_contain_text("Save your work")
    expect(page.get_by_test_id("said")).to_contain_text("Ends in 15 min. Save your work.")
    warning.get_by_test_id("extend").click()
    page.get_by_test_id("extend-dialog").get_by_text("As long as possible").click()
    page.get_by_test_id("extend-action").click()
    expect(warning).to_be_hidden()
    assert ends_in(person, session) > 20 * 3600
    show_bar(page)
    page.get_by_test_id("bar-menu").click()
    expect(page.get_by_role("menuitem", name="Share…")).to_be_visible()
    expect(page.get_by_role("menuitem", name="Extend")).to_have_count(0)  # it is the latest end already


def test_a_limit_of_time_is_said(site: Site, page: Page, person: Person) -> None:
    only = {"name": "Only", "time_limit_seconds": 600, "longest_time_limit_seconds": 600}
    with presets(site, only):
        own_desktop(person, name="No more")
        page.goto("/desktops")
        expect(page.get_by_test_id("notices")).to_contain_text("No more ends in")
        expect(page.get_by_test_id("notices").get_by_role("button", name="Extend")).to_have_count(0)


def test_an_idle_desktop_is_announced_and_kept(site: Site, page: Page, person: Person) -> None:
    with presets(site, IDLE):
        session = own_desktop(person, name="Forgotten")
        page.goto("/desktops")
        warning = page.get_by_test_id("idle-warning")
        expect(warning).to_contain_text(re.compile(r"It ends in \d+ sec, unless you keep it\."), timeout=60_000)
        expect(page.get_by_test_id("notices")).to_contain_text("Nobody has used this desktop for a while")
        warning.get_by_test_id("keep").click()
        expect(warning).to_be_hidden()
        expect(page.get_by_test_id("notices")).to_contain_text("Forgotten stays.")
        # Nobody keeps it the second time.
        expect(warning).to_be_visible(timeout=60_000)
        ended = person.http.until(session, "ended", seconds=60)
        assert ended["end_reason"] == "idle"
        page.get_by_role("button", name="Show 1 ended desktop").click()
        expect(page.get_by_test_id("ended-session")).to_contain_text("because nobody used it")
