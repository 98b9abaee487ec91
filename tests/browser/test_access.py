"""axe looks at each main view in both themes: nothing serious may be found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import DESK, PHONE
from tests.browser.offers import presets
from tests.browser.screen import open_desktop, show_bar
from tests.browser.site import Person, Site

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
# The desktop's picture is no text of ours, and its colours are not ours to choose.
RUN = """async () => (await axe.run({ exclude: ['canvas'] }, {
  runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
})).violations"""


PLACES = (
    "/desktops", "/account", "/people", "/audit", "/nowhere", "/site/desktops", "/site/desktops/presets",
    "/site/desktops/limits", "/site/desktops/notice", "/site/desktops/usage",
)  # fmt: skip


@pytest.fixture(scope="module")
def dweller(site: Site) -> Iterator[Person]:
    """An administrator with a desktop that ends soon, on a site that has something to say."""
    person = site.person("areum", "정아름", roles=("admin", "member"))
    wanted = {"name": "Standard", "native": True}, {"name": "Large", "cpus": 8, "description": "For meshes."}
    with presets(site, *wanted):
        person.http.start_desktop(name="Data analysis", notes="Figures of chapter 3", time_limit_seconds=800)
        site.boss.http.put("/api/vnc/notice", json={"text": "New disks on Saturday."})
        yield person
        site.boss.http.put("/api/vnc/notice", json={"text": ""})
        site.end_desktops(person)


def findings(page: Page) -> list[str]:
    """What axe finds serious or critical."""
    page.evaluate(AXE.read_text())
    page.wait_for_timeout(250)  # what opens fades in
    found: list[dict[str, Any]] = page.evaluate(RUN)
    return [
        f"{one['impact']} {one['id']}: {one['help']}: {node['html'][:160]} | {node.get('failureSummary', '')[:220]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_views_are_accessible(chromium: Browser, site: Site, dweller: Person, person: Person, theme: str) -> None:
    found: dict[str, list[str]] = {}

    def look(page: Page, name: str) -> None:
        if problems := findings(page):
            found[name] = problems

    def open_page(who: Person | None, **options: Any) -> Page:
        context = chromium.new_context(
            **({"base_url": site.url, "locale": "en-GB", "bypass_csp": True, "color_scheme": theme} | options)
        )
        if who:
            context.add_cookies([{"name": "madang_sign_in", "value": who.cookie, "url": site.url}])
        return context.new_page()

    pages = [open_page(None, viewport=DESK)]
    pages[0].goto("/sign-in")
    pages[0].get_by_test_id("sign-in").click()
    look(pages[0], "sign-in")
    pages.append(open_page(person, viewport=DESK))
    pages[1].goto("/desktops")
    pages[1].get_by_test_id("empty").wait_for()
    look(pages[1], "no desktops")
    for page in (open_page(dweller, viewport=DESK), open_page(dweller, **PHONE)):
        pages.append(page)
        size = "phone " if page.viewport_size == PHONE["viewport"] else ""
        look_at_places(page, size, look)
    look_at_dialogs(pages[2], look)
    link = look_at_what_is_done(pages[2], look)
    look_at_operators_dialogs(pages[2], look)
    look_at_desktop(pages[2], look)
    pages.append(open_page(None, viewport=DESK))
    look_at_shared(pages[-1], link, look)
    for page in pages:
        page.context.close()
    assert not found, "\n".join(f"{name}:\n  " + "\n  ".join(problems) for name, problems in found.items())


def look_at_places(page: Page, size: str, look: Any) -> None:
    for path in PLACES:
        page.goto(path)
        page.get_by_role("heading", level=1).wait_for()
        page.wait_for_load_state("networkidle")
        look(page, size + path)


def look_at_dialogs(page: Page, look: Any) -> None:
    page.goto("/desktops")
    page.get_by_test_id("new-options").click()
    page.get_by_test_id("new-dialog").wait_for()
    page.get_by_test_id("advanced").locator("summary").click()
    look(page, "new desktop")
    page.keyboard.press("Escape")
    page.get_by_test_id("session-menu").click()
    look(page, "menu of a desktop")
    page.get_by_role("menuitem", name="Details").click()
    page.get_by_test_id("details-dialog").wait_for()
    look(page, "details with timeline")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+KeyK")
    page.get_by_test_id("palette").wait_for()
    look(page, "palette")
    page.keyboard.press("Escape")
    page.get_by_test_id("end").click()
    page.get_by_test_id("confirm").wait_for()
    look(page, "confirmation")
    page.keyboard.press("Escape")


def look_at_what_is_done(page: Page, look: Any) -> str:
    """The dialogs of the menu; gives a link to share."""
    link = ""
    for name, dialog in (
        ("Extend the time…", "extend-dialog"), ("Share…", "share-dialog"), ("Files…", "files-dialog"),
        ("Native client…", "native-dialog"), ("Repair…", "repair-dialog"), ("Name and notes…", "describe-dialog"),
    ):  # fmt: skip
        page.get_by_test_id("session-menu").click()
        page.get_by_role("menuitem", name=name).click()
        page.get_by_test_id(dialog).wait_for()
        if dialog == "share-dialog":
            page.get_by_test_id("share-guests").check()
            page.get_by_test_id("share-make").click()
            link = page.get_by_test_id("share-link").input_value()
        elif dialog == "native-dialog":
            page.get_by_test_id("native-open").click()
            page.get_by_test_id("native-password").wait_for()
        page.wait_for_load_state("networkidle")
        look(page, name)
        page.keyboard.press("Escape")
    return link


def look_at_operators_dialogs(page: Page, look: Any) -> None:
    page.goto("/site/desktops/presets")
    page.get_by_test_id("preset-edit").first.click()
    page.get_by_label("Runs").select_option("slurm")
    look(page, "preset")
    page.keyboard.press("Escape")
    page.goto("/site/desktops")
    page.get_by_test_id("end-for").first.click()
    look(page, "end with a message")
    page.keyboard.press("Escape")
    page.goto("/desktops")


def look_at_shared(page: Page, link: str, look: Any) -> None:
    page.goto(link)
    page.get_by_test_id("guest-name").wait_for()
    look(page, "invitation of a guest")
    page.get_by_test_id("guest-name").fill("손님")
    page.get_by_test_id("guest-enter").click()
    page.locator("[data-testid=desktop-view][data-pictured=true]").wait_for(timeout=25_000)
    look(page, "desktop of somebody else")


def look_at_desktop(page: Page, look: Any) -> None:
    page.get_by_test_id("open").click()
    open_desktop(page)
    show_bar(page)
    expect(page.get_by_test_id("desktop-bar")).to_be_visible()
    look(page, "desktop")
    page.get_by_test_id("view-menu").click()
    look(page, "menu of the desktop view")
