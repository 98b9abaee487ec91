"""axe looks at each view of machines in both themes: nothing serious may be found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import DESK, PHONE
from tests.browser.machines import MachineSite, choose_from_menu, machine_site, open_console, show_console_bar
from tests.browser.site import Person
from tests.browser.test_access import findings
from tests.browser.test_page import SMALL_TARGETS

Look = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def site(accounts: None) -> Iterator[MachineSite]:
    with machine_site() as site:
        yield site


@pytest.fixture(scope="module")
def dweller(site: MachineSite) -> Iterator[Person]:
    """An administrator with a machine that runs with something pending, one that is off and cannot start."""
    person = site.person("areum", "정아름", roles=("admin", "member"))
    running = site.machine(person, name="Web server", notes="nginx", start=True, iso_path=site.iso("tiny.iso"))
    site.until(person, running["id"], lambda one: one["current_boot_device"] == "hd" and one["suggestions"])
    person.http.post(f"/api/vms/{running['id']}/boot-order", json={"boot_order": "hd"})
    site.machine(person, name="Rescue", boot_order="cdrom")
    yield person
    site.delete_machines(person)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_views_are_accessible(chromium: Browser, site: MachineSite, dweller: Person, theme: str) -> None:
    found: dict[str, list[str]] = {}

    def look(page: Page, name: str) -> None:
        if problems := findings(page):
            found[name] = problems

    def open_page(who: Person, **options: Any) -> Page:
        settings: dict[str, Any] = {"base_url": site.url, "locale": "en-GB", "bypass_csp": True, "color_scheme": theme}
        context = chromium.new_context(**(settings | options))
        context.add_cookies([{"name": "madang_sign_in", "value": who.cookie, "url": site.url}])
        return context.new_page()

    pages = [open_page(site.person(), viewport=DESK), open_page(dweller, viewport=DESK), open_page(dweller, **PHONE)]
    pages[0].goto("/machines")
    pages[0].get_by_test_id("empty").wait_for()
    look(pages[0], "no machines")
    for page, size in ((pages[1], ""), (pages[2], "phone ")):
        look_at_places(page, size, look)
    # A choice's whole label is its target.
    small = [one for one in pages[2].evaluate(SMALL_TARGETS) if 'type="radio"' not in one]
    look_at_dialogs(pages[1], look)
    look_at_console(pages[1], look)
    for page in pages:
        page.context.close()
    assert not found, "\n".join(f"{name}:\n  " + "\n  ".join(problems) for name, problems in found.items())
    assert not small, small


def look_at_places(page: Page, size: str, look: Look) -> None:
    page.goto("/machines")
    page.get_by_test_id("machine").first.wait_for()
    look(page, size + "machines")
    page.get_by_test_id("as-table").click()
    page.get_by_test_id("machine-table").wait_for()
    look(page, size + "table")
    page.get_by_role("button", name="Cards").click()
    page.goto("/machines/isos")
    page.get_by_test_id("catalogue-iso").wait_for()
    look(page, size + "isos")
    for name in ("Rescue", "Web server"):
        page.goto("/machines")
        page.get_by_test_id("machine-name").get_by_text(name).click()
        page.get_by_test_id("history").wait_for()
        page.wait_for_load_state("networkidle")
        look(page, size + name)


def look_at_dialogs(page: Page, look: Look) -> None:
    page.goto("/machines")
    page.get_by_test_id("new-machine").click()
    page.get_by_test_id("advanced").locator("summary").click()
    page.get_by_test_id("create").click()
    look(page, "new machine")
    page.keyboard.press("Escape")
    page.get_by_test_id("machine-name").get_by_text("Web server").click()
    for opener, dialog in (
        ("insert", "insert-dialog"), ("grow", "grow-dialog"), ("keep-preset", "preset-dialog"),
        ("describe", "describe-dialog"), ("apply-now", "confirm"), ("act-shut_down", "confirm"),
    ):  # fmt: skip
        page.get_by_test_id(opener).first.click()
        page.get_by_test_id(dialog).wait_for()
        look(page, opener)
        page.keyboard.press("Escape")
        page.get_by_test_id(dialog).wait_for(state="hidden")
    page.get_by_test_id("machine-menu").click()
    page.get_by_role("menuitem").first.wait_for()
    look(page, "menu of a machine")
    page.keyboard.press("Escape")
    page.goto("/machines")
    page.get_by_test_id("machine-name").get_by_text("Rescue").click()
    choose_from_menu(page, "machine-menu", "Delete…")
    page.get_by_test_id("remove-dialog").wait_for()
    look(page, "delete")
    page.keyboard.press("Escape")


def look_at_console(page: Page, look: Look) -> None:
    page.goto("/machines")
    page.get_by_test_id("console").click()
    open_console(page)
    show_console_bar(page)
    look(page, "console")
    page.goto(page.url.replace("/console", "/serial"))
    page.locator("[data-testid=serial-view][data-state=open]").wait_for()
    look(page, "serial console")
    page.goto("/machines")
    page.get_by_test_id("machine-name").get_by_text("Rescue").click()
    page.goto(f"{page.url}/console")
    page.get_by_test_id("off-card").wait_for()
    look(page, "console of a machine that is off")
