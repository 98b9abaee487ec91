"""What people may not, cannot, or should not do, and what they are told."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest
import websockets

from tests.daemons.machines.portal.house import MachineClient, MachinePortal, media
from tests.support.libvirt import DISK, MB, PrivateLibvirt
from tests.support.waiting import eventually
from tests.unit.machines.discs import disc

GIB = 1024**3


async def refusal(portal: MachinePortal, who: MachineClient | None, path: str) -> int:
    headers = who.socket_headers if who else {}
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(portal.ws_url + path, additional_headers=headers):
            pass
    return refused.value.response.status_code


def test_a_machine_is_shared_to_look_at_or_to_use(
    portal: MachinePortal, kim: MachineClient, lee: MachineClient
) -> None:
    machine = kim.make()["id"]
    name = lee.get("/api/identity/me").json()["person"]["name"]
    kim.act(machine, "start")
    shared = kim.change(machine, "shares", person=name)
    assert [(one["name"], one["mode"]) for one in shared["shares"]] == [(name, "view")]
    assert [one["id"] for one in lee.get("/api/vms").json()] == [machine]
    assert lee.get(f"/api/vms/{machine}/screenshot").status_code == 200
    asyncio.run(looks(portal, lee, machine))
    assert asyncio.run(refusal(portal, lee, f"/machines/serial/{machine}")) == 403
    lee.refused(machine, "action", 403, "forbidden", action="force_off")
    kim.change(machine, "shares", person=name, mode="operate")
    lee.act(machine, "force_off")
    assert lee.change(machine, "boot-order", boot_order="hd")["boot_order"] == "hd"
    for what, wish in (("shares", {"person": name}), ("disk/resize", {"size_gb": 2}), ("snapshots", {"title": "x"})):
        lee.refused(machine, what, 403, "forbidden", **wish)
    assert lee.delete(f"/api/vms/{machine}", params={"name": "web"}).status_code == 403
    assert lee.patch(f"/api/vms/{machine}", json={"name": "mine"}).status_code == 403
    person = lee.get("/api/identity/me").json()["person"]["id"]
    assert kim.delete(f"/api/vms/{machine}/shares/{person}").json()["shares"] == []
    assert lee.get("/api/vms").json() == [] and lee.get(f"/api/vms/{machine}").status_code == 404


async def looks(portal: MachinePortal, who: MachineClient, machine: str) -> None:
    """To look is to see the screen, and no more."""
    async with websockets.connect(
        f"{portal.ws_url}/machines/console/{machine}", additional_headers=who.socket_headers
    ) as console:
        assert await console.recv() == b"RFB 003.008\n"
        await console.send(b"RFB 003.008\n")
        assert await console.recv() == b"\x01\x01"
        await console.send(b"\x01")
        assert await console.recv() == bytes(4)
        await console.send(b"\x01")
        assert len(await console.recv()) >= 24  # size, pixels, name


def test_an_edit_of_what_is_not_there_any_more_is_refused(kim: MachineClient) -> None:
    made = kim.make()
    machine, seen = made["id"], {"If-Match": f'"{made["etag"]}"'}
    first = kim.post(f"/api/vms/{machine}/boot-order", json={"boot_order": "hd"}, headers=seen)
    assert first.status_code == 200 and first.headers["etag"] != seen["If-Match"]
    second = kim.post(f"/api/vms/{machine}/boot-order", json={"boot_order": "cdrom"}, headers=seen)
    assert (second.status_code, second.json()["code"]) == (412, "stale_edit")
    assert kim.patch(f"/api/vms/{machine}", json={"name": "x"}, headers=seen).status_code == 412
    assert kim.machine(machine)["boot_order"] == "hd"
    again = {"If-Match": kim.get(f"/api/vms/{machine}/boot-order").headers["etag"]}
    assert kim.post(f"/api/vms/{machine}/boot-order", json={"boot_order": "cdrom"}, headers=again).status_code == 200


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"disk_bytes": 0}, 422),
        ({"disk_bytes": -1}, 422),
        ({"disk_bytes": 1.5}, 422),
        ({"disk_bytes": 1 << 59}, 422),
        ({"memory_bytes": 1}, 422),
        ({"cpus": 0}, 422),
        ({"cpus": 4096}, 422),
        ({"name": ""}, 422),
        ({"name": " "}, 422),
        ({"name": "a\0b"}, 422),
        ({"name": "two\nlines"}, 422),
        ({"name": "\u202eturned"}, 422),
        ({"network": "bridge:br0"}, 422),
        ({"host": "elsewhere"}, 422),
        ({"boot_order": "floppy"}, 422),
        ({"iso_path": "/etc/passwd"}, 422),
        ({"iso_path": "../../etc/passwd"}, 422),
        ({"boot_order": "cdrom", "start": True}, 409),
    ],
)  # fmt: skip
def test_what_cannot_be_made_leaves_nothing(
    kim: MachineClient, libvirtd: PrivateLibvirt, wish: dict[str, object], status: int
) -> None:
    answer = kim.post("/api/vms", json={"name": "web"} | wish)
    assert answer.status_code == status, answer.text
    assert kim.get("/api/vms").json() == [] and not list(libvirtd.pool.iterdir())


@pytest.mark.parametrize("name", ["<b>&amp;</b>", "'; DROP TABLE machines; --", "한글 이름", "a/../b", "%s{}", '"'])
def test_a_name_may_have_any_character_that_can_be_shown(kim: MachineClient, name: str) -> None:
    machine = kim.make(name)["id"]
    assert kim.machine(machine)["name"] == name
    assert kim.patch(f"/api/vms/{machine}", json={"name": f"{name} 2"}).json()["name"] == f"{name} 2"
    assert kim.delete(f"/api/vms/{machine}", params={"name": name}).json()["code"] == "name_differs"
    assert kim.delete(f"/api/vms/{machine}", params={"name": f"{name} 2"}).status_code in (202, 204)


def test_media_come_from_the_catalogue_alone(kim: MachineClient, libvirtd: PrivateLibvirt, some_iso: Path) -> None:
    machine = kim.make()["id"]
    (libvirtd.isos / "link.iso").symlink_to("/etc/passwd")
    for path in (
        "/etc/passwd", f"{libvirtd.isos}/../pool/{machine}/disk.qcow2", f"{libvirtd.isos}/link.iso",
        f"{libvirtd.pool}/{machine}/disk.qcow2", "some.iso", "", "\0",
    ):  # fmt: skip
        kim.refused(machine, "media/attach", 422, "not_in_catalogue", iso_path=path)
    (libvirtd.isos / "link.iso").unlink()
    assert media(kim.change(machine, "media/attach", iso_path=str(some_iso))) == ["some.iso", None]
    assert media(kim.change(machine, "media/attach", iso_path=str(some_iso))) == ["some.iso", "some.iso"]
    kim.refused(machine, "media/attach", 422, "no_such_drive", iso_path=str(some_iso), target="vda")
    (iso,) = [one for one in kim.get("/api/isos").json() if one["name"] == "some.iso"]
    assert (iso["used_by"], iso["used_count"], iso["boots"]) == ([{"id": machine, "name": "web"}], 1, ["bios"])
    assert media(kim.change(machine, "media/detach", target="sda")) == [None, "some.iso"]
    assert media(kim.change(machine, "media/detach")) == [None, None]


def test_an_iso_that_vanishes_behind_our_back_is_said_and_can_be_ejected(kim: MachineClient, some_iso: Path) -> None:
    machine = kim.make(iso_path=str(some_iso))["id"]
    some_iso.unlink()
    eventually(lambda: "medium_missing" in kim.codes(machine), 20, "it is not said")
    assert kim.machine(machine)["current_media"][0]["missing"]
    kim.refused(machine, "action", 422, "iso_missing", action="start")
    assert kim.machine(machine)["state"] == "shut_off"
    kim.change(machine, "media/detach")
    eventually(lambda: "medium_missing" not in kim.codes(machine), 20, "it is said still")


def test_an_iso_in_use_is_not_deleted(kim: MachineClient, park: MachineClient, some_iso: Path) -> None:
    machine = kim.make(iso_path=str(some_iso))["id"]
    where = {"path": str(some_iso)}
    assert kim.delete("/api/isos", params=where).status_code == 403
    used = park.delete("/api/isos", params=where)
    assert (used.status_code, used.json()["code"]) == (409, "iso_in_use") and "web" in used.json()["detail"]
    assert machine in [one["id"] for one in park.get("/api/vms", params={"all": True}).json()]
    park.change(machine, "media/detach")
    assert park.delete("/api/isos", params=where).status_code == 204
    assert park.delete("/api/isos", params={"path": "/etc/passwd"}).status_code == 404
    assert not some_iso.exists()


def test_an_upload_is_gone_on_with_and_becomes_an_entry(
    portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt
) -> None:
    data = disc(label="UPLOADED", size=2000)
    wish = {"name": "up.iso", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    upload = kim.post("/api/isos/uploads", json=wish).json()
    part = kim.put(f"/api/isos/uploads/{upload['id']}", params={"offset": 0}, content=data[:1_500_000])
    assert part.json()["offset"] == 1_500_000
    portal.kill()
    portal.start()
    again = kim.post("/api/isos/uploads", json=wish).json()
    assert (again["id"], again["offset"]) == (upload["id"], 1_500_000)
    kim.put(f"/api/isos/uploads/{upload['id']}", params={"offset": 1_500_000}, content=data[1_500_000:])
    done = kim.post(f"/api/isos/uploads/{upload['id']}/finish")
    assert done.status_code == 200 and (done.json()["name"], done.json()["label"]) == ("up.iso", "UPLOADED")
    assert (libvirtd.isos / "up.iso").read_bytes() == data
    machine = kim.make(iso_path=done.json()["path"])
    assert media(machine) == ["up.iso", None]
    (libvirtd.isos / "up.iso").unlink()


def test_a_disk_only_grows(kim: MachineClient) -> None:
    machine = kim.make(disk_bytes=GIB)["id"]
    for size in (0, -1, 1.5, "large", None):
        assert kim.post(f"/api/vms/{machine}/disk/resize", json={"size_gb": size}).status_code == 422
    kim.refused(machine, "disk/resize", 422, "shrink_refused", size_gb=1)
    kim.refused(machine, "disk/resize", 422, "too_large", size_gb=999_999)
    assert kim.change(machine, "disk/resize", size_gb=2)["disk_size"] == 2 * GIB
    disk = kim.get(f"/api/vms/{machine}/disk").json()
    assert disk["size"] == 2 * GIB and 0 < disk["used"] < 10 * MB and disk["pool_free"] > 0


def test_nothing_to_boot_from_is_refused_with_a_way_out(kim: MachineClient) -> None:
    machine = kim.make(boot_order="cdrom")["id"]
    kim.refused(machine, "action", 409, "no_medium", action="start")
    assert kim.codes(machine) == ["no_medium"]
    assert kim.make("other")["suggestions"][0]["code"] == "insert_iso"


def test_a_protected_machine_is_not_deleted(kim: MachineClient) -> None:
    machine = kim.make()["id"]
    kim.patch(f"/api/vms/{machine}", json={"protected": True})
    assert kim.delete(f"/api/vms/{machine}", params={"name": "web"}).json()["code"] == "protected"
    kim.patch(f"/api/vms/{machine}", json={"protected": False})
    assert kim.delete(f"/api/vms/{machine}", params={"name": "web"}).status_code == 204


def test_a_disk_that_is_to_be_kept_stays(kim: MachineClient) -> None:
    made = kim.make()
    assert kim.delete(f"/api/vms/{made['id']}", params={"name": "web", "disks": "keep"}).status_code == 204
    assert Path(made["disk_path"]).exists()


def test_boot_presets_are_the_sites_and_ones_own(kim: MachineClient, lee: MachineClient) -> None:
    site = kim.get("/api/vms/boot-presets").json()
    assert site and not any(one["own"] for one in site)
    mine = kim.post("/api/vms/boot-presets", json={"name": "Rescue", "boot_order": "cdrom"})
    assert mine.status_code == 201 and kim.get("/api/vms/boot-presets").json() == [*site, mine.json()]
    assert lee.get("/api/vms/boot-presets").json() == site
    assert lee.delete(f"/api/vms/boot-presets/{mine.json()['id']}").status_code == 404
    assert kim.delete(f"/api/vms/boot-presets/{mine.json()['id']}").status_code == 204


def test_quotas(libvirtd: PrivateLibvirt) -> None:
    limits = {"MACHINES_MACHINES_PER_PERSON": "2", "MACHINES_DISK_BYTES_PER_PERSON": str(3 * GIB // 2)}
    with MachinePortal(libvirtd, **limits) as portal:
        portal.add_person("kim")
        with portal.client("kim") as kim:
            first = kim.make(disk_bytes=GIB)["id"]
            kim.refused(first, "disk/resize", 409, "quota_reached", size_gb=2)
            too_much = kim.post("/api/vms", json={"name": "big", "disk_bytes": GIB})
            assert too_much.json()["code"] == "quota_reached"
            kim.make("second")
            assert kim.post("/api/vms", json={"name": "third"}).json()["code"] == "quota_reached"
            quota = kim.get("/api/vms/options").json()["quota"]
            assert quota["machines"] == {"most": 2, "used": 2} and quota["disk_bytes"]["used"] - GIB - DISK in range(
                512
            )


def test_the_form_knows_hosts_room_and_limits(kim: MachineClient) -> None:
    options = kim.get("/api/vms/options").json()
    (host,) = options["hosts"]
    assert host["connected"] and 0 < host["pool"]["free"] <= host["pool"]["total"] and options["missing"] == []
    assert options["default_boot_order"] == "cdrom_hd" and options["disk_bytes"]["default"] == DISK
