"""What operators do with everybody's desktops."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MakeContext
from tests.browser.offers import own_desktop, presets
from tests.browser.screen import open_desktop, shows_desktop, wait_for_picture
from tests.browser.site import Person, Site
from tests.browser.watch import watch_of

ENDED_DOOR = r"/vncproxy/\w+' failed"


@pytest.fixture(scope="module")
def operator(site: Site) -> Person:
    return site.person(display_name="오운영", roles=("operator",))


@pytest.fixture
def operators_page(site: Site, operator: Person, open_browser: MakeContext) -> Page:
    return open_browser(site, operator).new_page()


@pytest.fixture
def no_notice(site: Site) -> Iterator[None]:
    yield
    site.boss.http.put("/api/vnc/notice", json={"text": ""})


@pytest.fixture
def no_limits(site: Site) -> Iterator[None]:
    yield
    site.boss.http.put("/api/vnc/limits", json={"sessions_per_person": None, "sessions_of_site": None, "people": []})


def test_members_see_nothing_of_it(page: Page) -> None:
    page.goto("/site/desktops")
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    expect(page.get_by_test_id("rail")).not_to_contain_text("Site desktops")


def test_a_desktop_is_ended_with_a_message(page: Page, person: Person, operators_page: Page) -> None:
    watch_of(page.context).allow(ENDED_DOOR)
    session = own_desktop(person, name="In the way")
    page.goto(f"/desktops/{session}")
    open_desktop(page)
    operators_page.goto("/site/desktops")
    row = operators_page.locator(f"[data-testid=session][data-id='{session}']")
    expect(row).to_contain_text(person.name)
    row.get_by_test_id("end-for").click()
    dialog = operators_page.get_by_test_id("end-with-message")
    dialog.get_by_label("Words for its owner").fill("The node needs a new disk.\nStart again at 3.")
    dialog.get_by_test_id("end-for-action").click()
    card = page.get_by_test_id("over-card")
    expect(card).to_contain_text("An operator ended it.", timeout=15_000)
    expect(card.get_by_test_id("end-message")).to_contain_text("The node needs a new disk. Start again at 3.")
    page.goto("/desktops")
    page.get_by_role("button", name="Show 1 ended desktop").click()
    expect(page.get_by_test_id("ended-session").get_by_test_id("end-message")).to_contain_text("a new disk")


def test_an_operator_looks_when_its_owner_lets_them(
    page: Page, person: Person, operator: Person, operators_page: Page
) -> None:
    watch_of(operators_page.context).allow(ENDED_DOOR)
    session = own_desktop(person, name="Strange picture")
    page.goto(f"/desktops/{session}")
    open_desktop(page)
    ask_to_look(operators_page, session)
    asked = page.get_by_test_id("view-asked")
    expect(asked).to_contain_text("오운영 asks to look at your desktop")
    asked.get_by_test_id("view-deny").click()
    expect(operators_page.get_by_test_id("ask-state")).to_have_attribute("data-state", "refused")
    operators_page.get_by_test_id("ask-action").click()
    asked.get_by_label("For how long").select_option("5")
    asked.get_by_test_id("view-allow").click()
    operators_page.get_by_test_id("look").click()
    operators_page.locator("[data-testid=desktop-view][data-mode=view][data-state=connected]").wait_for(timeout=20_000)
    wait_for_picture(operators_page, shows_desktop, 15, "the desktop of somebody else")
    shut_out(page)
    expect(operators_page).to_have_url(re.compile("/site/desktops$"), timeout=10_000)


def ask_to_look(page: Page, session: str) -> None:
    page.goto("/site/desktops")
    page.locator(f"[data-testid=session][data-id='{session}']").get_by_test_id("ask-view").click()
    page.get_by_test_id("ask-action").click()
    expect(page.get_by_test_id("ask-state")).to_have_attribute("data-state", "asked")


def shut_out(page: Page) -> None:
    """As the owner, who wants no more of it."""
    if page.get_by_test_id("show-bar").is_visible():
        page.get_by_test_id("show-bar").click()
    page.get_by_test_id("watchers").click()
    page.get_by_role("menuitem", name="Let 오운영 look no longer").click()


def test_a_preset_is_made_changed_ordered_and_deleted(site: Site, operators_page: Page) -> None:
    page = operators_page
    watch_of(page.context).allow("status of 422 .*/api/vnc/presets/")
    with presets(site, {"name": "First"}):
        page.goto("/site/desktops/presets")
        page.get_by_test_id("preset-add").click()
        dialog = page.get_by_test_id("preset-dialog")
        dialog.get_by_label("Name", exact=True).fill("Rendering")
        dialog.get_by_label("Description").fill("For long renderings.")
        dialog.get_by_label("CPU cores").fill("8")
        dialog.get_by_label("Memory (GB)").fill("32")
        dialog.get_by_label("End it after so many idle minutes").fill("90")
        dialog.get_by_label("teacher", exact=False).check()
        dialog.get_by_test_id("preset-save").click()
        expect(dialog).to_be_hidden()
        rows = page.get_by_test_id("preset-row")
        expect(rows).to_have_count(2)
        expect(rows.nth(1)).to_contain_text("8 cores")
        expect(rows.nth(1)).to_contain_text("ends when idle for 1 hr 30 min")
        stored = site.boss.http.get("/api/vnc/presets", params={"all": "true"}).json()[1]
        assert (stored["memory_bytes"], stored["idle_stop_seconds"], stored["roles"]) == (
            32_000_000_000,
            5400,
            ["teacher"],
        )
        change_it(page)
        rows.filter(has_text="Rendering").get_by_test_id("preset-up").click()
        expect(rows.first).to_contain_text("Rendering")
        delete_it(page)
        expect(rows).to_have_count(1)


def change_it(page: Page) -> None:
    row = page.get_by_test_id("preset-row").filter(has_text="Rendering")
    row.get_by_test_id("preset-edit").click()
    dialog = page.get_by_test_id("preset-dialog")
    dialog.get_by_label("Time, usual (hours)").fill("48")
    dialog.get_by_test_id("preset-save").click()
    expect(dialog.get_by_text("is above longest_time_limit_seconds").first).to_be_visible()
    dialog.get_by_label("Time, longest (hours)").fill("48")
    dialog.get_by_test_id("preset-save").click()
    expect(row).to_contain_text("for 2 days")
    row.get_by_test_id("preset-menu").click()
    page.get_by_role("menuitem", name="Disable").click()
    expect(row).to_contain_text("disabled")


def delete_it(page: Page) -> None:
    row = page.get_by_test_id("preset-row").filter(has_text="Rendering")
    row.get_by_test_id("preset-menu").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_test_id("confirm-action").click()


def test_a_notice_reaches_everybody_at_once(page: Page, operators_page: Page, no_notice: None) -> None:
    watch_of(page.context).allow(r"status of (409|503)")
    page.goto("/desktops")
    expect(page.get_by_test_id("empty")).to_be_visible()
    operators_page.goto("/site/desktops/notice")
    form = operators_page.get_by_test_id("notice-form")
    form.get_by_label("What people should know").fill("새 디스크를 답니다. 오후 3시에 끝납니다.")
    form.get_by_label("Nobody can start a desktop meanwhile").check()
    form.get_by_test_id("notice-save").click()
    expect(page.get_by_test_id("notice")).to_contain_text("새 디스크를 답니다")
    expect(page.get_by_test_id("notice")).to_contain_text("No new desktops can be started meanwhile.")
    page.get_by_test_id("new-desktop-first").click()
    expect(page.get_by_test_id("problem")).to_have_attribute("data-code", "maintenance")
    operators_page.get_by_test_id("notice-remove").click()
    expect(page.get_by_test_id("notice")).to_have_count(0)


def test_limits_are_kept(site: Site, page: Page, person: Person, operators_page: Page, no_limits: None) -> None:
    watch_of(page.context).allow("status of 409")
    operators_page.goto("/site/desktops/limits")
    form = operators_page.get_by_test_id("limits")
    form.get_by_test_id("limit-add").click()
    form.get_by_label("Sign-in name").fill(person.name)
    form.get_by_label("Desktops", exact=True).fill("0")
    form.get_by_test_id("limits-save").click()
    expect(operators_page.get_by_test_id("notices")).to_contain_text("Saved.")
    page.goto("/desktops")
    page.get_by_test_id("new-desktop-first").click()
    expect(page.get_by_test_id("problem")).to_have_attribute("data-code", "limit_reached")
    operators_page.reload()
    expect(form.get_by_label("Sign-in name")).to_have_value(person.name)


def test_usage_is_shown_and_taken_home(site: Site, person: Person, operators_page: Page) -> None:
    person.http.end(own_desktop(person))
    operators_page.goto("/site/desktops/usage")
    expect(operators_page.get_by_test_id("usage")).to_contain_text(person.name)
    with operators_page.expect_download() as coming:
        operators_page.get_by_test_id("usage-csv").click()
    text = Path(coming.value.path()).read_text()
    assert text.splitlines()[0].startswith("person,account,preset")
    assert person.name in text
