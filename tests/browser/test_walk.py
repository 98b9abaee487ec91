"""The whole way of a first person: in by the printed link, a desktop, its use, a lost portal, its end."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MakeContext
from tests.browser.inside import Inside
from tests.browser.screen import changed_pixels, open_desktop, picture, settled_picture, show_bar, wait_for_picture
from tests.browser.site import ACCOUNT, AS_ROOT, PASSWORD, Site
from tests.browser.watch import PORTAL_AWAY, watch_of
from tests.browser.ways import SiteOfTwo, settings_of, site_of_two
from tests.support.portal import PortalProcess
from tests.support.slurm import make_cluster, slurm_cluster
from tests.support.waiting import eventually

KOREAN = "마당에서 만나요 — 가나다 €"


@pytest.fixture(scope="module")
def cluster(accounts: None) -> Iterator[Any]:
    """A Slurm cluster on which the tests' account may run jobs."""
    if not AS_ROOT:
        pytest.skip("only root can run a Slurm cluster")
    if lacking := slurm_cluster.missing():
        pytest.skip(f"not installed: {', '.join(lacking)}")
    made = make_cluster("mdgwalk")
    try:
        subprocess.run(["useradd", "-m", "-s", "/bin/bash", ACCOUNT], capture_output=True, check=False)
        made.start([ACCOUNT])
        (made.folder / "nodes").mkdir(mode=0o1777)
        (made.folder / "nodes").chmod(0o1777)
        yield made
    finally:
        made.stop()


@contextlib.contextmanager
def on_this_machine(_request: pytest.FixtureRequest) -> Iterator[Site]:
    with Site() as site:
        yield site


@contextlib.contextmanager
def on_slurm(request: pytest.FixtureRequest) -> Iterator[Site]:
    with Site(**settings_of(request.getfixturevalue("cluster"))) as site:
        yield site


@contextlib.contextmanager
def by_two_portals(request: pytest.FixtureRequest) -> Iterator[Site]:
    """Behind nginx, the desktops as jobs too."""
    with site_of_two(**settings_of(request.getfixturevalue("cluster"))) as site:
        yield site


@pytest.fixture(params=[on_this_machine, on_slurm, by_two_portals], ids=lambda way: way.__name__)
def own_site(accounts: None, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site whose first administrator has not come in yet."""
    with request.param(request) as site:
        yield site


def test_a_person_works_on_a_desktop_and_loses_the_portal(
    own_site: Site, open_browser: MakeContext, go_inside: Callable[[str], Inside]
) -> None:
    context = open_browser(own_site)
    page = context.new_page()
    come_in_and_out_and_in(page, own_site)
    start_with_one_click(page)
    inside = go_inside(page.url.rpartition("/")[2])
    assert inside.account == (ACCOUNT if AS_ROOT else inside.account)
    type_a_command(page, inside, own_site)
    copy_and_paste_korean(page, inside, own_site)
    watch_of(context).allow(*PORTAL_AWAY)
    if isinstance(own_site, SiteOfTwo):
        lose_one_portal_after_the_other(page, own_site)
    else:
        lose_the_portal(page, inside, own_site)
    page = come_back_elsewhere(page, open_browser(own_site).new_page(), own_site)
    end_it(page)


def come_in_and_out_and_in(page: Page, site: Site) -> None:
    page.goto(site.first_link)
    expect(page.get_by_role("heading", name="Welcome, 한지우")).to_be_visible()
    assert "#" not in page.url, "the link stays in the address"
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Choose a password").click()
    expect(page.get_by_role("heading", name="Desktops")).to_be_visible()
    page.get_by_test_id("person-menu").click()
    page.get_by_role("menuitem", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in$"))
    sign_in(page)


def sign_in(page: Page) -> None:
    page.get_by_label("Name").fill("jiwoo")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Desktops")).to_be_visible()


def start_with_one_click(page: Page) -> None:
    page.evaluate(REMEMBER_STAGES)
    page.get_by_test_id("new-desktop-first").click()
    page.get_by_test_id("timeline").wait_for()
    image = open_desktop(page)
    assert image.size == (1440, 900), "a new desktop takes the size of the window"
    seen = page.evaluate("window.seenStages")
    assert {"request", "agent", "display"} <= set(seen), seen
    assert all(re.fullmatch(r"\d+\.\d+ s", seconds) for seconds in seen.values()), seen


# The stages go by quickly, so the page itself writes down which were done, and the seconds it showed.
REMEMBER_STAGES = """() => {
  window.seenStages = {};
  new MutationObserver(() => {
    for (const line of document.querySelectorAll('[data-testid=timeline] [data-state=done]'))
      window.seenStages[line.dataset.stage] = line.querySelector('.seconds').textContent.trim();
  }).observe(document.body, { childList: true, subtree: true, attributes: true, characterData: true });
}"""


def type_a_command(page: Page, inside: Inside, site: Site) -> None:
    inside.open_terminal()
    page.mouse.click(500, 300)
    before = picture(page)
    page.keyboard.type(f'echo "typed & $((6*7))" > {site.shared}/typed; seq 1 30')
    page.keyboard.press("Enter")
    assert written(site, "typed") == "typed & 42\n"
    wait_for_picture(page, lambda now: changed_pixels(before, now) > 2000, 5, "what was typed")


def written(site: Site, name: str) -> str:
    file = site.shared / name
    return eventually(lambda: file.exists() and file.read_text(), 5, f"{name} was not written")  # type: ignore[return-value]


def copy_and_paste_korean(page: Page, inside: Inside, site: Site) -> None:
    # Coming back to the window brings along what was copied elsewhere.
    page.evaluate("text => navigator.clipboard.writeText(text)", KOREAN)
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    eventually(lambda: inside.clipboard() == KOREAN, 5, "the clipboard of the browser in the desktop")
    # So does pasting, with what was copied just now.
    page.evaluate("text => navigator.clipboard.writeText(text)", KOREAN + " 둘")
    page.keyboard.type(f"cat > {site.shared}/pasted")
    page.keyboard.press("Enter")
    before = settled_picture(page)
    page.keyboard.press("Control+Shift+KeyV")
    wait_for_picture(page, lambda now: changed_pixels(before, now) > 400, 5, "what was pasted")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+KeyD")
    assert written(site, "pasted") == KOREAN + " 둘\n"
    inside.copy(KOREAN[::-1])
    there = "async () => await navigator.clipboard.readText()"
    eventually(lambda: page.evaluate(there) == KOREAN[::-1], 5, "the clipboard of the desktop in the browser")


def lose_the_portal(page: Page, inside: Inside, site: Site) -> None:
    site.kill()
    expect(page.get_by_test_id("reconnecting")).to_be_visible()
    expect(page.get_by_test_id("desktop-view")).to_have_attribute("data-state", "reconnecting")
    page.wait_for_timeout(1500)
    site.start()
    began = time.monotonic()
    expect(page.get_by_test_id("desktop-view")).to_have_attribute("data-state", "connected")
    assert time.monotonic() - began < 3.0, "the page came back late"
    open_desktop(page)
    expect(page.get_by_test_id("reconnecting")).to_be_hidden()
    page.keyboard.type(f"echo back > {site.shared}/back")
    page.keyboard.press("Enter")
    assert written(site, "back") == "back\n"


def lose_one_portal_after_the_other(page: Page, site: SiteOfTwo) -> None:
    """Whichever carries the picture: it comes back through the one that is left, and the keys with it."""
    for number, portal in enumerate(site.portals):
        portal.kill()
        word = f"left{number}"

        def typed(word: str = word) -> bool:
            if page.get_by_test_id("desktop-view").get_attribute("data-state") != "connected":
                return False
            page.keyboard.type(f"echo {word} > {site.shared}/{word}")
            page.keyboard.press("Enter")
            page.wait_for_timeout(300)
            return (site.shared / word).exists()

        eventually(typed, 15, f"the desktop is lost with portal {number}")
        PortalProcess.start(portal)


def come_back_elsewhere(page: Page, other: Page, site: Site) -> Page:
    """Leaves the desktop, and opens it in another browser."""
    show_bar(page)
    page.get_by_test_id("back").click()
    expect(page.get_by_test_id("session")).to_have_attribute("data-state", "ready")
    other.goto("/")
    sign_in(other)
    other.get_by_test_id("open").click()
    open_desktop(other)
    other.mouse.click(500, 300)
    other.keyboard.type(f"echo elsewhere > {site.shared}/elsewhere")
    other.keyboard.press("Enter")
    assert written(site, "elsewhere") == "elsewhere\n"
    return other


def end_it(page: Page) -> None:
    show_bar(page)
    page.get_by_test_id("desktop-bar").get_by_test_id("end").click()
    page.get_by_test_id("confirm").get_by_role("button", name="Cancel").click()
    expect(page.get_by_test_id("desktop-view")).to_have_attribute("data-state", "connected")
    page.get_by_test_id("desktop-bar").get_by_test_id("end").click()
    page.get_by_test_id("confirm-action").click()
    expect(page.get_by_test_id("over-card")).to_contain_text("It was ended on request.")
    page.get_by_test_id("over-card").get_by_role("link", name="All desktops").click()
    expect(page.get_by_test_id("empty")).to_be_visible()
    page.get_by_test_id("ended").get_by_role("button").first.click()
    expect(page.get_by_test_id("ended-session").get_by_test_id("state")).to_have_attribute("data-state", "ended")
