"""What administrators do with people, and people with their own account."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MakeContext
from tests.browser.site import ACCOUNT, AS_ROOT, PASSWORD, Person, Site
from tests.browser.watch import REFUSED_SIGN_IN, watch_of


@pytest.fixture
def boss_page(site: Site, open_browser: MakeContext) -> Page:
    page = open_browser(site, site.boss).new_page()
    page.goto("/people")
    expect(page.get_by_role("heading", name="People", exact=True)).to_be_visible()
    return page


def row(page: Page, name: str) -> object:
    return page.get_by_test_id("people").get_by_role("listitem").filter(has_text=name)


def test_a_person_is_added_comes_in_and_is_shut_out(site: Site, boss_page: Page, open_browser: MakeContext) -> None:
    boss_page.get_by_test_id("add-person").click()
    dialog = boss_page.get_by_test_id("person-dialog")
    dialog.get_by_label("Sign-in name").fill("yuna")
    dialog.get_by_label("Display name").fill("김유나")
    if AS_ROOT:
        dialog.get_by_label("Unix account").fill(ACCOUNT)
    dialog.get_by_role("button", name="Add").click()
    link = boss_page.get_by_test_id("sign-in-link").input_value()
    boss_page.get_by_test_id("link-dialog").get_by_role("button", name="Close").last.click()
    expect(row(boss_page, "김유나")).to_be_visible()

    context = open_browser(site)
    watch_of(context).allow(REFUSED_SIGN_IN, "status of 401")
    page = context.new_page()
    page.goto(link)
    expect(page.get_by_role("heading", name="Welcome, 김유나")).to_be_visible()
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Choose a password").click()
    expect(page.get_by_test_id("empty")).to_be_visible()
    expect(page.get_by_test_id("rail").get_by_role("link", name="People")).to_have_count(0)
    expect(page.get_by_test_id("live")).to_have_attribute("data-state", "open")

    choose(boss_page, "김유나", "Disable")
    boss_page.get_by_test_id("confirm-action").click()
    expect(row(boss_page, "김유나")).to_contain_text("disabled")
    expect(page.get_by_test_id("sign-in-again")).to_be_visible(timeout=2000)


def choose(page: Page, name: str, action: str) -> None:
    row(page, name).get_by_role("button").last.click()  # type: ignore[attr-defined]
    page.get_by_role("menuitem", name=action).click()


def test_a_new_link_takes_the_old_password_away(site: Site, boss_page: Page, open_browser: MakeContext) -> None:
    site.person("gahee", "이가희", password=PASSWORD)
    boss_page.reload()
    choose(boss_page, "이가희", "New sign-in link")
    boss_page.get_by_test_id("confirm-action").click()
    link = boss_page.get_by_test_id("sign-in-link").input_value()
    assert link.startswith(f"{site.url}/welcome#")
    answer = httpx.post(f"{site.url}/api/identity/sign-in", json={"name": "gahee", "password": PASSWORD})
    assert answer.status_code == 401


def test_a_name_that_is_taken_is_told_at_its_field(site: Site, boss_page: Page) -> None:
    watch_of(boss_page.context).allow("status of (409|422)")
    boss_page.get_by_test_id("add-person").click()
    dialog = boss_page.get_by_test_id("person-dialog")
    dialog.get_by_label("Sign-in name").fill("jiwoo")
    dialog.get_by_label("Display name").fill("한지우 둘")
    if AS_ROOT:
        dialog.get_by_label("Unix account").fill(ACCOUNT)
    dialog.get_by_role("button", name="Add").click()
    expect(dialog).to_contain_text("jiwoo")
    expect(dialog.get_by_label("Display name")).to_have_value("한지우 둘")
    expect(dialog.locator("[role=alert], .error").first).to_be_visible()


def test_people_are_found_by_name(site: Site, boss_page: Page) -> None:
    site.person("sora", "박소라")
    boss_page.reload()
    boss_page.get_by_role("searchbox").fill("소라")
    expect(boss_page.get_by_test_id("people").get_by_role("listitem")).to_have_count(1)
    boss_page.get_by_role("searchbox").fill("nobody of this name")
    expect(boss_page.get_by_test_id("people")).to_contain_text("Nobody fits this search.")


def test_the_audit_trail_tells_what_was_done(site: Site, boss_page: Page) -> None:
    site.person("minjun")
    boss_page.get_by_test_id("rail").get_by_role("link", name="Audit trail").click()
    expect(boss_page.get_by_test_id("audit")).to_contain_text("minjun")
    expect(boss_page.get_by_test_id("audit").get_by_role("row").nth(1)).to_be_visible()


def test_a_token_is_shown_once_works_and_is_revoked(site: Site, person: Person, page: Page) -> None:
    page.goto("/account")
    page.get_by_test_id("new-token").click()
    dialog = page.get_by_test_id("token-dialog")
    dialog.get_by_label("Name").fill("백업 스크립트")
    dialog.get_by_role("button", name="New token").click()
    secret = page.get_by_test_id("token-secret").input_value()
    assert secret.startswith("mdg_")
    dialog.get_by_role("button", name="I have copied it").click()
    token = page.get_by_test_id("token")
    expect(token).to_contain_text("백업 스크립트")
    page.reload()
    expect(token).to_be_visible()
    assert secret not in page.content(), "a token's secret is shown again"

    def status() -> int:
        headers = {"Authorization": f"Bearer {secret}"}
        return httpx.get(f"{site.url}/api/identity/me", headers=headers).status_code

    assert status() == 200
    token.get_by_role("button", name="Revoke").click()
    page.get_by_test_id("confirm-action").click()
    expect(token).to_have_count(0)
    assert status() == 401


def test_a_password_is_changed(site: Site, open_browser: MakeContext) -> None:
    person = site.person("jimin", password=PASSWORD)
    page = open_browser(site, person).new_page()
    page.goto("/account")
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").fill("또 다른 긴 비밀번호")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("Your password is changed.")).to_be_visible()
    expect(page.get_by_label("New password")).to_have_value("")
    answer = httpx.post(f"{site.url}/api/identity/sign-in", json={"name": "jimin", "password": "또 다른 긴 비밀번호"})
    assert answer.status_code == 200
