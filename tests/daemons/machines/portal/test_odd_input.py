"""Names with every odd character, and sizes that are none."""

from __future__ import annotations

import unicodedata

import pytest

from tests.daemons.machines.portal.house import MachineClient
from tests.support.libvirt import PrivateLibvirt

SHOWN = [
    "<b>&amp;</b>]]>", "'; DROP TABLE machines; --", "한글 이름", "a/../b", "../../etc/passwd", "%s{}%00", '"',
    "--help",     "🖥️👩‍👩‍👧", "مرحبا", "e\u0301", "\u200bzero", "$(reboot)`id`", "C:\\NUL", "\ufffe\uffff",
    "\U0001f600" * 80, "x" * 80,
]  # fmt: skip
NOT_SHOWN = ["", " ", "a\0b", "two\nlines", "a\rb", "a\x1b[31mred", "\x7f", "\u202eturned", "\u2028", "x" * 81]


def test_a_name_that_can_be_shown_goes_through_unchanged(kim: MachineClient, libvirtd: PrivateLibvirt) -> None:
    machine = kim.make()["id"]
    kim.act(machine, "start")
    for name in SHOWN:
        made = kim.make(name, notes=name)
        same = unicodedata.normalize("NFC", name).strip()
        assert (made["name"], made["notes"]) == (same, name.strip()), name
        # Whatever the machine does: its name goes into libvirt's definition, too.
        assert kim.patch(f"/api/vms/{machine}", json={"name": name}).json()["name"] == same
        settled = kim.wait(machine, lambda one: not one["operation"])
        assert settled["name"] == same
        assert kim.get(f"/api/vms/{machine}/operations").json()[0]["state"] == "done", name
        assert kim.delete(f"/api/vms/{made['id']}", params={"name": "web"}).json()["code"] == "name_differs"
        assert kim.delete(f"/api/vms/{made['id']}", params={"name": same}).status_code in (202, 204)
    assert f"<name>madang-{machine}</name>" in libvirtd.virsh("dumpxml", machine), "no name of a person goes there"


def test_a_name_that_cannot_be_shown_is_refused_everywhere(kim: MachineClient, libvirtd: PrivateLibvirt) -> None:
    machine = kim.make()["id"]
    for name in NOT_SHOWN:
        for path, wish in (
            ("/api/vms", {"name": name}),
            ("/api/vms/boot-presets", {"name": name, "boot_order": "hd"}),
            (f"/api/vms/{machine}/snapshots", {"title": name}),
            (f"/api/vms/{machine}/disks", {"name": name, "size_gb": 1}),
        ):
            answer = kim.post(path, json=wish)
            assert answer.status_code == 422 and answer.json()["title"], (path, name, answer.text)
        assert kim.patch(f"/api/vms/{machine}", json={"name": name}).status_code == 422
    assert kim.machine(machine)["name"] == "web" and len(kim.get("/api/vms").json()) == 1
    assert not (libvirtd.pool / "disks").exists() or not list((libvirtd.pool / "disks").iterdir())


NUMBERS = [
    "0", "-1", "1.5", "0.1", "1e400", "-1e400", "NaN", "Infinity", "9223372036854775808", "18446744073709551616",
    "1e30", "1" + "0" * 400, '"0x10"', "true", "[1]", "{}",
]  # fmt: skip


def test_a_size_that_is_none_is_refused_everywhere(kim: MachineClient) -> None:
    made = kim.make()
    asked = [("/api/vms", f'"name": "web", "{field}"') for field in ("disk_bytes", "memory_bytes", "cpus")]
    asked += [(f"/api/vms/{made['id']}/{path}", fields) for path, fields in (
        ("disk/resize", '"size_gb"'), ("disks", '"name": "d", "size_gb"'),
    )]  # fmt: skip
    for number in NUMBERS:
        for path, fields in asked:
            body = f"{{{fields}: {number}}}"
            answer = kim.post(path, content=body, headers={"content-type": "application/json"})
            assert answer.status_code in (400, 422) and answer.json()["title"], (path, body, answer.text)
    assert kim.machine(made["id"])["disk_size"] == made["disk_size"]
    assert len(kim.get("/api/vms").json()) == 1 and kim.get("/api/vms/disks").json() == []


def test_a_size_beyond_the_pool_is_told_with_what_is_free(kim: MachineClient) -> None:
    most = kim.get("/api/vms/options").json()["disk_bytes"]["most"]
    (host,) = kim.get("/api/vms/options").json()["hosts"]
    beyond = host["pool"]["total"] + 2**30
    answer = kim.post("/api/vms", json={"name": "web", "disk_bytes": beyond})
    assert answer.status_code == 422
    if beyond <= most:
        assert answer.json()["code"] == "pool_too_small" and answer.json()["free"] > 0


@pytest.mark.parametrize("number", ["-1", "x", "1e3", "99999999999999999999"])
def test_an_upload_that_begins_nowhere_is_refused(kim: MachineClient, number: str) -> None:
    wish = {"name": "x.iso", "size": 100_000, "sha256": "0" * 64}
    upload = kim.post("/api/isos/uploads", json=wish).json()["id"]
    answer = kim.put(f"/api/isos/uploads/{upload}", params={"offset": number}, content=b"x")
    assert answer.status_code in (400, 409, 422), answer.text
    assert kim.delete(f"/api/isos/uploads/{upload}").status_code == 204


@pytest.mark.parametrize(
    "name", ["../x.iso", "a/b.iso", ".iso", ".x.iso", "x", "x.iso\n", "a\0.iso", "x" * 200 + ".iso"]
)
def test_an_upload_goes_into_the_folder_and_nowhere_else(
    kim: MachineClient, libvirtd: PrivateLibvirt, name: str
) -> None:
    before = sorted(libvirtd.isos.parent.rglob("*.iso"))
    answer = kim.post("/api/isos/uploads", json={"name": name, "size": 1000, "sha256": "0" * 64})
    assert answer.status_code == 422, answer.text
    assert sorted(libvirtd.isos.parent.rglob("*.iso")) == before and kim.get("/api/isos/uploads").json() == []
