"""Backups that come by themselves and come back, and templates for everybody, in the page."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import DESK, MakeContext
from tests.browser.machines.house import MachineSite, choose_from_menu, confirm, expect_state, suggestion
from tests.browser.site import Person
from tests.browser.test_access import findings
from tests.browser.watch import watch_of

AT_WORK = 60_000
SETTINGS = {"MACHINES_BACKUP_LOOK_SECONDS": "0.5", "SITE_TIME_ZONE": "Asia/Seoul"}


def test_a_backup_is_put_over_its_machine(page: Page, site: MachineSite, owner: Person) -> None:
    machine = site.machine(owner, name="Kept")
    owner.http.post(f"/api/vms/{machine['id']}/disks", json={"name": "data", "size_gb": 1})
    site.until(owner, machine["id"], lambda one: not one["operation"])
    page.goto(f"/machines/{machine['id']}")
    page.get_by_test_id("back-up").click()
    backup = page.get_by_test_id("backup")
    expect(backup).to_have_count(1, timeout=AT_WORK)
    expect(backup).to_contain_text("2 disks")
    choose_from_menu(page, "backup-menu", "Restore…")
    expect(page.get_by_test_id("confirm")).to_contain_text("All of its disks")
    page.get_by_test_id("confirm").get_by_role("button", name="Cancel").click()
    expect(page.get_by_test_id("confirm")).to_be_hidden()
    choose_from_menu(page, "backup-menu", "Restore…")
    confirm(page)
    expect(page.locator("[data-testid=done][data-kind=restore][data-state=done]")).to_be_visible(timeout=AT_WORK)
    expect(backup).to_have_count(2, timeout=AT_WORK)
    expect(backup.first).to_contain_text("made before something was restored")


def test_when_it_is_backed_up_by_itself_is_chosen(page: Page, site: MachineSite, owner: Person) -> None:
    machine = site.machine(owner, name="Timed")
    page.goto(f"/machines/{machine['id']}")
    schedule = page.get_by_test_id("schedule")
    expect(schedule).to_contain_text("By itself: Never")
    page.get_by_test_id("schedule-change").click()
    dialog = page.get_by_test_id("schedule-dialog")
    dialog.get_by_label("How often").select_option("weekly")
    dialog.get_by_label("Day").select_option("friday")
    dialog.get_by_label("Hour").select_option(label="23:00")
    expect(dialog).to_contain_text("Asia/Seoul")
    dialog.get_by_test_id("schedule-action").press("Enter")
    expect(dialog).to_be_hidden()
    expect(schedule).to_contain_text("Every Friday at 23:00")
    expect(schedule).to_contain_text("next in")
    said = owner.http.get(f"/api/vms/{machine['id']}/backup-schedule").json()
    assert (said["every"], said["weekday"], said["hour"], said["own"]) == ("weekly", "friday", 23, True)
    page.get_by_test_id("schedule-change").click()
    dialog.get_by_label("How often").select_option("site")
    dialog.get_by_test_id("schedule-action").click()
    expect(schedule).to_have_attribute("data-every", "off")


def test_a_backup_that_failed_is_said_and_made_again(page: Page, site: MachineSite, owner: Person) -> None:
    machine = site.machine(owner, name="Unlucky")
    shelf = site.libvirtd.pool / "backups"
    aside = shelf.with_name("aside")
    if shelf.exists():
        shelf.rename(aside)
    shelf.write_text("in its way")
    page.goto(f"/machines/{machine['id']}")
    watch_of(page.context).allow(r"the server responded with a status of 500 .*/api/vms")
    page.get_by_test_id("back-up").click()
    expect(suggestion(page, "backup_failed")).to_be_visible(timeout=AT_WORK)
    expect(page.get_by_test_id("backups-part").get_by_test_id("problem").first).to_be_visible()
    shelf.unlink()
    if aside.exists():
        aside.rename(shelf)
    suggestion(page, "backup_failed").get_by_test_id("suggest-backup").click()
    expect(suggestion(page, "backup_failed")).to_have_count(0, timeout=AT_WORK)
    expect(page.get_by_test_id("backup")).to_have_count(1, timeout=AT_WORK)


def test_a_template_for_everybody_is_chosen_by_another_person(
    site: MachineSite, owner: Person, page: Page, open_browser: MakeContext
) -> None:
    operator = site.person("bora", "김보라", roles=("operator", "member"))
    golden = site.machine(operator, name="Golden")
    theirs = open_browser(site, operator).new_page()
    theirs.goto(f"/machines/{golden['id']}")
    choose_from_menu(theirs, "machine-menu", "Make it a template")
    expect(theirs.get_by_text("Template", exact=True)).to_be_visible(timeout=20_000)
    choose_from_menu(theirs, "machine-menu", "Offer it to everybody")
    expect(theirs.get_by_text("Template for everybody", exact=True)).to_be_visible(timeout=20_000)

    site.machine(owner, name="Other")
    page.goto("/machines")
    page.get_by_test_id("new-machine").click()
    dialog = page.get_by_test_id("new-dialog")
    dialog.get_by_label("Name").fill("Of Golden")
    dialog.get_by_label("Made from").select_option("Golden")
    expect(dialog.get_by_label("ISO to install from")).to_have_count(0)
    expect(dialog).to_contain_text("its keys are those of the original")
    dialog.get_by_test_id("create").click()
    expect(page.get_by_role("heading", level=1, name="Of Golden")).to_be_visible(timeout=AT_WORK)
    expect_state(page, "shut_off", AT_WORK)
    expect(page.get_by_test_id("about-part")).to_contain_text("Linked clone")
    expect(suggestion(page, "same_identity")).to_be_visible()

    # It is needed now: whose it is by is not said.
    watch_of(theirs.context).allow(r"the server responded with a status of 409 .*/api/vms")
    choose_from_menu(theirs, "machine-menu", "Delete…")
    theirs.get_by_test_id("remove-dialog").get_by_role("textbox").fill("Golden")
    theirs.get_by_test_id("remove-action").click()
    expect(theirs.get_by_test_id("problem")).to_contain_text("1 of other people")
    expect(theirs.get_by_test_id("problem")).not_to_contain_text("Of Golden")
    theirs.keyboard.press("Escape")
    choose_from_menu(theirs, "machine-menu", "Offer it to nobody else")
    expect(theirs.get_by_text("Template", exact=True)).to_be_visible(timeout=20_000)
    for left in (page, theirs):
        left.goto("/machines/isos")  # nothing is to be read of what is deleted now
    site.delete_machines(owner)
    site.delete_machines(operator)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "ko-KR"])
def test_their_dialogs_are_accessible(
    chromium: Browser, site: MachineSite, owner: Person, theme: str, locale: str
) -> None:
    machine = site.machine(owner, name="Kept")
    template = site.machine(owner, name="Golden")["id"]
    owner.http.post(f"/api/vms/{template}/template", json={"template": True})
    owner.http.post(f"/api/vms/{machine['id']}/backups")
    site.until(owner, machine["id"], lambda one: not one["operation"])
    owner.http.put(f"/api/vms/{machine['id']}/backup-schedule", json={"every": "weekly"})
    context = chromium.new_context(
        base_url=site.url,
        locale=locale,
        bypass_csp=True,
        color_scheme=theme,
        viewport=DESK,  # type: ignore[arg-type]
    )
    context.add_cookies([{"name": "madang_sign_in", "value": owner.cookie, "url": site.url}])
    page, found = context.new_page(), dict[str, list[str]]()
    page.goto(f"/machines/{machine['id']}")
    page.get_by_test_id("schedule-change").click()
    page.get_by_test_id("schedule-dialog").wait_for()
    found["schedule"] = findings(page)
    page.keyboard.press("Escape")
    page.get_by_test_id("backup-menu").click()
    page.get_by_role("menuitem").first.click()
    page.get_by_test_id("confirm").wait_for()
    found["restore"] = findings(page)
    page.keyboard.press("Escape")
    page.goto("/machines")
    page.get_by_test_id("new-machine").click()
    page.locator("select[name=template]").select_option("Golden")
    found["new machine of a template"] = findings(page)
    context.close()
    assert not any(found.values()), found
