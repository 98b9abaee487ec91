"""Choosing what to start: presets, what was chosen last, several at once, names and notes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import MakeContext
from tests.browser.offers import presets
from tests.browser.screen import open_desktop
from tests.browser.site import Person, Site

SMALL: dict[str, Any] = {"name": "Small", "description": "For a quick look.", "cpus": 2, "memory_bytes": 4_000_000_000}
LARGE: dict[str, Any] = {
    "name": "Large",
    "description": "For meshes that need much memory.",
    "time_limit_seconds": 7200,
    "longest_time_limit_seconds": 14_400,
    "idle_stop_seconds": 3600,
}


def open_form(page: Page) -> Locator:
    expect(page.get_by_test_id("new-options").or_(page.get_by_test_id("empty"))).to_be_visible()
    if page.get_by_test_id("new-options").is_visible():
        page.get_by_test_id("new-options").click()
    else:
        page.get_by_role("button", name="Choose size and time first").click()
    return page.get_by_test_id("new-dialog")


def test_with_one_preset_the_form_stays_simple(site: Site, page: Page) -> None:
    with presets(site, SMALL):
        page.goto("/desktops")
        form = open_form(page)
        expect(form.get_by_label("Time limit")).to_be_visible()
        expect(form.get_by_test_id("preset")).to_have_count(0)


def test_a_preset_is_chosen_and_remembered(site: Site, page: Page, person: Person) -> None:
    with presets(site, SMALL, LARGE):
        page.goto("/desktops")
        form = open_form(page)
        expect(form.get_by_test_id("presets")).to_contain_text("2 cores")
        expect(form.get_by_test_id("presets")).to_contain_text("4 GB of memory")
        expect(form.get_by_test_id("presets")).to_contain_text("ends when idle for 1 hr")
        expect(form.get_by_role("radio", name="Small")).to_be_checked()
        form.get_by_text("Large", exact=True).click()
        form.get_by_text("Size, time and number").click()
        expect(form.get_by_label("Time limit")).to_have_value("7200")
        assert form.get_by_label("Time limit").locator("option").last.inner_text() == "4 hr"
        form.get_by_label("Time limit").select_option("14400")
        form.get_by_label("Screen size").select_option("1280x720")
        form.get_by_test_id("new-start").click()
        open_desktop(page)
        session = person.http.session(page.url.rpartition("/")[2])
        assert session["preset"]["name"] == "Large"
        assert (session["width"], session["height"], session["time_limit_seconds"]) == (1280, 720, 14_400)
        page.goto("/desktops")
        expect(page.get_by_test_id("session")).to_contain_text("Large")
        form = open_form(page)
        expect(form.get_by_role("radio", name="Large")).to_be_checked()
        expect(form.get_by_test_id("presets")).to_contain_text("chosen last")
        form.get_by_text("Size, time and number").click()
        expect(form.get_by_label("Time limit")).to_have_value("14400")
        expect(form.get_by_label("Screen size")).to_have_value("1280x720")


def test_nothing_to_start_is_said(site: Site, page: Page) -> None:
    with presets(site, SMALL | {"roles": ["teacher"]}):
        page.goto("/desktops")
        form = open_form(page)
        expect(form.get_by_role("alert")).to_contain_text("nothing that you may start")
        expect(form.get_by_test_id("new-start")).to_be_disabled()


@pytest.mark.parametrize("as_table", [False, True])
def test_several_are_started_and_ended_together(site: Site, page: Page, person: Person, as_table: bool) -> None:
    page.goto("/desktops")
    form = open_form(page)
    form.get_by_label("How many").fill("2")
    form.get_by_label("Name").fill("Pair")
    form.get_by_test_id("new-start").click()
    expect(page.get_by_test_id("session")).to_have_count(2)
    for session in person.http.sessions(ended="false"):
        person.http.until(str(session["id"]), "ready")
    if as_table:
        page.get_by_role("button", name="Table").click()
        page.get_by_test_id("select-all").check()
    else:
        page.get_by_test_id("select-several").click()
        page.get_by_test_id("select").first.check()
        expect(page.get_by_test_id("selection")).to_contain_text("1 selected")
        page.get_by_role("button", name="Select all").click()
    expect(page.get_by_test_id("selection")).to_contain_text("2 selected")
    page.get_by_test_id("end-selected").click()
    expect(page.get_by_test_id("confirm")).to_contain_text("End 2 desktops?")
    page.get_by_test_id("confirm-action").click()
    expect(page.get_by_test_id("empty")).to_be_visible(timeout=20_000)
    assert not person.http.sessions(ended="false")


def test_a_name_and_notes_are_kept(page: Page, person: Person) -> None:
    session = str(person.http.start_desktop(name="Old")["id"])
    page.goto("/desktops")
    page.get_by_test_id("session-menu").click()
    page.get_by_role("menuitem", name="Name and notes").click()
    dialog = page.get_by_test_id("describe-dialog")
    dialog.get_by_label("Name").fill("논문 3장")
    dialog.get_by_label("Notes").fill("그림 4를 다시 그리기\nask Minjun")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    card = page.get_by_test_id("session")
    expect(card.get_by_role("heading", name="논문 3장")).to_be_visible()
    expect(card.get_by_test_id("notes")).to_contain_text("그림 4를 다시 그리기")
    assert person.http.session(session)["notes"] == "그림 4를 다시 그리기\nask Minjun"


def test_the_form_speaks_korean(site: Site, person: Person, open_browser: MakeContext) -> None:
    page = open_browser(site, person, locale="ko-KR").new_page()
    with presets(site, SMALL, LARGE):
        page.goto("/desktops")
        page.get_by_role("button", name="크기와 시간부터 정하기").click()
        form = page.get_by_test_id("new-dialog")
        expect(form).to_contain_text(re.compile("코어 2개.*메모리 4GB", re.DOTALL))
        expect(form).to_contain_text("1시간 동안 쓰지 않으면 종료")
