"""The whole way of a machine in the browser: installed, booted from its disk, used, turned back to its CD, deleted."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.machines.house import (
    GUEST,
    MachineSite,
    choose_from_menu,
    confirm,
    console_picture,
    expect_booted_from,
    expect_state,
    open_console,
    show_console_bar,
    suggestion,
    type_in_console,
    view,
)
from tests.browser.site import Person
from tests.browser.watch import watch_of
from tests.support.libvirt import Serial
from tests.support.waiting import eventually

NAME = 'Tiny "하나" <1> & ok'


def test_a_machine_is_installed_used_and_turned_back_to_its_cd(page: Page, site: MachineSite, owner: Person) -> None:
    machine = create(page)
    see_it_install_and_boot_its_disk(page)
    answer_the_suggestions(page)
    site.until(owner, machine, lambda one: one["agent"])
    write_a_file_on_its_screen(page, site, machine)
    cycle_its_power(page)
    see_the_file(site, owner, machine)
    boot_the_cd_again(page, site, owner, machine)
    go_back_to_the_disk(page)
    see_the_file(site, owner, machine)


def create(page: Page) -> str:
    page.goto("/machines")
    page.get_by_test_id("new-machine-first").click()
    dialog = page.get_by_test_id("new-dialog")
    expect(dialog.locator("[name=iso]")).to_have_value(re.compile("tiny.iso$"))  # the only one there is
    dialog.get_by_test_id("create").click()
    expect(dialog).to_contain_text("Give it a name.")
    dialog.get_by_label("Name").fill(NAME)
    dialog.locator("[name=cpus]").fill("1")
    dialog.locator("[name=memory]").fill("0.1875")
    dialog.locator("[name=disk]").fill("0.3")
    expect(dialog).to_contain_text("are free in the pool")
    dialog.get_by_test_id("create").click()
    page.wait_for_url(re.compile(r"/machines/[0-9a-f-]{36}$"), timeout=60_000)
    expect(page.get_by_role("heading", level=1, name=NAME)).to_be_visible()
    return page.url.rpartition("/")[2]


def see_it_install_and_boot_its_disk(page: Page) -> None:
    expect_state(page, "running")
    expect(page.get_by_test_id("installation").first).to_have_attribute("data-status", "Installing", timeout=GUEST)
    expect(page.get_by_test_id("thumbnail")).to_be_visible(timeout=30_000)
    expect(page.get_by_test_id("order").locator("xpath=self::*[@data-order='cdrom_hd']")).to_be_checked()
    # Nobody touches it: its installer restarts, and it boots its disk all the same.
    expect_booted_from(page, "hd")
    expect(page.get_by_test_id("order").locator("xpath=self::*[@data-order='cdrom_hd']")).to_be_checked()


def answer_the_suggestions(page: Page) -> None:
    expect(suggestion(page, "disk_first").get_by_test_id("suggest-disk-first")).to_be_visible()
    suggestion(page, "mark_installed").get_by_test_id("suggest-tidy").click()
    expect(page.get_by_test_id("installation").first).to_have_attribute("data-status", "Installed", timeout=60_000)
    expect(page.get_by_test_id("order").locator("xpath=self::*[@data-order='hd_cdrom']")).to_be_checked(timeout=30_000)
    expect(page.get_by_test_id("drive").first).to_have_attribute("data-iso", "", timeout=30_000)
    expect(page.get_by_test_id("snapshot-row")).to_have_attribute("data-title", "Installed", timeout=30_000)
    expect(page.get_by_test_id("suggestion")).to_have_count(0)


def write_a_file_on_its_screen(page: Page, site: MachineSite, machine: str) -> None:
    serial = Serial(site.libvirtd, machine)
    try:
        page.get_by_test_id("console").click()
        open_console(page)
        before = console_picture(page)
        type_in_console(page, "echo kept-by-hand >/kept; sync")
        eventually(lambda: serial.run("cat /kept 2>/dev/null") == "kept-by-hand", 30, "what was typed did not arrive")
        assert console_picture(page).tobytes() != before.tobytes(), "the screen did not show what was typed"
    finally:
        serial.close()


def see_the_file(site: MachineSite, owner: Person, machine: str) -> None:
    site.until(owner, machine, lambda one: one["agent"])
    serial = Serial(site.libvirtd, machine)
    try:
        assert serial.run("cat /kept") == "kept-by-hand", "the file is lost"
    finally:
        serial.close()


def cycle_its_power(page: Page) -> None:
    """From the console, as by the button."""
    show_console_bar(page)
    choose_from_menu(page, "power-menu", "Force off")
    confirm(page)
    card = page.get_by_test_id("off-card")
    expect(card).to_contain_text("The machine is off.", timeout=30_000)
    card.get_by_test_id("act-start").click()
    open_console(page)
    show_console_bar(page)
    page.get_by_test_id("console-bar").get_by_test_id("back").click()
    expect_booted_from(page, "hd")


def boot_the_cd_again(page: Page, site: MachineSite, owner: Person, machine: str) -> None:
    page.get_by_test_id("act-shut_down").click()
    confirm(page)
    expect_state(page, "shut_off")
    # Without a medium it says so, and offers what helps.
    watch_of(page.context).allow(r"the server responded with a status of 409 .*/action")
    page.locator("[data-testid=order][data-order=cdrom]").check()
    page.get_by_test_id("order-save").click()
    expect(suggestion(page, "no_medium")).to_be_visible()
    page.get_by_test_id("act-start").click()
    expect(page.get_by_test_id("problem")).to_have_attribute("data-code", "no_medium")
    page.get_by_test_id("fix-insert").click()
    dialog = page.get_by_test_id("insert-dialog")
    dialog.get_by_test_id("iso").check()
    dialog.get_by_test_id("insert-action").click()
    expect(page.get_by_test_id("drive").first).to_have_attribute("data-iso", "tiny.iso", timeout=30_000)
    page.get_by_test_id("act-start").click()
    expect_booted_from(page, "cdrom")
    site.until(owner, machine, lambda one: one["agent"])
    expect(page.get_by_test_id("installation").first).to_have_attribute("data-status", "Installed")


def go_back_to_the_disk(page: Page) -> None:
    page.get_by_test_id("boot-part").get_by_role("button", name="Disk", exact=True).click()
    pending = page.get_by_test_id("pending")
    expect(pending).to_contain_text("CD only → Disk only", timeout=30_000)
    pending.get_by_test_id("discard").click()
    expect(pending).to_be_hidden(timeout=30_000)
    page.get_by_test_id("boot-part").get_by_role("button", name="Disk", exact=True).click()
    pending.get_by_test_id("apply-now").click()
    confirm(page)
    expect_booted_from(page, "hd")
    expect(pending).to_be_hidden()


def test_it_is_grown_protected_and_deleted(page: Page, site: MachineSite, owner: Person) -> None:
    machine = site.machine(owner, name="Short 삶")
    page.goto(f"/machines/{machine['id']}")
    page.get_by_test_id("grow").click()
    dialog = page.get_by_test_id("grow-dialog")
    dialog.locator("[name=size_gb]").fill("0")
    expect(dialog.get_by_test_id("grow-action")).to_be_disabled()
    dialog.locator("[name=size_gb]").fill("1")
    dialog.get_by_test_id("grow-action").click()
    expect(page.get_by_test_id("disk-size")).to_have_text("1 GB", timeout=30_000)
    choose_from_menu(page, "machine-menu", "Protect from deletion")
    expect(page.get_by_text("Protected", exact=True)).to_be_visible()
    choose_from_menu(page, "machine-menu", "Delete…")
    expect(page.get_by_test_id("remove-dialog")).to_contain_text("is protected")
    page.get_by_test_id("remove-dialog").get_by_role("button", name="Take the protection away").click()
    remove = page.get_by_test_id("remove-dialog")
    remove.get_by_label(re.compile("^Type Short")).fill("Short")
    expect(remove.get_by_test_id("remove-action")).to_be_disabled()
    remove.get_by_label(re.compile("^Type Short")).fill("Short 삶")
    remove.get_by_test_id("remove-action").click()
    page.wait_for_url(re.compile("/machines$"))
    expect(page.locator(f"[data-testid=machine][data-id='{machine['id']}']")).to_have_count(0, timeout=30_000)
    assert not (site.libvirtd.pool / machine["id"]).exists(), "its disk is still there"
    assert view(page).count() == 0
