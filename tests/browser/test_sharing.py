"""Sharing a desktop by a link: look only, control, guests, who watches, taking it back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import PHONE, MakeContext
from tests.browser.inside import Inside
from tests.browser.offers import own_desktop
from tests.browser.screen import open_desktop, picture, show_bar, shows_desktop, wait_for_picture
from tests.browser.site import PASSWORD, Person, Site
from tests.browser.watch import watch_of
from tests.support.waiting import eventually

# A link that was taken back is refused, and so is its door.
REFUSED = (r"status of 40[134] .*/api/vnc/shared", r"/vncproxy/\w+' failed: .*(401|403|404)")


@pytest.fixture
def desktop(person: Person, go_inside: Callable[[str], Inside]) -> Iterator[tuple[str, Inside]]:
    """A desktop with a terminal that has the keyboard."""
    session = own_desktop(person, name="함께 보기")
    inside = go_inside(session)
    inside.open_terminal()
    yield session, inside


@pytest.fixture
def owner_page(page: Page, desktop: tuple[str, Inside]) -> Page:
    page.goto(f"/desktops/{desktop[0]}")
    open_desktop(page)
    return page


def make_link(page: Page, mode: str, label: str, *, guests: bool = True) -> str:
    """Makes a link in the dialog, which stays open."""
    if not page.get_by_test_id("share-dialog").is_visible():
        show_bar(page)
        page.get_by_test_id("bar-menu").click()
        page.get_by_role("menuitem", name="Share…").click()
    dialog = page.get_by_test_id("share-dialog")
    dialog.get_by_test_id(f"share-{mode}").check()
    dialog.get_by_test_id("share-guests").set_checked(guests)
    dialog.get_by_label("For whom").fill(label)
    dialog.get_by_test_id("share-make").click()
    row = dialog.get_by_test_id("share").filter(has_text=label)
    expect(row).to_contain_text("nobody is watching")
    return dialog.get_by_test_id("share-link").input_value()


def come_as_guest(context: BrowserContext, link: str, name: str) -> Page:
    watch_of(context).allow(*REFUSED)
    guest = context.new_page()
    guest.goto(link)
    expect(guest).to_have_url(re.compile("/shared$"))
    guest.get_by_test_id("guest-name").fill(name)
    guest.get_by_test_id("guest-enter").click()
    guest.locator("[data-testid=desktop-view][data-state=connected][data-pictured=true]").wait_for(timeout=25_000)
    wait_for_picture(guest, shows_desktop, 15, "the shared desktop")
    return guest


def test_who_only_looks_cannot_type_and_is_shut_out(
    site: Site, owner_page: Page, desktop: tuple[str, Inside], open_browser: MakeContext
) -> None:
    link = make_link(owner_page, "view", "Reviewer")
    guest = come_as_guest(open_browser(site), link, "손님 민수")
    expect(guest.get_by_test_id("watch-mode")).to_have_attribute("data-mode", "view")
    row = owner_page.get_by_test_id("share").filter(has_text="Reviewer")
    expect(row.get_by_test_id("share-watching")).to_contain_text("1 is watching")
    nothing_reaches_it(guest, desktop[1], site)
    owner_sees_who_watches(owner_page)
    owner_types(owner_page, guest, site)
    take_back(owner_page, guest)
    guest.goto(link)
    guest.get_by_test_id("guest-name").fill("again")
    guest.get_by_test_id("guest-enter").click()
    expect(guest.get_by_test_id("guest-closed")).to_be_visible()


def nothing_reaches_it(guest: Page, inside: Inside, site: Site) -> None:
    guest.evaluate("text => navigator.clipboard.writeText(text)", "from the guest")
    guest.evaluate("window.dispatchEvent(new Event('focus'))")
    before = inside.screen_size()
    guest.set_viewport_size({"width": 900, "height": 600})
    guest.mouse.click(300, 300)
    guest.keyboard.type(f"echo guest > {site.shared}/guest")
    guest.keyboard.press("Enter")
    guest.wait_for_timeout(1500)
    assert not (site.shared / "guest").exists(), "a guest who only looks typed"
    assert inside.clipboard() != "from the guest"
    assert inside.screen_size() == before, "a guest changed the size of the desktop"


def owner_sees_who_watches(page: Page) -> None:
    page.get_by_test_id("share-dialog").get_by_role("button", name="Close").last.click()
    show_bar(page)
    expect(page.get_by_test_id("watchers")).to_have_attribute("aria-label", "1 other person is here")
    page.get_by_test_id("watchers").click()
    expect(page.get_by_role("menu")).to_contain_text("손님 민수: looks, by a link")
    page.keyboard.press("Escape")


def owner_types(page: Page, guest: Page, site: Site) -> None:
    before = picture(guest)
    page.mouse.click(500, 300)
    page.keyboard.type(f"echo owner > {site.shared}/owner; seq 1 30")
    page.keyboard.press("Enter")
    eventually(lambda: (site.shared / "owner").exists(), 8, "what the owner typed")
    wait_for_picture(guest, lambda now: now.tobytes() != before.tobytes(), 8, "what the owner typed")


def take_back(page: Page, guest: Page) -> None:
    show_bar(page)
    page.get_by_test_id("bar-menu").click()
    page.get_by_role("menuitem", name="Share…").click()
    page.get_by_test_id("share-revoke").click()
    page.get_by_test_id("confirm-action").click()
    expect(guest.get_by_test_id("guest-closed")).to_be_visible(timeout=5000)
    expect(page.get_by_test_id("share")).to_have_count(0)


def test_who_may_control_types(
    site: Site, owner_page: Page, desktop: tuple[str, Inside], open_browser: MakeContext
) -> None:
    link = make_link(owner_page, "control", "Helper")
    guest = come_as_guest(open_browser(site), link, "도우미")
    expect(guest.get_by_test_id("watch-mode")).to_have_attribute("data-mode", "control")
    guest.keyboard.type(f"echo helper > {site.shared}/helper")
    guest.keyboard.press("Enter")
    eventually(lambda: (site.shared / "helper").exists(), 8, "what the helper typed")
    # Loading the page anew goes on where one was, without the link in the address.
    guest.reload()
    guest.locator("[data-testid=desktop-view][data-state=connected]").wait_for(timeout=20_000)
    guest.get_by_test_id("watch-leave").click()
    expect(guest.get_by_text("You left.")).to_be_visible()


def test_without_guests_one_signs_in(site: Site, owner_page: Page, open_browser: MakeContext) -> None:
    link = make_link(owner_page, "view", "Colleague", guests=False)
    context = open_browser(site)
    watch_of(context).allow(*REFUSED)
    page = context.new_page()
    page.goto(link)
    page.get_by_test_id("guest-name").fill("nobody")
    page.get_by_test_id("guest-enter").click()
    expect(page.get_by_test_id("guest-sign-in")).to_be_visible()
    colleague = site.person(display_name="박동료", password=PASSWORD)
    page.get_by_test_id("guest-sign-in").click()
    page.get_by_label("Name").fill(colleague.name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.locator("[data-testid=desktop-view][data-state=connected]").wait_for(timeout=20_000)
    row = owner_page.get_by_test_id("share").filter(has_text="Colleague")
    expect(row.get_by_test_id("share-watching")).to_contain_text("1 is watching")


def test_a_phone_looks_on_in_korean(site: Site, owner_page: Page, open_browser: MakeContext) -> None:
    link = make_link(owner_page, "view", "Phone")
    guest = open_browser(site, locale="ko-KR", **PHONE)
    page = come_as_guest(guest, link, "전화")
    expect(page.get_by_test_id("watch-mode")).to_contain_text("보기만")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_broken_link_says_so(site: Site, open_browser: MakeContext) -> None:
    context = open_browser(site)
    watch_of(context).allow(*REFUSED)
    page = context.new_page()
    page.goto("/shared")
    expect(page.get_by_text("the link is missing")).to_be_visible()
    page.goto("/shared#nothing-behind-this")
    page.get_by_test_id("guest-name").fill("nobody")
    page.get_by_test_id("guest-enter").click()
    expect(page.get_by_test_id("guest-closed")).to_be_visible()
