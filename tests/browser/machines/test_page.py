"""The page of machines: what it says and offers, in both languages, on a phone, and when things go wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Response, expect

from tests.browser.conftest import PHONE, MakeContext
from tests.browser.machines.house import (
    GUEST,
    MachineSite,
    choose_from_menu,
    confirm,
    expect_state,
    open_console,
    suggestion,
)
from tests.browser.site import Person
from tests.browser.watch import PORTAL_AWAY, watch_of
from tests.support import tiny_iso
from tests.support.libvirt import Serial, on_scsi

REFUSED = r"the server responded with a status of (404|409|412|422) .*/api/vms"
BUDGET = 250_000
SETTINGS = {"MACHINES_MACHINES_PER_PERSON": "0"}


@pytest.fixture(scope="module")
def site(site: MachineSite) -> MachineSite:
    """With an installer that waits for somebody."""
    tiny_iso.build(site.libvirtd.isos, "waits.iso", waits=True).chmod(0o644)
    return site


def test_the_first_view_is_small_and_teaches(page: Page) -> None:
    sizes: dict[str, int] = {}

    def came(answer: Response) -> None:
        if answer.request.resource_type == "script":
            sizes[answer.url] = len(answer.body())

    page.on("response", came)
    page.goto("/machines")
    expect(page.get_by_test_id("empty")).to_contain_text("You have no machine yet")
    expect(page.get_by_test_id("empty")).to_contain_text("Nobody lands in the installer twice")
    page.wait_for_load_state("networkidle")
    assert 0 < sum(sizes.values()) < BUDGET, sizes


def test_nothing_is_lost_when_it_cannot_be_made(page: Page) -> None:
    watch_of(page.context).allow(REFUSED)
    page.goto("/machines")
    page.get_by_test_id("new-machine-first").click()
    dialog = page.get_by_test_id("new-dialog")
    dialog.get_by_label("Name").fill("서버 1")
    dialog.locator("[name=cpus]").fill("0")
    expect(dialog).to_contain_text("Between 1 and 16.")
    dialog.locator("[name=cpus]").fill("1")
    dialog.locator("[name=disk]").fill("999999")
    expect(dialog).to_contain_text("Between 1 MB and 2 TB.")
    dialog.locator("[name=disk]").fill("0.1")
    dialog.get_by_test_id("advanced").locator("summary").click()
    dialog.locator("[name=order]").select_option("cdrom")
    dialog.locator("[name=iso]").select_option("")
    dialog.get_by_test_id("create").click()
    # It boots a CD alone and has none: refused before anything is made, and the form is as it was.
    expect(dialog.get_by_test_id("problem")).to_have_attribute("data-code", "no_medium")
    expect(dialog.get_by_label("Name")).to_have_value("서버 1")
    dialog.locator("[name=order]").select_option("hd_cdrom")
    dialog.locator("[name=start]").uncheck()
    dialog.get_by_test_id("create").click()
    page.wait_for_url(re.compile(r"/machines/[0-9a-f-]{36}$"), timeout=60_000)
    expect_state(page, "shut_off")


def test_twenty_machines_are_a_table(page: Page, site: MachineSite, owner: Person) -> None:
    for number in range(20):
        site.machine(owner, name=f"Node {number + 1}")
    page.goto("/machines")
    table = page.get_by_test_id("machine-table")
    expect(table.get_by_test_id("machine")).to_have_count(20)
    expect(table.get_by_test_id("machine-name").nth(1)).to_have_text("Node 2")
    table.get_by_role("searchbox").fill("node 20")
    expect(table.get_by_test_id("machine")).to_have_count(1)
    table.get_by_test_id("machine-name").click()
    expect(page.get_by_role("heading", level=1, name="Node 20")).to_be_visible()


def test_a_machine_that_was_changed_meanwhile_is_shown_anew(page: Page, site: MachineSite, owner: Person) -> None:
    watch_of(page.context).allow(REFUSED)
    machine = site.machine(owner)
    page.route_web_socket(re.compile("/api/live"), lambda socket: None)  # the page hears nothing of it
    page.goto(f"/machines/{machine['id']}")
    expect_state(page, "shut_off")
    answer = owner.http.post(f"/api/vms/{machine['id']}/boot-order", json={"boot_order": "hd_cdrom"})
    assert answer.status_code == 200, answer.text
    page.locator("[data-testid=order][data-order=hd]").check()
    page.get_by_test_id("order-save").click()
    expect(page.get_by_test_id("problem")).to_have_attribute("data-code", "stale_edit")
    expect(page.locator("[data-testid=order][data-order=hd_cdrom]")).to_be_checked()


def test_changes_elsewhere_show_by_themselves(page: Page, site: MachineSite, owner: Person) -> None:
    machine = site.machine(owner, name="Watched")
    page.goto("/machines")
    card = page.get_by_test_id("machine")
    expect(card).to_have_attribute("data-state", "shut_off")
    owner.http.post(f"/api/vms/{machine['id']}/action", json={"action": "start"})
    expect(card).to_have_attribute("data-state", "running", timeout=20_000)
    expect(card.get_by_test_id("thumbnail")).to_be_visible(timeout=20_000)
    site.libvirtd.virsh("suspend", f"madang-{machine['id']}")
    expect(card).to_have_attribute("data-state", "paused", timeout=20_000)
    card.get_by_test_id("act-resume").click()
    expect(card).to_have_attribute("data-state", "running", timeout=20_000)
    page.keyboard.press("Control+KeyK")
    page.get_by_test_id("palette").get_by_text("Open the machine Watched").click()
    expect(page.get_by_role("heading", level=1, name="Watched")).to_be_visible()


def test_a_held_tray_is_explained_and_can_be_forced(
    page: Page, site: MachineSite, owner: Person, tmp_path: Path
) -> None:
    watch_of(page.context).allow(REFUSED)
    machine = site.machine(owner, iso_path=site.iso("waits.iso"))
    changed = tmp_path / "machine.xml"
    name = f"madang-{machine['id']}"
    changed.write_text(on_scsi(site.libvirtd.virsh("dumpxml", "--inactive", "--security-info", name)))
    site.libvirtd.virsh("define", str(changed))
    owner.http.post(f"/api/vms/{machine['id']}/action", json={"action": "start"})
    site.until(owner, machine["id"], lambda one: one["agent"])
    serial = Serial(site.libvirtd, machine["id"])
    try:
        serial.run("mount -t iso9660 -o ro /dev/sr0 /cd")
    finally:
        serial.close()
    page.goto(f"/machines/{machine['id']}")
    page.get_by_test_id("eject").click()
    problem = page.get_by_test_id("media-part").get_by_test_id("problem")
    expect(problem).to_have_attribute("data-code", "tray_locked", timeout=30_000)
    expect(problem).to_contain_text("holds the tray")
    problem.get_by_test_id("force").click()
    expect(page.get_by_test_id("drive").first).to_have_attribute("data-iso", "", timeout=30_000)
    expect(problem).to_be_hidden()


def test_the_cd_is_booted_once(page: Page, site: MachineSite, owner: Person) -> None:
    machine = site.machine(owner, iso_path=site.iso("waits.iso"), boot_order="hd")
    page.goto(f"/machines/{machine['id']}")
    page.get_by_test_id("boot-once").click()
    expect(page.get_by_test_id("next-boot")).to_have_attribute("data-order", "cdrom")
    page.get_by_test_id("forget-once").click()
    expect(page.get_by_test_id("next-boot")).to_be_hidden()
    page.get_by_test_id("boot-once").click()
    page.get_by_test_id("act-start").click()
    expect(page.get_by_test_id("screen-part").get_by_test_id("boots")).to_have_attribute(
        "data-device", "cdrom", timeout=GUEST
    )
    expect(page.locator("[data-testid=order][data-order=hd]")).to_be_checked()


def test_a_preset_of_ones_own_is_kept_and_removed(page: Page, site: MachineSite, owner: Person) -> None:
    machine = site.machine(owner, boot_order="hd_cdrom")
    page.goto(f"/machines/{machine['id']}")
    page.get_by_test_id("keep-preset").click()
    page.get_by_label("Name of the preset").fill("내 순서")
    page.get_by_test_id("preset-dialog").get_by_role("button", name="Keep").click()
    part = page.get_by_test_id("boot-part")
    expect(part.get_by_role("button", name="내 순서", exact=True)).to_be_disabled()  # it is what it has
    part.get_by_role("button", name="Install from CD").click()
    expect(page.locator("[data-testid=order][data-order=cdrom_hd]")).to_be_checked(timeout=20_000)
    part.get_by_role("button", name="내 순서", exact=True).click()
    expect(page.locator("[data-testid=order][data-order=hd_cdrom]")).to_be_checked(timeout=20_000)
    part.get_by_role("button", name="Remove the preset 내 순서").click()
    expect(part.get_by_role("button", name="내 순서", exact=True)).to_have_count(0)


def test_what_happened_is_told_by_hand_too(page: Page, site: MachineSite, owner: Person) -> None:
    machine = site.machine(owner)
    page.goto(f"/machines/{machine['id']}")
    expect(suggestion(page, "insert_iso")).to_be_visible()
    page.get_by_test_id("say-by-hand").click()
    page.get_by_label("What is so").select_option("Installed")
    page.get_by_test_id("say-installed").click()
    expect(page.get_by_test_id("installation").first).to_have_attribute("data-status", "Installed")
    falls = suggestion(page, "cd_falls_through")
    expect(falls).to_be_visible()
    falls.get_by_test_id("suggest-dismiss").click()
    expect(falls).to_be_hidden()


def test_its_serial_port_is_text(page: Page, site: MachineSite, owner: Person) -> None:
    machine = site.machine(owner, iso_path=site.iso("waits.iso"), start=True)
    page.goto(f"/machines/{machine['id']}/serial")
    text = page.get_by_test_id("serial-text")
    expect(text).to_contain_text("TINY ready", timeout=GUEST)
    page.keyboard.type("echo said-$((6*7))")
    page.keyboard.press("Enter")
    expect(text).to_contain_text("said-42", timeout=30_000)
    expect(text).to_contain_text("TINY did it: 0")
    expect(page.get_by_test_id("serial-view").locator("header")).to_have_css("display", "flex")
    owner.http.post(f"/api/vms/{machine['id']}/action", json={"action": "force_off"})
    expect(page.get_by_test_id("serial-view")).to_have_attribute("data-state", "off", timeout=20_000)


def test_nobody_elses_machine_is_there(site: MachineSite, owner: Person, open_browser: MakeContext) -> None:
    machine = site.machine(owner)
    page = open_browser(site, site.person()).new_page()
    watch_of(page.context).allow(REFUSED)
    page.goto(f"/machines/{machine['id']}")
    expect(page.get_by_test_id("gone")).to_be_visible()
    page.goto(f"/machines/{machine['id']}/console")
    expect(page.get_by_test_id("off-card")).to_contain_text("does not exist")


def test_a_phone_shows_and_operates_it_in_korean(site: MachineSite, owner: Person, open_browser: MakeContext) -> None:
    machine = site.machine(owner, name="서버", start=True, boot_order="hd_cdrom")
    page = open_browser(site, owner, locale="ko-KR", **PHONE).new_page()
    page.goto("/machines")
    card = page.get_by_test_id("machine")
    expect(card.get_by_test_id("state")).to_have_text("실행 중", timeout=20_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "it is wider than the phone"
    card.get_by_test_id("machine-name").tap()
    expect_state(page, "running")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "it is wider than the phone"
    page.get_by_test_id("console").tap()
    open_console(page)
    page.get_by_test_id("keyboard").tap()
    expect(page.get_by_test_id("console-keys")).to_have_attribute("inputmode", "text")
    choose_from_menu(page, "power-menu", "강제로 끄기")
    confirm(page)
    expect(page.get_by_test_id("off-card")).to_contain_text("가상 머신이 꺼져 있습니다.", timeout=20_000)
    assert site.until(owner, machine["id"], lambda one: one["state"] == "shut_off")


def test_the_console_comes_back_with_the_portal(page: Page, site: MachineSite, owner: Person) -> None:
    machine = site.machine(owner, start=True, boot_order="hd_cdrom")
    watch_of(page.context).allow(*PORTAL_AWAY)
    page.goto(f"/machines/{machine['id']}/console")
    open_console(page)
    expect(page.get_by_test_id("console-view")).to_have_css("position", "fixed")  # its styles came with it
    site.kill()
    expect(page.get_by_test_id("reconnecting")).to_be_visible()
    site.start()
    expect(page.get_by_test_id("console-view")).to_have_attribute("data-state", "connected", timeout=20_000)
    expect(page.get_by_test_id("reconnecting")).to_be_hidden()
