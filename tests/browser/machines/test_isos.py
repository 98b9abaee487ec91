"""The catalogue of ISOs in the page: uploads that break off and go on, use, and deletion."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import MakeContext
from tests.browser.machines.house import MB, MachineSite, sparse_iso
from tests.browser.site import Person
from tests.browser.watch import PORTAL_AWAY, watch_of

SLOW = 6 * MB


def slowly(page: Page, bytes_a_second: int) -> None:
    """What the page sends goes no quicker; 0: as quick as it can."""
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_a_second or -1}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", limits)


def upload(page: Page, file: Path) -> Locator:
    page.get_by_test_id("iso-file").set_input_files(file)
    return page.locator(f"[data-testid=upload][data-name='{file.name}']")


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_an_iso_is_uploaded_and_the_portal_may_go_meanwhile(page: Page, site: MachineSite, tmp_path: Path) -> None:
    file = sparse_iso(tmp_path, Path(site.iso("tiny.iso")), "큰 것 1.iso", 60 * MB)
    watch_of(page.context).allow(*PORTAL_AWAY)
    page.goto("/machines/isos")
    expect(page.get_by_test_id("catalogue-iso")).to_have_count(1)
    slowly(page, SLOW)
    line = upload(page, file)
    expect(line).to_have_attribute("data-stage", "sending", timeout=20_000)
    expect(line).to_contain_text(re.compile(r"[1-9]\d* MB of 60 MB"), timeout=20_000)
    site.kill()
    expect(line).to_have_attribute("data-stage", "waiting", timeout=20_000)
    site.start()
    slowly(page, 0)
    expect(line).to_have_attribute("data-stage", "done", timeout=60_000)
    row = page.locator(f"[data-testid=catalogue-iso][data-name='{file.name}']")
    expect(row).to_contain_text("boots with BIOS")
    assert digest(site.libvirtd.isos / file.name) == digest(file)


def test_it_goes_on_where_it_was_after_the_page_was_left(page: Page, site: MachineSite, tmp_path: Path) -> None:
    file = sparse_iso(tmp_path, Path(site.iso("tiny.iso")), "again.iso", 50 * MB)
    page.on("dialog", lambda dialog: dialog.accept())  # the page says that something is on its way
    page.goto("/machines/isos")
    slowly(page, SLOW)
    line = upload(page, file)
    expect(line).to_contain_text(re.compile(r"[1-9]\d* MB of 50 MB"), timeout=20_000)
    page.reload()
    broken = page.get_by_test_id("broken-upload")
    expect(broken).to_have_attribute("data-name", "again.iso")
    offsets: list[int] = []
    page.on("request", lambda one: offsets.extend(int(at) for at in re.findall(r"offset=(\d+)", one.url)))
    line = upload(page, file)
    expect(line).to_have_attribute("data-stage", "done", timeout=60_000)
    expect(broken).to_be_hidden()
    assert offsets[0] > 0, "it began anew"
    assert digest(site.libvirtd.isos / "again.iso") == digest(file)


def test_what_is_no_iso_is_refused_and_said(page: Page, site: MachineSite, tmp_path: Path) -> None:
    watch_of(page.context).allow(r"the server responded with a status of 4(09|22) .*/api/isos")
    file = tmp_path / "letter.iso"
    file.write_bytes(b"not a CD at all" * 10_000)
    page.goto("/machines/isos")
    line = upload(page, file)
    expect(line).to_have_attribute("data-stage", "failed", timeout=20_000)
    expect(line).to_contain_text("This is no ISO file")
    assert not (site.libvirtd.isos / "letter.iso").exists()


def test_one_that_is_in_use_stays(site: MachineSite, owner: Person, open_browser: MakeContext, tmp_path: Path) -> None:
    sparse_iso(site.libvirtd.isos, Path(site.iso("tiny.iso")), "used.iso", 30 * MB).chmod(0o644)
    page = open_browser(site, site.boss).new_page()
    watch_of(page.context).allow(r"the server responded with a status of 409 .*/api/isos")
    page.goto("/machines/isos")
    row = page.locator("[data-testid=catalogue-iso][data-name='used.iso']")
    expect(row).to_be_visible(timeout=20_000)
    machine = site.machine(owner, name="Uses it", iso_path=site.iso("used.iso"))
    page.reload()
    expect(row.get_by_test_id("used-by")).to_contain_text("Uses it")
    expect(row.get_by_test_id("remove-iso")).to_have_count(0)
    owner.http.post(f"/api/vms/{machine['id']}/media/detach", json={})
    page.reload()
    row.get_by_test_id("remove-iso").click()
    page.get_by_test_id("confirm-action").click()
    expect(row).to_have_count(0, timeout=20_000)
    assert not (site.libvirtd.isos / "used.iso").exists()
