"""Pictures of the views of machines for docs/pictures. Only with --pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from tests.browser.conftest import DESK
from tests.browser.machines.house import MB, MachineSite, machine_site, open_console, show_console_bar, sparse_iso
from tests.browser.site import Person
from tests.browser.test_pictures import FOLDER, LOCALES, LOOKS, PHONE_SIZE

NEW = "doyun"
Scene = tuple[MachineSite, Person, str]


@pytest.fixture(scope="module")
def scene(accounts: None) -> Iterator[Scene]:
    """A site with a machine that runs and has something pending, one that installs and one that is off."""
    with machine_site() as site:
        tiny = Path(site.iso("tiny.iso"))
        for name, size in (("debian-12.5.0-netinst.iso", 660 * MB), ("rocky-9.4-minimal.iso", 1700 * MB)):
            sparse_iso(site.libvirtd.isos, tiny, name, size).chmod(0o644)
        tiny.unlink()
        site.person(NEW, "정도윤")
        owner = site.boss
        # The newest one is shown first.
        site.machine(owner, name="실습용 서버", iso_path=site.iso("rocky-9.4-minimal.iso"), boot_order="hd_cdrom")
        site.machine(owner, name="Rescue", boot_order="cdrom")
        wish = {"disk_bytes": 20 * 1024 * MB, "start": True}
        web = site.machine(
            owner, name="Web server", notes="nginx for the group. 사용자는 admin입니다.", **wish,
            iso_path=site.iso("debian-12.5.0-netinst.iso"),
        )  # fmt: skip
        site.until(owner, web["id"], lambda one: one["current_boot_device"] == "hd" and one["agent"])
        owner.http.post(f"/api/vms/{web['id']}/installation-status", json={"installation_status": "Installed"})
        owner.http.post(f"/api/vms/{web['id']}/boot-order", json={"boot_order": "hd"})
        for name, size in (("Data", 50), ("백업용", 100)):
            owner.http.post(f"/api/vms/{web['id']}/disks", json={"name": name, "size_gb": size})
        for what, wish in (("snapshots", {"title": "Before the update"}), ("backups", {})):
            owner.http.post(f"/api/vms/{web['id']}/{what}", json=wish)
        site.until(owner, web["id"], lambda one: not one["operation"], 60)
        yield site, owner, web["id"]
        site.delete_machines(owner)


@pytest.mark.parametrize(("theme", "language"), LOOKS[:2])
@pytest.mark.parametrize("size", [DESK, PHONE_SIZE], ids=["desk", "phone"])
def test_pictures(chromium: Browser, scene: Scene, theme: str, language: str, size: dict[str, int]) -> None:
    site, owner, web = scene
    phone: dict[str, Any] = {"is_mobile": True, "has_touch": True} if size is PHONE_SIZE else {}
    settings: dict[str, Any] = {
        "base_url": site.url, "viewport": size, "color_scheme": theme, "locale": LOCALES[language],
        "timezone_id": "Asia/Seoul", "reduced_motion": "reduce",
    }  # fmt: skip

    def open_page(name: str) -> Page:
        context = chromium.new_context(**settings, **phone)
        token = site.link_for(name).partition("#")[2]
        assert context.request.post("/api/identity/links/redeem", data={"token": token}).ok
        return context.new_page()

    def take(page: Page, name: str) -> None:
        page.wait_for_timeout(300)
        image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        image.save(FOLDER / f"{name}-{size['width']}-{theme}-{language}.webp", quality=84, method=6)

    pages = [open_page(NEW), open_page(owner.name)]
    pages[0].goto("/machines")
    pages[0].get_by_test_id("empty").wait_for()
    take(pages[0], "machines-empty")
    take_places(pages[1], web, take)
    for page in pages:
        page.context.close()


def take_places(page: Page, web: str, take: Any) -> None:
    page.goto("/machines")
    page.get_by_test_id("thumbnail").first.wait_for()
    page.wait_for_load_state("networkidle")
    take(page, "machines")
    page.get_by_test_id("new-machine").click()
    page.get_by_test_id("new-dialog").locator("[name=name]").fill("Build host")
    page.get_by_test_id("new-dialog").locator("[name=iso]").select_option(index=1)
    take(page, "new-machine")
    page.goto("/machines/isos")
    page.get_by_test_id("used-by").first.wait_for()
    take(page, "isos")
    page.goto(f"/machines/{web}")
    page.get_by_test_id("pending").wait_for()
    page.get_by_test_id("thumbnail").wait_for()
    page.get_by_test_id("done").first.wait_for()
    take(page, "machine")
    page.get_by_test_id("backups-part").scroll_into_view_if_needed()
    page.wait_for_load_state("networkidle")
    take(page, "machine-copies")
    page.goto("/machines/disks")
    page.get_by_test_id("used-disks").get_by_test_id("further-disk").first.wait_for()
    take(page, "disks")
    page.goto("/site/machines")
    page.get_by_test_id("host").wait_for()
    take(page, "site-machines")
    page.goto(f"/machines/{web}/console")
    open_console(page)
    page.wait_for_timeout(500)
    show_console_bar(page)
    take(page, "console")
