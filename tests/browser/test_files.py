"""Files: dropped on the desktop, chosen, listed, taken home."""

from __future__ import annotations

import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import JSHandle, Locator, Page, expect

from tests.browser.conftest import PHONE, MakeContext
from tests.browser.inside import Inside
from tests.browser.offers import own_desktop
from tests.browser.screen import open_desktop, show_bar
from tests.browser.site import Person, Site
from tests.browser.watch import watch_of
from tests.support.waiting import eventually

LARGEST = 40_000_000  # of the site of these tests
CARRY = """files => {
  const carried = new DataTransfer();
  for (const [name, text] of files) carried.items.add(new File([text], name));
  return carried;
}"""


@pytest.fixture(scope="module")
def desktop(site: Site) -> Iterator[tuple[Person, str, Path]]:
    """Its person, its id, and the folder where dropped files go."""
    person = site.person()
    session = own_desktop(person, name="Files")
    home = Path(pwd.getpwnam(Inside(session).account).pw_dir)
    folder = eventually(lambda: home / "Desktop" if (home / "Desktop").is_dir() else None, 10, "the desktop's folder")
    yield person, session, folder  # type: ignore[misc]
    for left in folder.glob("test-*"):
        left.unlink(missing_ok=True)
    site.end_desktops(person)


@pytest.fixture
def view(site: Site, desktop: tuple[Person, str, Path], open_browser: MakeContext) -> Page:
    page = open_browser(site, desktop[0]).new_page()
    page.goto(f"/desktops/{desktop[1]}")
    open_desktop(page)
    return page


def drop(page: Page, *files: tuple[str, str]) -> None:
    carried: JSHandle = page.evaluate_handle(CARRY, list(files))
    screen = page.get_by_test_id("desktop-screen")
    screen.dispatch_event("dragenter", {"dataTransfer": carried})
    expect(page.get_by_test_id("drop")).to_be_visible()
    screen.dispatch_event("drop", {"dataTransfer": carried})
    expect(page.get_by_test_id("drop")).to_be_hidden()


def upload(page: Page, name: str) -> Locator:
    return page.get_by_test_id("upload").filter(has_text=name).last


def test_dropped_files_arrive(view: Page, desktop: tuple[Person, str, Path]) -> None:
    drop(view, ("test-보고서.txt", "안녕하세요"), ("test-two.txt", "2" * 100_000))
    for name in ("test-보고서.txt", "test-two.txt"):
        expect(upload(view, name)).to_have_attribute("data-state", "done")
    assert (desktop[2] / "test-보고서.txt").read_text() == "안녕하세요"
    assert (desktop[2] / "test-two.txt").stat().st_size == 100_000
    drop(view, ("test-two.txt", "another"))
    expect(upload(view, "test-two.txt")).to_contain_text("uploaded as test-two (2).txt, because the name was taken")
    assert (desktop[2] / "test-two.txt").stat().st_size == 100_000, "an upload wrote over a file"
    view.get_by_test_id("uploads-clear").click()
    expect(view.get_by_test_id("uploads")).to_be_hidden()


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(view: Page) -> None:
    carried = view.evaluate_handle(
        "size => { const carried = new DataTransfer();"
        " carried.items.add(new File([new Uint8Array(size)], 'test-huge.bin')); return carried; }",
        LARGEST + 1,
    )
    view.get_by_test_id("desktop-screen").dispatch_event("drop", {"dataTransfer": carried})
    expect(upload(view, "test-huge.bin")).to_contain_text("Too large: at most 40 MB.")


def test_an_upload_shows_its_progress_and_is_cancelled(view: Page, desktop: tuple[Person, str, Path]) -> None:
    watch_of(view.context).allow("net::ERR_")
    devtools = view.context.new_cdp_session(view)
    devtools.send("Network.enable")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 400_000}
    devtools.send("Network.emulateNetworkConditions", slow)
    carried = view.evaluate_handle(
        "() => { const carried = new DataTransfer();"
        " carried.items.add(new File([new Uint8Array(20000000)], 'test-slow.bin')); return carried; }"
    )
    view.get_by_test_id("desktop-screen").dispatch_event("drop", {"dataTransfer": carried})
    row = upload(view, "test-slow.bin")
    expect(row).to_contain_text("of 20 MB")
    expect(row.get_by_role("progressbar")).to_be_visible()
    row.get_by_test_id("upload-cancel").click()
    expect(row).to_have_attribute("data-state", "cancelled")
    devtools.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
    eventually(lambda: not list(desktop[2].glob("*test-slow*")), 10, "what was cancelled stays")


def test_a_folder_is_listed_and_a_file_taken_home(view: Page, desktop: tuple[Person, str, Path]) -> None:
    (desktop[2] / "test-take.txt").write_text("가져가기")
    show_bar(view)
    view.get_by_test_id("bar-menu").click()
    view.get_by_role("menuitem", name="Files…").click()
    dialog = view.get_by_test_id("files-dialog")
    row = dialog.locator("[data-testid=file][data-name='test-take.txt']")
    expect(row).to_contain_text("12 byte")
    with view.expect_download() as coming:
        row.get_by_test_id("download").click()
    assert coming.value.suggested_filename == "test-take.txt"
    assert Path(coming.value.path()).read_text() == "가져가기"
    dialog.get_by_role("button", name="One folder up").click()
    expect(dialog.locator("[data-testid=file][data-name=Desktop]")).to_have_attribute("data-kind", "folder")
    expect(dialog.locator("[data-testid=file][data-name='.config']")).to_have_count(0)
    dialog.get_by_label("Show hidden files").check()
    expect(dialog.locator("[data-testid=file][data-name='.config']")).to_be_visible()
    dialog.get_by_role("button", name="Open the folder Desktop").click()
    expect(row).to_be_visible()


def test_a_phone_uploads_with_the_button(
    site: Site, desktop: tuple[Person, str, Path], open_browser: MakeContext
) -> None:
    page = open_browser(site, desktop[0], locale="ko-KR", **PHONE).new_page()
    page.goto("/desktops")
    page.get_by_test_id("session-menu").click()
    page.get_by_role("menuitem", name="파일…").click()
    dialog = page.get_by_test_id("files-dialog")
    picked = {"name": "test-phone.txt", "mimeType": "text/plain", "buffer": "전화에서".encode()}
    dialog.get_by_test_id("files-picker").set_input_files([picked])
    expect(upload(page, "test-phone.txt")).to_contain_text("올렸습니다")
    expect(dialog.locator("[data-testid=file][data-name='test-phone.txt']")).to_be_visible()
    assert (desktop[2] / "test-phone.txt").read_text() == "전화에서"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
