"""CPUs, memory and network, further disks, and machines that are taken over, in the page."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import PHONE, MakeContext
from tests.browser.machines.house import MachineSite, confirm, expect_state
from tests.browser.site import Person
from tests.browser.watch import watch_of

AT_WORK = 60_000
REFUSED = r"the server responded with a status of (404|409|412|422) .*/api/vms"
NAMES = "[data-testid=further-disk][data-name='{}']"
SETTINGS = {"MACHINES_NETWORKS": '["user","none"]', "MACHINES_SHUT_DOWN_SECONDS": "5.0"}


def disk(page: Page, name: str) -> Locator:
    return page.locator(NAMES.format(name))


def do(page: Page, name: str, item: str) -> None:
    """An item of a disk's menu."""
    disk(page, name).get_by_test_id("disk-menu").click()
    page.get_by_role("menuitem", name=item, exact=True).click()


def add(person: Person, machine: str, name: str) -> str:
    answer = person.http.post(f"/api/vms/{machine}/disks", json={"name": name, "size_gb": 1})
    assert answer.status_code == 200, answer.text
    return next(one["id"] for one in person.http.get("/api/vms/disks").json() if one["name"] == name)  # type: ignore[no-any-return]


# Hardware.


def test_of_what_is_off_it_counts_at_once_by_keyboard_alone(page: Page, site: MachineSite, owner: Person) -> None:
    machine = site.machine(owner)
    page.goto(f"/machines/{machine['id']}")
    expect_state(page, "shut_off")
    page.get_by_test_id("hardware").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_test_id("hardware-dialog")
    expect(dialog.get_by_label("CPUs")).to_be_focused()
    expect(dialog.get_by_test_id("hardware-action")).to_be_disabled()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("99")
    expect(dialog).to_contain_text("Between 1 and 16.")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("3")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("N")
    expect(dialog.get_by_label("Network")).to_have_value("none")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(dialog.get_by_test_id("hardware-action")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden(timeout=AT_WORK)
    part = page.get_by_test_id("hardware-part")
    expect(part).to_contain_text("CPUs3")
    expect(part).to_contain_text("NetworkNone")
    now = owner.http.get(f"/api/vms/{machine['id']}").json()
    assert (now["cpus"], now["network"], now["memory_bytes"]) == (3, "none", machine["memory_bytes"])


def test_of_what_runs_it_waits_and_is_dropped_or_applied(page: Page, site: MachineSite, owner: Person) -> None:
    machine = site.machine(owner, boot_order="hd_cdrom", start=True)
    page.goto(f"/machines/{machine['id']}")
    expect_state(page, "running")
    pending = page.locator("[data-testid=pending][data-part=hardware]")

    def change() -> None:
        page.get_by_test_id("hardware").click()
        page.get_by_test_id("hardware-dialog").get_by_label("Memory (GB)").fill("0.25")
        page.get_by_test_id("hardware-action").click()
        expect(pending).to_contain_text("192 MB → 256 MB", timeout=AT_WORK)

    change()
    expect(page.get_by_test_id("boot-part").get_by_test_id("pending")).to_have_count(0)
    pending.get_by_test_id("discard").click()
    expect(pending).to_have_count(0, timeout=AT_WORK)
    expect(page.get_by_test_id("hardware-part")).to_contain_text("192 MB")
    change()
    pending.get_by_test_id("apply-now").click()
    confirm(page)
    expect(pending).to_have_count(0, timeout=2 * AT_WORK)
    expect_state(page, "running", 2 * AT_WORK)
    expect(page.get_by_test_id("hardware-part")).to_contain_text("256 MB")


def test_a_change_that_somebody_was_quicker_with_is_told_and_input_stays(
    page: Page, site: MachineSite, owner: Person
) -> None:
    watch_of(page.context).allow(REFUSED)
    machine = site.machine(owner)
    page.route_web_socket(re.compile("/api/live"), lambda socket: None)  # the page hears nothing of it
    page.goto(f"/machines/{machine['id']}")
    page.get_by_test_id("hardware").click()
    dialog = page.get_by_test_id("hardware-dialog")
    dialog.get_by_label("CPUs").fill("4")
    assert owner.http.patch(f"/api/vms/{machine['id']}/hardware", json={"cpus": 2}).status_code == 200
    dialog.get_by_test_id("hardware-action").click()
    expect(dialog.get_by_test_id("problem")).to_have_attribute("data-code", "stale_edit")
    expect(dialog.get_by_label("CPUs")).to_have_value("4")
    expect(page.get_by_test_id("hardware-part")).to_contain_text("CPUs2")
    dialog.get_by_test_id("hardware-action").click()  # decided anew, on what is now
    expect(dialog).to_be_hidden(timeout=AT_WORK)
    expect(page.get_by_test_id("hardware-part")).to_contain_text("CPUs4")


# Further disks.


def test_a_disk_is_added_grown_taken_away_and_deleted(page: Page, site: MachineSite, owner: Person) -> None:
    machine = site.machine(owner)
    page.goto(f"/machines/{machine['id']}")
    page.get_by_test_id("add-disk").click()
    dialog = page.get_by_test_id("add-disk-dialog")
    expect(dialog).to_contain_text("free in the pool")
    dialog.get_by_label("Name").fill("자료 1")
    dialog.get_by_label("Size in GB").fill("1.5")
    expect(dialog).to_contain_text("A whole number, please.")
    dialog.get_by_label("Size in GB").fill("1")
    dialog.get_by_test_id("add-disk-action").click()
    expect(disk(page, "자료 1")).to_contain_text("of 1 GB", timeout=AT_WORK)
    do(page, "자료 1", "Grow…")
    page.get_by_test_id("grow-dialog").get_by_label("New size in GB").fill("3")
    page.get_by_test_id("grow-action").click()
    expect(disk(page, "자료 1")).to_contain_text("of 3 GB", timeout=AT_WORK)
    do(page, "자료 1", "Detach")
    expect(disk(page, "자료 1")).to_have_count(0, timeout=AT_WORK)
    page.goto("/machines")
    page.get_by_test_id("to-disks").click()
    expect(page.get_by_test_id("free-disks").locator(NAMES.format("자료 1"))).to_be_visible()
    do(page, "자료 1", "Delete…")
    remove = page.get_by_test_id("remove-disk-dialog")
    remove.get_by_label("Type 자료 1 to confirm").fill("자료")
    expect(remove.get_by_test_id("remove-disk-action")).to_be_disabled()
    remove.get_by_label("Type 자료 1 to confirm").fill("자료 1")
    remove.get_by_test_id("remove-disk-action").click()
    expect(disk(page, "자료 1")).to_have_count(0)
    assert owner.http.get("/api/vms/disks").json() == []


def test_a_disk_moves_in_one_step_and_every_page_sees_it(
    page: Page, site: MachineSite, owner: Person, open_browser: MakeContext
) -> None:
    one, other = site.machine(owner, name="One"), site.machine(owner, name="Other")
    add(owner, one["id"], "data")
    elsewhere = open_browser(site, owner).new_page()
    elsewhere.goto(f"/machines/{other['id']}")
    expect(elsewhere.get_by_test_id("further-disks")).to_be_visible()
    page.goto(f"/machines/{one['id']}")
    do(page, "data", "Move to another machine…")
    dialog = page.get_by_test_id("place-dialog")
    dialog.get_by_label("Machine").select_option(label="Other (Off)")
    dialog.get_by_test_id("place-action").click()
    expect(dialog).to_be_hidden(timeout=AT_WORK)
    expect(disk(page, "data")).to_have_count(0)
    expect(disk(elsewhere, "data")).to_be_visible(timeout=20_000)  # by itself
    do(elsewhere, "data", "Detach")
    expect(disk(elsewhere, "data")).to_have_count(0, timeout=AT_WORK)
    page.get_by_test_id("attach-disk").click()  # offered as soon as one is free
    page.get_by_test_id("attach-dialog").get_by_label("Disk that is in no machine").select_option(index=1)
    page.get_by_test_id("attach-action").click()
    expect(disk(page, "data")).to_be_visible(timeout=AT_WORK)
    page.goto("/machines/disks")
    expect(page.get_by_test_id("used-disks").locator(NAMES.format("data"))).to_contain_text("in One")
    do(page, "data", "Move to another machine…")
    page.get_by_test_id("place-dialog").get_by_label("Machine").select_option(label="Other (Off)")
    page.get_by_test_id("place-action").click()
    expect(disk(page, "data")).to_contain_text("in Other", timeout=AT_WORK)


def test_a_disk_that_the_other_machine_cannot_take_is_free_and_goes_back(
    page: Page, site: MachineSite, owner: Person
) -> None:
    watch_of(page.context).allow(REFUSED)
    one = site.machine(owner, name="One")
    site.machine(owner, name="Other")
    data = add(owner, one["id"], "data")
    path = next(each["path"] for each in owner.http.get("/api/vms/disks").json() if each["id"] == data)
    page.goto(f"/machines/{one['id']}")
    do(page, "data", "Move to another machine…")
    dialog = page.get_by_test_id("place-dialog")
    dialog.get_by_label("Machine").select_option(label="Other (Off)")
    with defined(site, "theirs", path):
        dialog.get_by_test_id("place-action").click()
        expect(dialog.get_by_test_id("problem")).to_have_attribute("data-code", "disk_left_free", timeout=AT_WORK)
        expect(dialog).to_contain_text("Nothing on it is lost.")
        expect(disk(page, "data")).to_have_count(0)
    dialog.get_by_test_id("place-back").click()
    expect(dialog).to_be_hidden(timeout=AT_WORK)
    expect(disk(page, "data")).to_be_visible()


def test_a_disk_that_the_guest_holds_is_explained(page: Page, site: MachineSite, owner: Person) -> None:
    """No system runs in it that could let it go."""
    watch_of(page.context).allow(REFUSED)
    machine = site.machine(owner, boot_order="hd_cdrom")
    add(owner, machine["id"], "data")
    owner.http.post(f"/api/vms/{machine['id']}/action", json={"action": "start"})
    page.goto(f"/machines/{machine['id']}")
    expect_state(page, "running")
    do(page, "data", "Detach")
    # At the disk, or above where the host was too slow for an answer at once.
    problem = page.locator("[data-testid=problem][data-code=disk_held]")
    expect(problem).to_contain_text("Unmount it there and try again", timeout=AT_WORK)
    expect(disk(page, "data")).to_be_visible()
    problem.get_by_test_id("held-off").click()
    expect(page.get_by_test_id("confirm")).to_contain_text("Shut down Tiny?")


def test_in_korean_on_a_phone(site: MachineSite, owner: Person, open_browser: MakeContext) -> None:
    machine = site.machine(owner, name="서버")
    add(owner, machine["id"], "자료")
    page = open_browser(site, owner, locale="ko-KR", **PHONE).new_page()
    page.goto(f"/machines/{machine['id']}")
    page.get_by_test_id("hardware").tap()
    expect(page.get_by_role("heading", name="서버 하드웨어")).to_be_visible()
    page.get_by_role("button", name="취소", exact=True).tap()
    disk(page, "자료").get_by_test_id("disk-menu").tap()
    page.get_by_role("menuitem", name="떼어 내기").tap()
    expect(disk(page, "자료")).to_have_count(0, timeout=AT_WORK)
    page.goto("/machines/disks")
    expect(page.get_by_test_id("free-disks")).to_contain_text("어디에도 연결되지 않음")
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width == 0


# Machines that libvirt has.


def define(site: MachineSite, name: str, disk_path: str) -> None:
    """With libvirt's own tools."""
    xml = site.libvirtd.folder / f"{name}.xml"
    xml.write_text(
        f"""<domain type='qemu'><name>{name}</name><memory>131072</memory><vcpu>1</vcpu>
        <os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os><devices>
        <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk_path}'/>
        <target dev='vda' bus='virtio'/></disk></devices></domain>"""
    )
    xml.chmod(0o644)
    site.libvirtd.virsh("define", str(xml))


@contextlib.contextmanager
def defined(site: MachineSite, name: str, disk_path: str) -> Iterator[None]:
    define(site, name, disk_path)
    try:
        yield
    finally:
        site.libvirtd.virsh("undefine", name)


def test_an_operator_takes_a_machine_of_libvirt_over_for_somebody(
    site: MachineSite, owner: Person, open_browser: MakeContext
) -> None:
    made = site.machine(owner, name="Left")
    gone = owner.http.delete(f"/api/vms/{made['id']}", params={"name": "Left", "disks": "keep"})
    assert gone.status_code in (202, 204) and Path(made["disk_path"]).exists()
    define(site, "legacy", made["disk_path"])
    operator = site.person("eunji", "박은지", roles=("operator", "member"))
    page = open_browser(site, operator).new_page()
    watch_of(page.context).allow(REFUSED)
    page.goto("/machines")
    page.get_by_test_id("to-strangers").click()
    row = page.locator("[data-testid=stranger][data-name=legacy]")
    expect(row).to_contain_text("Off")
    expect(row).to_contain_text("Host: here")
    expect(row).to_contain_text(made["disk_path"])
    row.get_by_test_id("adopt").click()
    dialog = page.get_by_test_id("adopt-dialog")
    dialog.get_by_label("Whose it becomes").fill("nobody-here")
    dialog.get_by_label("Name").fill("Old server")
    dialog.get_by_test_id("adopt-action").click()
    expect(dialog).to_contain_text("There is nobody of this name here.")
    theirs = open_browser(site, owner).new_page()
    theirs.goto("/machines")
    expect(theirs.get_by_test_id("empty")).to_be_visible()
    dialog.get_by_label("Whose it becomes").fill(owner.name)
    dialog.get_by_test_id("adopt-action").click()
    expect(page.get_by_role("heading", level=1, name="Old server")).to_be_visible(timeout=AT_WORK)
    expect(page.get_by_test_id("about-part")).to_contain_text("It was there before this portal.")
    expect(theirs.get_by_test_id("machine")).to_contain_text("Old server")  # by itself
    page.goto("/machines/strangers")
    expect(page.get_by_test_id("no-strangers")).to_be_visible()


def test_who_is_no_operator_is_not_offered_them(page: Page, site: MachineSite, owner: Person) -> None:
    watch_of(page.context).allow(r"the server responded with a status of 403 .*/api/vms/strangers")
    page.goto("/machines")
    expect(page.get_by_test_id("to-disks")).to_be_visible()
    expect(page.get_by_test_id("to-strangers")).to_have_count(0)
    page.goto("/machines/strangers")
    expect(page.get_by_test_id("problem")).to_have_attribute("data-code", "forbidden")


def test_a_reverted_snapshot_shows_the_hardware_of_then(page: Page, site: MachineSite, owner: Person) -> None:
    machine = site.machine(owner)
    assert owner.http.post(f"/api/vms/{machine['id']}/snapshots", json={"title": "before"}).status_code == 200
    owner.http.patch(f"/api/vms/{machine['id']}/hardware", json={"cpus": 5})
    page.goto(f"/machines/{machine['id']}")
    expect(page.get_by_test_id("hardware-part")).to_contain_text("CPUs5")
    page.locator("[data-testid=snapshot-row]").get_by_test_id("revert").click()
    confirm(page)
    expect(page.get_by_test_id("hardware-part")).to_contain_text("CPUs1", timeout=AT_WORK)
    expect(page.locator("[data-testid=suggestion][data-code=changed_outside]")).to_have_count(0)
