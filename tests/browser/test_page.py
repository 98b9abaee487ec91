"""The page itself: keyboard, language, theme, phones, what it asks of the network."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Response, Route, expect

from tests.browser.conftest import PHONE, MakeContext
from tests.browser.screen import open_desktop
from tests.browser.site import Person, Site
from tests.browser.watch import watch_of

SCRIPT_BYTES = 250_000


def test_the_language_is_chosen_and_kept(site: Site, person: Person, open_browser: MakeContext, page: Page) -> None:
    page.goto("/desktops")
    page.get_by_test_id("language").click()
    page.get_by_role("menuitem", name="한국어").click()
    expect(page.get_by_role("heading", name="데스크톱", exact=True)).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    page.reload()
    expect(page.get_by_role("heading", name="데스크톱", exact=True)).to_be_visible()
    elsewhere = open_browser(site, person).new_page()
    elsewhere.goto("/desktops")
    expect(elsewhere.get_by_role("heading", name="데스크톱", exact=True)).to_be_visible()


def test_ones_language_stays_when_the_browsers_words_come_later(
    site: Site, person: Person, open_browser: MakeContext
) -> None:
    person.http.patch("/api/identity/me", json={"language": "ko"})
    page = open_browser(site, person).new_page()
    english: list[Route] = []
    page.route(re.compile(r"/assets/en-[^/]*\.js$"), lambda route: english.append(route))
    with page.expect_response(re.compile(r"/assets/ko-[^/]*\.js$")):
        page.goto("/desktops", wait_until="commit")
    page.wait_for_timeout(500)
    for route in english:
        route.continue_()
    expect(page.get_by_role("heading", name="데스크톱", exact=True)).to_be_visible()


def test_the_browsers_language_comes_first(site: Site, open_browser: MakeContext) -> None:
    page = open_browser(site, locale="ko-KR").new_page()
    page.goto("/sign-in")
    expect(page.get_by_role("heading", name="로그인")).to_be_visible()


def background(page: Page) -> int:
    """How bright the page's ground is, 0 to 765."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(number) for number in re.findall(r"\d+", colour)[:3])


def test_the_theme_is_chosen_and_kept(page: Page) -> None:
    page.goto("/desktops")
    assert background(page) > 600
    page.get_by_test_id("theme").click()
    page.get_by_role("menuitem", name="Dark").click()
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    assert background(page) < 200
    page.reload()
    assert background(page) < 200
    page.get_by_test_id("theme").click()
    page.get_by_role("menuitem", name="Like the system").click()
    page.wait_for_function("document.documentElement.dataset.theme !== 'dark'")
    page.emulate_media(color_scheme="dark")
    assert background(page) < 200


def open_palette(page: Page) -> None:
    page.keyboard.press("Control+KeyK")
    expect(page.get_by_test_id("palette").get_by_role("combobox")).to_be_focused()


def test_the_palette_needs_only_the_keyboard(page: Page) -> None:
    page.goto("/desktops")
    expect(page.get_by_test_id("empty")).to_be_visible()
    open_palette(page)
    page.keyboard.type("account")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/account$"))
    open_palette(page)
    page.keyboard.type("zzzz")
    expect(page.get_by_test_id("palette")).to_contain_text("Nothing fits.")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("palette")).to_be_hidden()
    open_palette(page)
    page.keyboard.type("dark")
    page.keyboard.press("Enter")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")


def tab_to(page: Page, testid: str) -> None:
    """Goes on with the Tab key until the focus is there; what has it is always seen."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement?.dataset.testid") == testid:
            return
    raise AssertionError(f"{testid} is not reached by the Tab key")


def test_a_desktop_is_started_and_ended_by_keyboard_alone(page: Page) -> None:
    page.goto("/desktops")
    expect(page.get_by_test_id("empty")).to_be_visible()
    tab_to(page, "new-desktop-first")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", "the focus is not seen"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    dialog = page.get_by_test_id("new-dialog")
    expect(dialog).to_be_visible()
    while not dialog.get_by_label("Name").evaluate("element => element === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.type("글쇠로만")
    page.keyboard.press("Tab")
    page.keyboard.type("1280")
    page.keyboard.press("Enter")
    if dialog.is_visible():
        tab_to(page, "new-start")
        page.keyboard.press("Enter")
    open_desktop(page)
    assert "글쇠로만" in page.title()
    page.keyboard.press("Control+Alt+Shift")
    expect(page.get_by_test_id("back")).to_be_focused()
    tab_to(page, "end")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("confirm")).to_be_visible()
    tab_to(page, "confirm-action")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("over-card")).to_contain_text("It was ended on request.")


PLACES = [
    "/desktops", "/account", "/people", "/audit", "/site/desktops", "/site/desktops/presets", "/site/desktops/limits",
    "/site/desktops/notice", "/site/desktops/usage",
]  # fmt: skip


@pytest.mark.parametrize("path", PLACES)
def test_a_phone_shows_everything_without_scrolling_sideways(site: Site, path: str, open_browser: MakeContext) -> None:
    page = open_browser(site, site.boss, **PHONE).new_page()
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    rail = page.get_by_test_id("rail").bounding_box()
    assert rail and rail["y"] > 700, "the rail folds to a bar at the bottom"
    small = page.evaluate(SMALL_TARGETS)
    assert not small, f"hard to hit with a finger: {small}"


# 44 px are meant; two less for borders. A control inside a line of text, or hidden, is no target of its own.
SMALL_TARGETS = """() => [...document.querySelectorAll('button, a[href], select, input')]
  .filter((element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest('.visually-hidden'))
  .filter((element) => !element.matches('.skip, [tabindex="-1"], [type=checkbox]') && !element.closest('p, li span'))
  .map((element) => [element.getBoundingClientRect(), element])
  .filter(([box]) => box.width > 1 && (box.height < 42 || box.width < 38))
  .map(([box, element]) => `${element.outerHTML.slice(0, 90)}: ${Math.round(box.width)}x${Math.round(box.height)}`)"""


def test_reduced_motion_stands_still(site: Site, person: Person, open_browser: MakeContext) -> None:
    page = open_browser(site, person, reduced_motion="reduce").new_page()
    page.goto("/desktops")
    page.get_by_test_id("new-desktop-first").click()
    page.get_by_test_id("timeline").wait_for()
    moving = page.evaluate(
        "document.getAnimations().filter((one) => one.playState === 'running'"
        " && one.effect.getComputedTiming().iterations === Infinity).length"
    )
    assert moving == 0
    open_desktop(page)


def test_the_first_view_is_small(page: Page) -> None:
    sizes: dict[str, int] = {}

    def came(response: Response) -> None:
        if response.request.resource_type == "script":
            sizes[response.url] = len(response.body())

    page.on("response", came)
    page.goto("/desktops")
    expect(page.get_by_test_id("empty")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert not [url for url in sizes if "viewer" in url], "noVNC came with the first view"
    assert 0 < sum(sizes.values()) <= SCRIPT_BYTES, sizes


def test_the_api_is_documented_without_the_network(page: Page) -> None:
    page.goto("/api/docs")
    expect(page.get_by_text("/api/vnc/sessions", exact=True).first).to_be_visible()
    page.get_by_text("/api/vnc/sessions", exact=True).first.click()


def test_lost_live_updates_are_said_and_come_back(open_browser: MakeContext, site: Site, person: Person) -> None:
    context = open_browser(site, person)
    watch_of(context).allow("net::ERR_INTERNET_DISCONNECTED", "WebSocket connection")
    page = context.new_page()
    page.route_web_socket(
        re.compile("/api/live"), lambda route: route.close() if context.lost else route.connect_to_server()
    )  # type: ignore[attr-defined]
    context.lost = True  # type: ignore[attr-defined]
    page.goto("/desktops")
    live = page.get_by_test_id("live")
    expect(live).to_have_attribute("data-state", "lost")
    expect(live).to_contain_text("Reconnecting")
    context.lost = False  # type: ignore[attr-defined]
    expect(live).to_have_attribute("data-state", "open", timeout=6000)
