"""A portal with machines on a libvirt of the tests' own, and what tests do with them."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.site import Person, Site
from tests.support import libvirt, tiny_iso
from tests.support.libvirt import GUEST_SECONDS, MEMORY, PrivateLibvirt, private_libvirt
from tests.support.waiting import eventually

Json = dict[str, Any]
# What the tiny system does takes its time where no KVM is.
GUEST = GUEST_SECONDS * 1000
CANVAS = "[data-testid=console-screen] canvas"
MB = 1024**2
SHIFTED = {">": "Period", "_": "Minus", "$": "Digit4"}


class MachineSite(Site):
    """Its one host is the tests' own libvirtd."""

    def __init__(self, libvirtd: PrivateLibvirt, **settings: str) -> None:
        self.libvirtd = libvirtd
        machines = {
            "MACHINES_HOSTS": json.dumps([f"here={libvirtd.uri}"]),
            "MACHINES_ACCOUNT": libvirtd.account or "",
            "MACHINES_FOLDER": str(libvirtd.pool),
            "MACHINES_ISO_FOLDERS": json.dumps([str(libvirtd.isos)]),
            "MACHINES_DOMAIN_TYPE": "qemu",
            "MACHINES_DISK_BYTES": str(20 * 1024 * MB),  # as a site has it: there is room for it
            "MACHINES_CATALOGUE_SECONDS": "0.5",
            "MACHINES_KEEP_FREE_BYTES": "0",
            "MACHINES_SCREENSHOT_SECONDS": "0.5",
        }
        super().__init__(**(machines | settings))

    def iso(self, name: str) -> str:
        return str(self.libvirtd.isos / name)

    def machine(self, person: Person, **wish: Any) -> Json:
        """A machine that is made; off, with nothing in its drives, unless another one is wished."""
        usual = {"name": "Tiny", "cpus": 1, "memory_bytes": MEMORY, "disk_bytes": 300 * MB}
        answer = person.http.post("/api/vms", json=usual | wish)
        assert answer.status_code in (201, 202), answer.text
        made = dict(answer.json())
        return self.until(person, made["id"], lambda one: one["state"] != "creating", 60)

    def until(self, person: Person, machine: str, good: Callable[[Json], Any], seconds: float = GUEST_SECONDS) -> Json:
        """The machine once it is good."""
        last: Json = {}

        def look() -> bool:
            nonlocal last
            last = dict(person.http.get(f"/api/vms/{machine}").json())
            return bool(good(last))

        eventually(look, seconds, lambda: json.dumps(last, ensure_ascii=False), pause=0.2)
        return last

    def delete_machines(self, person: Person) -> None:
        """And their disks."""
        for machine in person.http.get("/api/vms").json():
            one = f"/api/vms/{machine['id']}"
            person.http.patch(one, json={"protected": False})
            person.http.post(f"{one}/action", json={"action": "force_off"})
            self.until(person, machine["id"], lambda now: now["state"] in ("shut_off", "crashed", "failed"), 30)
            answer = person.http.delete(one, params={"name": machine["name"], "disks": "remove"})
            assert answer.status_code in (202, 204), answer.text
        eventually(lambda: not person.http.get("/api/vms").json(), 30, "the machines are not deleted")
        for disk in person.http.get("/api/vms/disks").json():
            person.http.delete(f"/api/vms/disks/{disk['id']}", params={"name": disk["name"]})


@contextlib.contextmanager
def machine_site(**settings: str) -> Iterator[MachineSite]:
    """With the ISO that installs itself in its catalogue."""
    if lacking := [*libvirt.missing(), *tiny_iso.missing()]:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    with private_libvirt() as libvirtd:
        made = tiny_iso.build(libvirtd.folder)
        shutil.move(made, libvirtd.isos / made.name)
        (libvirtd.isos / made.name).chmod(0o644)
        with MachineSite(libvirtd, **settings) as site:
            eventually(lambda: site.boss.http.get("/api/isos").json(), 20, "the catalogue stays empty")
            yield site


# The page.


def view(page: Page) -> Locator:
    return page.get_by_test_id("machine-view")


def expect_state(page: Page, state: str, milliseconds: float = GUEST) -> None:
    expect(view(page)).to_have_attribute("data-state", state, timeout=milliseconds)


def expect_booted_from(page: Page, device: str) -> None:
    expect(page.get_by_test_id("screen-part").get_by_test_id("boots")).to_have_attribute(
        "data-device", device, timeout=GUEST
    )


def suggestion(page: Page, code: str) -> Locator:
    return page.locator(f"[data-testid=suggestion][data-code={code}]")


def choose_from_menu(page: Page, menu: str, item: str) -> None:
    page.get_by_test_id(menu).click()
    page.get_by_role("menuitem", name=item, exact=True).click()


def confirm(page: Page) -> None:
    page.get_by_test_id("confirm-action").click()
    expect(page.get_by_test_id("confirm")).to_be_hidden(timeout=30_000)


# The console.


def open_console(page: Page) -> None:
    """Waits until the page shows the machine's screen."""
    page.locator("[data-testid=console-view][data-state=connected][data-pictured=true]").wait_for(timeout=GUEST)


def console_picture(page: Page) -> Image.Image:
    data = page.eval_on_selector(CANVAS, "canvas => canvas.toDataURL('image/png')")
    return Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))).convert("RGB")


def type_in_console(page: Page, line: str) -> None:
    """A line for the shell on the machine's screen, as somebody types it: with Shift held where that is needed."""
    page.get_by_test_id("console-keys").focus()
    for character in line:
        page.keyboard.press(f"Shift+{SHIFTED[character]}" if character in SHIFTED else character, delay=20)
    page.keyboard.press("Enter")


def show_console_bar(page: Page) -> None:
    if page.get_by_test_id("show-bar").is_visible():
        page.get_by_test_id("show-bar").click()
    page.get_by_test_id("console-bar").hover()


def sparse_iso(folder: Path, source: Path, name: str, size: int) -> Path:
    """A copy of an ISO that is as large as said, for uploads that take a while."""
    to = folder / name
    shutil.copy(source, to)
    with to.open("r+b") as file:
        file.truncate(size)
    return to
