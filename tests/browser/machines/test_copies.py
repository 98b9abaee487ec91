"""Snapshots, backups, templates and sharing of machines in the page."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import MakeContext
from tests.browser.machines.house import MachineSite, choose_from_menu, confirm, expect_state
from tests.browser.site import Person
from tests.browser.watch import watch_of

AT_WORK = 60_000


def test_a_snapshot_is_taken_gone_back_to_and_removed(page: Page, site: MachineSite, owner: Person) -> None:
    machine = site.machine(owner, boot_order="hd_cdrom", start=True)
    page.goto(f"/machines/{machine['id']}")
    expect_state(page, "running")
    page.get_by_test_id("snapshot").click()
    page.get_by_label("Name of the snapshot").fill("처음 상태")
    page.get_by_test_id("snapshot-take").click()
    row = page.locator("[data-testid=snapshot-row][data-title='처음 상태']")
    expect(row).to_be_visible(timeout=AT_WORK)
    page.locator("[data-testid=order][data-order=hd]").check()
    page.get_by_test_id("order-save").click()
    expect(page.get_by_test_id("pending")).to_be_visible(timeout=20_000)
    row.get_by_test_id("revert").click()
    confirm(page)
    # It is as it was then, its boot order too.
    expect(page.locator("[data-testid=order][data-order=hd_cdrom]")).to_be_checked(timeout=AT_WORK)
    row.get_by_test_id("drop-snapshot").click()
    confirm(page)
    expect(row).to_have_count(0, timeout=AT_WORK)


def test_a_backup_is_made_verified_and_a_machine_made_of_it(page: Page, site: MachineSite, owner: Person) -> None:
    machine = site.machine(owner, name="Kept", boot_order="hd_cdrom", start=True)
    page.goto(f"/machines/{machine['id']}")
    expect_state(page, "running")
    page.get_by_test_id("back-up").click()
    backup = page.get_by_test_id("backup")
    expect(backup).to_have_count(1, timeout=AT_WORK)
    choose_from_menu(page, "backup-menu", "Verify")
    expect(backup).to_have_attribute("data-verified", "true", timeout=AT_WORK)
    choose_from_menu(page, "backup-menu", "New machine from it…")
    page.get_by_test_id("clone-dialog").get_by_label("Name").fill("From the backup")
    page.get_by_test_id("clone-action").click()
    expect(page.get_by_role("heading", level=1, name="From the backup")).to_be_visible(timeout=AT_WORK)
    expect_state(page, "shut_off", AT_WORK)


def test_machines_are_made_of_a_template(page: Page, site: MachineSite, owner: Person) -> None:
    machine = site.machine(owner, name="Golden")
    watch_of(page.context).allow(r"the server responded with a status of 409 .*/api/vms")
    page.goto(f"/machines/{machine['id']}")
    choose_from_menu(page, "machine-menu", "Make it a template")
    expect(page.get_by_text("Template", exact=True)).to_be_visible(timeout=20_000)
    expect(page.get_by_test_id("act-start")).to_have_count(0)
    choose_from_menu(page, "machine-menu", "New machine from it…")
    page.get_by_test_id("clone-dialog").get_by_label("Name").fill("Copy 1")
    page.get_by_test_id("clone-action").click()
    expect(page.get_by_role("heading", level=1, name="Copy 1")).to_be_visible(timeout=AT_WORK)
    expect_state(page, "shut_off", AT_WORK)
    expect(page.get_by_test_id("about-part")).to_contain_text("Linked clone")
    choose_from_menu(page, "machine-menu", "Make its disk whole")
    expect(page.get_by_test_id("about-part")).not_to_contain_text("Linked clone", timeout=AT_WORK)
    page.goto(f"/machines/{machine['id']}")
    choose_from_menu(page, "machine-menu", "Make it a machine again")
    expect(page.get_by_test_id("act-start")).to_be_visible(timeout=20_000)


def test_it_is_shared_to_be_looked_at_and_then_to_be_used(
    page: Page, site: MachineSite, owner: Person, open_browser: MakeContext
) -> None:
    machine = site.machine(owner, name="Ours", boot_order="hd_cdrom", start=True)
    other = site.person("haneul", "윤하늘")
    theirs = open_browser(site, other).new_page()
    theirs.goto("/machines")
    expect(theirs.get_by_test_id("empty")).to_be_visible()
    page.goto(f"/machines/{machine['id']}")
    choose_from_menu(page, "machine-menu", "Share…")
    dialog = page.get_by_test_id("share-dialog")
    dialog.get_by_label("Person").fill("haneul")
    dialog.get_by_test_id("share-action").click()
    expect(dialog.get_by_test_id("share")).to_contain_text("haneul")
    card = theirs.get_by_test_id("machine")
    expect(card).to_contain_text("Ours")  # by itself
    expect(card.get_by_test_id("thumbnail")).to_be_visible(timeout=20_000)
    expect(card.get_by_test_id("console")).to_have_count(0)
    expect(card.get_by_test_id("act-shut_down")).to_have_count(0)
    dialog.get_by_label("Person").fill("haneul")
    dialog.get_by_label("They may").select_option("operate")
    dialog.get_by_test_id("share-action").click()
    expect(card.get_by_test_id("console")).to_be_visible(timeout=20_000)
    card.get_by_test_id("machine-name").click()
    expect(theirs.get_by_test_id("boot-part")).to_be_visible()
    expect(theirs.get_by_test_id("backups-part")).to_have_count(0)
    dialog.get_by_test_id("unshare").click()
    expect(theirs.get_by_test_id("gone")).to_be_visible(timeout=20_000)
    theirs.wait_for_url(re.compile("/machines/"))
