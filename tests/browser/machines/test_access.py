"""axe looks at each view of machines in both themes: nothing serious may be found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import DESK, PHONE
from tests.browser.machines.house import MachineSite, choose_from_menu, open_console, show_console_bar
from tests.browser.machines.test_hardware import define
from tests.browser.site import Person
from tests.browser.test_access import findings
from tests.browser.test_page import SMALL_TARGETS

Look = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def dweller(site: MachineSite) -> Iterator[Person]:
    """An administrator with a machine that runs with something pending, one that is off and cannot start."""
    person = site.person("areum", "정아름", roles=("admin", "member"))
    running = site.machine(person, name="Web server", notes="nginx", start=True, iso_path=site.iso("tiny.iso"))
    site.until(person, running["id"], lambda one: one["current_boot_device"] == "hd" and one["suggestions"])
    person.http.post(f"/api/vms/{running['id']}/boot-order", json={"boot_order": "hd"})
    rescue = site.machine(person, name="Rescue", boot_order="cdrom")
    person.http.patch(f"/api/vms/{running['id']}/hardware", json={"memory_bytes": 2 * running["memory_bytes"]})
    for name in ("data", "spare"):
        person.http.post(f"/api/vms/{rescue['id']}/disks", json={"name": name, "size_gb": 1})
    spare = next(one for one in person.http.get("/api/vms/disks").json() if one["name"] == "spare")
    person.http.post(f"/api/vms/{rescue['id']}/disks/detach", json={"disk": spare["id"]})
    person.http.post(f"/api/vms/{rescue['id']}/snapshots", json={"title": "Before"})
    person.http.post(f"/api/vms/{rescue['id']}/backups")
    golden = site.machine(person, name="Golden")
    person.http.post(f"/api/vms/{golden['id']}/template", json={"template": True})
    define(site, "legacy", str(site.libvirtd.pool / "legacy.qcow2"))
    yield person
    site.libvirtd.virsh("undefine", "legacy")
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
    look_at_disks(pages[1], look)
    look_at_copies(pages[1], look)
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
    page.goto("/machines/disks")
    page.get_by_test_id("further-disk").first.wait_for()
    look(page, size + "disks")
    page.goto("/machines/strangers")
    page.get_by_test_id("stranger").wait_for()
    look(page, size + "machines of libvirt")
    for name in ("Rescue", "Web server"):
        page.goto("/machines")
        page.get_by_test_id("machine-name").get_by_text(name).click()
        page.get_by_test_id("history").wait_for()
        page.wait_for_load_state("networkidle")
        look(page, size + name)


def open_machine(page: Page, name: str) -> None:
    page.goto("/machines")
    page.get_by_test_id("machine-name").get_by_text(name).click()
    page.get_by_test_id("machine-view").wait_for()


def look_at_dialog(page: Page, look: Look, dialog: str, name: str) -> None:
    """One that opens now."""
    page.get_by_test_id(dialog).wait_for()
    look(page, name)
    page.keyboard.press("Escape")
    page.get_by_test_id(dialog).wait_for(state="hidden")


def look_at_disks(page: Page, look: Look) -> None:
    open_machine(page, "Rescue")
    for opener, dialog in (("add-disk", "add-disk-dialog"), ("attach-disk", "attach-dialog")):
        page.get_by_test_id(opener).click()
        look_at_dialog(page, look, dialog, opener)
    for item, dialog in (("Move to another machine…", "place-dialog"), ("Grow…", "grow-dialog")):
        choose_from_menu(page, "disk-menu", item)
        look_at_dialog(page, look, dialog, f"disk: {item}")
    page.goto("/machines/disks")
    free = page.get_by_test_id("free-disks")
    for item, dialog in (("Attach to a machine…", "place-dialog"), ("Delete…", "remove-disk-dialog")):
        free.get_by_test_id("disk-menu").click()
        page.get_by_role("menuitem", name=item, exact=True).click()
        look_at_dialog(page, look, dialog, f"free disk: {item}")
    page.goto("/machines/strangers")
    page.get_by_test_id("adopt").click()
    look_at_dialog(page, look, "adopt-dialog", "adopt")


def look_at_copies(page: Page, look: Look) -> None:
    """What asks before snapshots and backups, and who else may use a machine."""
    open_machine(page, "Rescue")
    choose_from_menu(page, "machine-menu", "Share…")
    look_at_dialog(page, look, "share-dialog", "share")
    page.get_by_test_id("snapshot").click()
    look(page, "name of a snapshot")
    for opener in ("revert", "drop-snapshot"):
        page.get_by_test_id(opener).click()
        look_at_dialog(page, look, "confirm", opener)
    for item, dialog in (
        ("Restore…", "confirm"), ("Delete", "confirm"), ("New machine from it…", "clone-dialog"),
    ):  # fmt: skip
        choose_from_menu(page, "backup-menu", item)
        look_at_dialog(page, look, dialog, f"backup: {item}")
    open_machine(page, "Golden")
    choose_from_menu(page, "machine-menu", "New machine from it…")
    look_at_dialog(page, look, "clone-dialog", "clone")


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
        ("describe", "describe-dialog"), ("hardware", "hardware-dialog"), ("apply-now", "confirm"),
        ("act-shut_down", "confirm"),
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
