"""A start that fails says why, what to do, and can be tried again once that is done."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MakeContext
from tests.browser.screen import open_desktop, show_bar
from tests.browser.site import Site
from tests.browser.watch import watch_of
from tests.support import displays
from tests.support.waiting import eventually


@pytest.fixture
def foreign_display(tmp_path: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """An X server that somebody else runs, and its number."""
    number = displays.take_range()[0]
    server = subprocess.Popen(
        # TigerVNC 1.15 does not start without anything to listen on.
        ["Xvnc", f":{number}", "-rfbport", "-1", "-rfbunixpath", tmp_path / "foreign.sock", "-SecurityTypes", "None"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: os.path.exists(f"/tmp/.X11-unix/X{number}"), 15, "the foreign X server does not start")
        yield number, server
    finally:
        stop(server)
        displays.give_back(number)


def stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    server.wait(10)


@pytest.fixture
def crowded_site(accounts: None, foreign_display: tuple[int, subprocess.Popen[bytes]]) -> Iterator[Site]:
    """A site whose only display is the foreign one; one desktop for each person."""
    only = str(foreign_display[0])
    with Site(VNC_FIRST_DISPLAY=only, VNC_LAST_DISPLAY=only, VNC_SESSIONS_PER_PERSON="1") as site:
        yield site


def test_no_free_display_is_explained_and_mended(
    crowded_site: Site, foreign_display: tuple[int, subprocess.Popen[bytes]], open_browser: MakeContext
) -> None:
    context = open_browser(crowded_site, crowded_site.boss)
    watch_of(context).allow("status of 409")
    page = context.new_page()
    page.goto("/desktops")
    page.get_by_test_id("new-desktop-first").click()
    expect(page.get_by_test_id("over-card").get_by_test_id("problem")).to_have_attribute("data-code", "no_free_display")
    page.get_by_role("link", name="All desktops").click()
    card = page.get_by_test_id("session")
    expect(card).to_have_attribute("data-state", "failed")
    problem = card.get_by_test_id("problem")
    expect(problem).to_have_attribute("data-code", "no_free_display")
    sentences = [text for text in problem.locator("p").all_inner_texts() if text.strip()]
    assert len(sentences) == 3, f"title, detail and hint, but: {sentences}"
    log_is_one_click_away(page)
    stop(foreign_display[1])
    card.get_by_test_id("try-again").click()
    open_desktop(page)
    show_bar(page)
    page.get_by_test_id("back").click()
    expect(card).to_have_count(1)
    expect(card).to_have_attribute("data-state", "ready")
    one_more_is_refused(page)


def log_is_one_click_away(page: Page) -> None:
    page.get_by_test_id("open-log").click()
    log = page.get_by_test_id("log-dialog")
    expect(log.locator("pre")).to_contain_text("display")
    page.keyboard.press("Escape")
    expect(log).to_be_hidden()
    expect(page.get_by_test_id("open-log")).to_be_focused()


def one_more_is_refused(page: Page) -> None:
    page.get_by_test_id("new-desktop").click()
    problem = page.get_by_test_id("problem")
    expect(problem).to_have_attribute("data-code", "limit_reached")
    expect(page.get_by_test_id("session")).to_have_count(1)


def test_a_start_is_cancelled(site: Site, page: Page) -> None:
    page.goto("/desktops")
    page.get_by_test_id("new-desktop-first").click()
    page.get_by_test_id("cancel-start").click()
    expect(page.get_by_test_id("over-card")).to_be_visible()
    page.get_by_role("link", name="All desktops").click()
    expect(page.get_by_test_id("empty")).to_be_visible()


def test_an_unknown_desktop_says_so(page: Page) -> None:
    watch_of(page.context).allow("status of 404")
    page.goto("/desktops/nosuchdesktop")
    expect(page.get_by_test_id("over-card")).to_contain_text("This desktop does not exist")
    page.get_by_role("link", name="All desktops").click()
    expect(page.get_by_test_id("empty")).to_be_visible()
