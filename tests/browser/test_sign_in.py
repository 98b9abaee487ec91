"""Coming in and going out, and what a person is told when that does not work."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import MakeContext
from tests.browser.site import PASSWORD, Person, Site
from tests.browser.watch import REFUSED_SIGN_IN, watch_of


def enter(page: Page, name: str, password: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_test_id("sign-in").click()


def test_a_wrong_password_is_told_and_the_name_stays(site: Site, open_browser: MakeContext) -> None:
    site.person("minseo", password=PASSWORD)
    context = open_browser(site)
    watch_of(context).allow(REFUSED_SIGN_IN)
    page = context.new_page()
    page.goto("/sign-in")
    expect(page.get_by_label("Name")).to_be_focused()
    enter(page, "minseo", "not the password")
    problem = page.get_by_test_id("problem")
    expect(problem).to_have_attribute("data-code", "wrong_credentials")
    expect(problem).to_have_attribute("role", "alert")
    expect(page.get_by_label("Name")).to_have_value("minseo")
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Desktops")).to_be_visible()


def test_empty_fields_are_asked_for_without_a_request(site: Site, open_browser: MakeContext) -> None:
    page = open_browser(site).new_page()
    page.goto("/sign-in")
    page.get_by_test_id("sign-in").click()
    expect(page.get_by_role("alert")).to_have_text("Enter your name and your password.")


def test_too_many_attempts_count_down_and_then_let_in(site: Site, open_browser: MakeContext) -> None:
    site.person("doyun", password=PASSWORD)
    context = open_browser(site)
    watch_of(context).allow(REFUSED_SIGN_IN)
    page = context.new_page()
    page.goto("/sign-in")
    for _ in range(5):
        enter(page, "doyun", "not the password")
        expect(page.get_by_label("Password", exact=True)).to_have_value("")
    enter(page, "doyun", PASSWORD)
    expect(page.get_by_test_id("problem")).to_have_attribute("data-code", "too_many_attempts")
    button = page.get_by_test_id("sign-in")
    expect(button).to_have_text(re.compile(r"Wait [2-9] seconds"))
    expect(button).to_be_disabled()
    expect(button).to_have_text("Wait 1 second", timeout=12_000)
    expect(button).to_be_enabled(timeout=5000)
    expect(page.get_by_label("Password", exact=True)).to_have_value(PASSWORD)
    button.click()
    expect(page.get_by_role("heading", name="Desktops")).to_be_visible()


def test_a_used_link_is_explained(site: Site, open_browser: MakeContext) -> None:
    name, link = site.invite()
    page = open_browser(site).new_page()
    page.goto(link)
    expect(page.get_by_role("heading", name=f"Welcome, {name}")).to_be_visible()
    page.get_by_test_id("password-later").click()
    expect(page.get_by_test_id("empty")).to_be_visible()
    context = open_browser(site)
    watch_of(context).allow(REFUSED_SIGN_IN)
    page = context.new_page()
    page.goto(link)
    expect(page.get_by_role("heading", name="This link does not work any more")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("Ask your administrator for a new one.")
    page.get_by_role("link", name="Sign in with a password").click()
    expect(page.get_by_test_id("sign-in-form")).to_be_visible()


def test_an_address_is_reached_after_the_sign_in(site: Site, open_browser: MakeContext) -> None:
    site.person("seojun", password=PASSWORD)
    page = open_browser(site).new_page()
    page.goto("/account")
    expect(page).to_have_url(re.compile(r"/sign-in\?return=%2Faccount$"))
    enter(page, "seojun", PASSWORD)
    expect(page).to_have_url(re.compile("/account$"))
    expect(page.get_by_role("heading", name="My account")).to_be_visible()


def test_a_sign_in_that_ended_comes_back_to_where_one_was(site: Site, open_browser: MakeContext) -> None:
    person = site.person("haeun", password=PASSWORD)
    context = open_browser(site, person)
    watch_of(context).allow("status of 401")
    page = context.new_page()
    page.goto("/account")
    page.get_by_label("Display name").fill("하은, not saved yet")
    assert person.http.post("/api/identity/sign-out").status_code == 204
    dialog = page.get_by_test_id("sign-in-again")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_label("Name")).to_have_value("haeun")
    dialog.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page).to_have_url(re.compile("/account$"))
    expect(page.get_by_label("Display name")).to_have_value("하은, not saved yet")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_test_id("person-menu")).to_have_attribute("aria-label", "하은, not saved yet")


def test_signing_out_ends_the_other_tab_at_once(site: Site, person: Person, open_browser: MakeContext) -> None:
    context = open_browser(site, person)
    watch_of(context).allow("status of 401")
    one, other = context.new_page(), context.new_page()
    one.goto("/desktops")
    other.goto("/account")
    expect(other.get_by_test_id("live")).to_have_attribute("data-state", "open")
    one.get_by_test_id("person-menu").click()
    one.get_by_role("menuitem", name="Sign out").click()
    expect(one.get_by_test_id("sign-in-form")).to_be_visible()
    expect(other.get_by_test_id("sign-in-again")).to_be_visible(timeout=2000)


def test_signing_out_everywhere_ends_other_browsers(site: Site, open_browser: MakeContext) -> None:
    name, link = site.invite()
    person = site.enter(link)
    site.set_password(person)
    elsewhere = open_browser(site)
    watch_of(elsewhere).allow("status of 401")
    other = elsewhere.new_page()
    other.goto("/sign-in")
    enter(other, name, PASSWORD)
    expect(other.get_by_test_id("live")).to_have_attribute("data-state", "open")
    page = open_browser(site, person).new_page()
    page.goto("/account")
    expect(page.get_by_test_id("sign-ins").get_by_role("listitem")).to_have_count(2)
    page.get_by_role("button", name="Sign out everywhere").click()
    page.get_by_test_id("confirm-action").click()
    expect(page.get_by_test_id("sign-in-form")).to_be_visible()
    expect(other.get_by_test_id("sign-in-again")).to_be_visible(timeout=3000)
