"""The full window of a desktop: Korean input, size, full screen, keys, quality, touch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, WebSocket, expect

from tests.browser.conftest import PHONE, MakeContext
from tests.browser.inside import Inside
from tests.browser.screen import changed_pixels, open_desktop, settled_picture, show_bar, wait_for_picture
from tests.browser.site import Person, Site
from tests.support.waiting import eventually

Desktop = tuple[Person, str, Inside]


@pytest.fixture(scope="module")
def desktop(site: Site) -> Iterator[Desktop]:
    """A desktop with a terminal that has the keyboard."""
    person = site.person()
    session = str(person.http.start_desktop(width=1440, height=900)["id"])
    inside = Inside(session)
    inside.open_terminal()
    yield person, session, inside
    inside.close()
    site.end_desktops(person)


@pytest.fixture
def view(site: Site, desktop: Desktop, open_browser: MakeContext) -> Page:
    page = open_browser(site, desktop[0]).new_page()
    page.goto(f"/desktops/{desktop[1]}")
    open_desktop(page)
    page.mouse.click(500, 300)
    return page


def compose(page: Page, steps: list[str], text: str) -> None:
    """What an input method does: letters that change while they are composed, then the text."""
    devtools = page.context.new_cdp_session(page)
    for step in steps:
        devtools.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", "key": "Process", "windowsVirtualKeyCode": 229})
        end = len(step)
        devtools.send("Input.imeSetComposition", {"text": step, "selectionStart": end, "selectionEnd": end})
        devtools.send("Input.dispatchKeyEvent", {"type": "keyUp", "key": "Process", "windowsVirtualKeyCode": 229})
    devtools.send("Input.insertText", {"text": text})
    devtools.detach()


def test_hangul_of_an_input_method_arrives_as_hangul(view: Page, desktop: Desktop, site: Site) -> None:
    view.keyboard.type(f"cat > {site.shared}/hangul")
    view.keyboard.press("Enter")
    compose(view, ["ㅎ", "하", "한"], "한")
    compose(view, ["ㄱ", "그", "글"], "글")
    view.keyboard.type(" and ")
    compose(view, ["ㅎ", "화"], "화")
    expect(view.get_by_test_id("composing")).to_be_hidden()
    view.keyboard.press("Enter")
    view.keyboard.press("Control+KeyD")
    file = site.shared / "hangul"
    eventually(lambda: file.exists() and file.read_text(), 8, "nothing arrived")
    assert file.read_text() == "한글 and 화\n"


def test_what_is_composed_is_shown_until_it_is_done(view: Page) -> None:
    devtools = view.context.new_cdp_session(view)
    devtools.send("Input.imeSetComposition", {"text": "가", "selectionStart": 1, "selectionEnd": 1})
    expect(view.get_by_test_id("composing")).to_have_text("가")
    devtools.send("Input.imeSetComposition", {"text": "", "selectionStart": 0, "selectionEnd": 0})
    expect(view.get_by_test_id("composing")).to_be_hidden()


def test_korean_is_copied_and_pasted_by_the_keys_of_people(view: Page, desktop: Desktop, site: Site) -> None:
    inside, text = desktop[2], "붙여넣은 글, 123 €"
    view.evaluate("text => navigator.clipboard.writeText(text)", text)
    view.keyboard.type(f"cat > {site.shared}/pasted-by-keys")
    view.keyboard.press("Enter")
    before = settled_picture(view)
    view.keyboard.press("Control+Shift+KeyV")
    wait_for_picture(view, lambda now: changed_pixels(before, now) > 400, 8, "what was pasted")
    view.keyboard.press("Enter")
    view.keyboard.press("Control+KeyD")
    file = site.shared / "pasted-by-keys"
    eventually(lambda: file.exists() and file.read_text() == text + "\n", 8, "the text did not arrive")
    inside.copy("안에서 복사한 글")
    there = "async () => await navigator.clipboard.readText()"
    eventually(lambda: view.evaluate(there) == "안에서 복사한 글", 8, "the clipboard of the desktop in the browser")


def test_text_is_handed_over_by_hand_where_the_browser_shares_no_clipboard(view: Page, desktop: Desktop) -> None:
    show_bar(view)
    view.get_by_test_id("clipboard").click()
    panel = view.get_by_test_id("clipboard-panel")
    panel.get_by_label("To the desktop").fill("손으로 넘긴 글")
    panel.get_by_role("button", name="Hand over").click()
    eventually(lambda: desktop[2].clipboard() == "손으로 넘긴 글", 8, "the text did not arrive")
    desktop[2].copy("안에서 온 글")
    expect(panel.get_by_label("From the desktop")).to_have_value("안에서 온 글")


def test_the_screen_follows_the_window(view: Page, desktop: Desktop) -> None:
    inside = desktop[2]
    view.set_viewport_size({"width": 1100, "height": 700})
    eventually(lambda: inside.screen_size() == (1100, 700), 8, lambda: f"the screen is {inside.screen_size()}")
    wait_for_picture(view, lambda image: image.size == (1100, 700), 8, "a picture of the new size")
    view.set_viewport_size({"width": 1440, "height": 900})
    eventually(lambda: inside.screen_size() == (1440, 900), 8, lambda: f"the screen is {inside.screen_size()}")


def test_scaling_leaves_the_screen_as_it_is(view: Page, desktop: Desktop) -> None:
    choose(view, "Scale to fit")
    view.set_viewport_size({"width": 1000, "height": 800})
    canvas = view.locator("[data-testid=desktop-screen] canvas")
    eventually(lambda: (canvas.bounding_box() or {}).get("width") == 1000, 5, "the picture did not shrink")
    assert desktop[2].screen_size() == (1440, 900)
    view.reload()
    open_desktop(view)
    assert desktop[2].screen_size() == (1440, 900), "the choice was forgotten"


def choose(page: Page, name: str) -> None:
    show_bar(page)
    page.get_by_test_id("view-menu").click()
    page.get_by_role("menuitem", name=name).click()


def test_full_screen_and_back(view: Page) -> None:
    show_bar(view)
    view.get_by_test_id("full-screen").click()
    view.wait_for_function("document.fullscreenElement !== null")
    view.mouse.move(700, 20)
    button = view.get_by_test_id("full-screen")
    expect(button).to_have_attribute("aria-label", "Leave full screen")
    button.click()
    view.wait_for_function("document.fullscreenElement === null")


def test_ctrl_alt_delete_is_sent_and_the_keyboard_can_leave(view: Page, desktop: Desktop) -> None:
    inside, before = desktop[2], settled_picture(view)
    environment = os.environ | {key: inside.environment[key] for key in ("DISPLAY", "XAUTHORITY")}
    listener = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("keys_seen.py")],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert listener.stdout and listener.stdout.readline() == "listening\n"
        choose(view, "Send Ctrl-Alt-Del")
        assert [listener.stdout.readline().strip() for _ in range(3)] == ["Control_L", "Alt_L", "Delete"]
    finally:
        listener.kill()
        listener.wait()
    # XFCE asks whether to log out, over a darkened screen. Escape closes that again.
    wait_for_picture(view, lambda now: changed_pixels(before, now) > 150_000, 10, "XFCE's question")
    view.keyboard.press("Escape")
    wait_for_picture(view, lambda now: changed_pixels(before, now) < 40_000, 10, "the desktop without it")
    view.keyboard.press("Control+Alt+Shift")
    expect(view.get_by_test_id("back")).to_be_focused()
    view.keyboard.press("Escape")
    expect(view.get_by_test_id("desktop-keys")).to_be_focused()


def test_the_quality_is_chosen_and_kept(site: Site, desktop: Desktop, open_browser: MakeContext) -> None:
    page = open_browser(site, desktop[0]).new_page()
    levels: list[int] = []

    def sent(frame: str | bytes) -> None:
        data = frame.encode("latin-1") if isinstance(frame, str) else frame
        if data[:1] == b"\x02":  # SetEncodings: type, padding, number, encodings of four bytes
            encodings = [int.from_bytes(data[at : at + 4], "big", signed=True) for at in range(4, len(data), 4)]
            levels.extend(32 + number for number in encodings if -32 <= number <= -23)

    def opened(socket: WebSocket) -> None:
        if "/vncproxy/" in socket.url:
            socket.on("framesent", sent)

    page.on("websocket", opened)
    page.goto(f"/desktops/{desktop[1]}")
    open_desktop(page)
    choose(page, "Fast")
    eventually(lambda: page.wait_for_timeout(30) or levels[-1:] == [3], 5, lambda: f"the levels asked for: {levels}")
    page.reload()
    open_desktop(page)
    eventually(lambda: page.wait_for_timeout(30) or levels[-1:] == [3], 5, lambda: f"the levels asked for: {levels}")
    choose(page, "Sharp")
    eventually(lambda: page.wait_for_timeout(30) or levels[-1:] == [9], 5, lambda: f"the levels asked for: {levels}")


def test_two_browsers_see_the_same(site: Site, desktop: Desktop, view: Page, open_browser: MakeContext) -> None:
    other = open_browser(site, desktop[0]).new_page()
    other.goto(f"/desktops/{desktop[1]}")
    before = open_desktop(other)
    view.keyboard.type("clear; seq 1 40")
    view.keyboard.press("Enter")
    wait_for_picture(other, lambda now: changed_pixels(before, now) > 2000, 8, "what was typed in the first browser")


def test_a_phone_scales_the_desktop_and_types(site: Site, desktop: Desktop, open_browser: MakeContext) -> None:
    page = open_browser(site, desktop[0], **PHONE).new_page()
    page.goto(f"/desktops/{desktop[1]}")
    open_desktop(page)
    assert desktop[2].screen_size() == (1440, 900), "a phone's window is no size for a desktop"
    keys = page.get_by_test_id("desktop-keys")
    page.get_by_test_id("desktop-screen").tap(position={"x": 150, "y": 420})
    expect(keys).to_have_attribute("inputmode", "none")
    if page.get_by_test_id("show-bar").is_visible():
        page.get_by_test_id("show-bar").tap()
    page.get_by_test_id("keyboard").tap()
    expect(keys).to_have_attribute("inputmode", "text")
    expect(keys).to_be_focused()
    page.keyboard.insert_text(f"echo 전화 > {site.shared}/phone")
    page.keyboard.press("Enter")
    file = site.shared / "phone"
    eventually(lambda: file.exists() and file.read_text(), 8, "nothing arrived")
    assert file.read_text() == "전화\n"
