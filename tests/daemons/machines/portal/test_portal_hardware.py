"""CPUs, memory and network of a machine through the portal: at once, at the next start, or not at all."""

from __future__ import annotations

import pytest

from tests.daemons.machines.portal.house import Json, MachineClient, MachinePortal
from tests.daemons.machines.portal.test_portal_faults import killed_after
from tests.support.libvirt import MB, MEMORY, PrivateLibvirt
from tests.support.waiting import eventually

MORE = MEMORY + 64 * 2**20


def change(kim: MachineClient, machine: str, status: int = 200, **wish: object) -> Json:
    answer = kim.patch(f"/api/vms/{machine}/hardware", json=wish)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def has(machine: Json) -> tuple[int, int, str]:
    return machine["cpus"], machine["memory_bytes"], machine["network"]


def pending(machine: Json) -> dict[str, tuple[object, object]]:
    return {one["what"]: (one["from"], one["to"]) for one in machine["pending"]}


def as_libvirt_has_it(libvirtd: PrivateLibvirt, machine: str) -> tuple[int, int, str]:
    xml = libvirtd.virsh("dumpxml", "--inactive", machine)
    cpus = int(xml.partition("</vcpu>")[0].rpartition(">")[2])
    memory = int(xml.partition("</memory>")[0].rpartition(">")[2]) * 1024
    assert f"<currentMemory unit='KiB'>{memory // 1024}<" in xml
    return cpus, memory, "user" if "<interface type='user'>" in xml else "none"


def test_of_what_is_off_it_is_another_at_once(kim: MachineClient, libvirtd: PrivateLibvirt) -> None:
    made = kim.make()
    changed = change(kim, made["id"], cpus=2, memory_bytes=MORE, network="user")
    assert has(changed) == (2, MORE, "user") and changed["pending"] == []
    assert as_libvirt_has_it(libvirtd, made["id"]) == (2, MORE, "user")
    assert changed["etag"] != made["etag"]
    seen = {"If-Match": f'"{made["etag"]}"'}
    for wish in ({"cpus": 3}, {}):
        stale = kim.patch(f"/api/vms/{made['id']}/hardware", json=wish, headers=seen)
        assert (stale.status_code, stale.json()["code"]) == (412, "stale_edit")
    same = change(kim, made["id"], cpus=2)
    assert same["etag"] == changed["etag"], "what it is already is no change"
    odd = change(kim, made["id"], memory_bytes=MORE + 1)
    eventually(lambda: kim.machine(made["id"])["version"] >= odd["version"], 5, "it is looked at")
    assert odd["memory_bytes"] == MORE + 1024, "libvirt counts in whole KiB, and so do we"
    assert "changed_outside" not in kim.codes(made["id"])


def test_of_what_runs_it_waits_and_is_applied_or_dropped(kim: MachineClient, libvirtd: PrivateLibvirt) -> None:
    machine = kim.make()["id"]
    kim.act(machine, "start")
    kim.until_state(machine, "running")
    kim.refused(machine, "hardware/discard", 409, "nothing_pending")
    changed = change(kim, machine, cpus=2, memory_bytes=MORE)
    assert pending(changed) == {"cpus": (1, 2), "memory_bytes": (MEMORY, MORE)}
    assert as_libvirt_has_it(libvirtd, machine) == (2, MORE, "user")
    kim.refused(machine, "boot-order/discard", 409, "nothing_pending")
    kim.change(machine, "boot-order", boot_order="hd")
    dropped = kim.change(machine, "hardware/discard")
    assert has(dropped) == (1, MEMORY, "user") and set(pending(dropped)) == {"boot_order"}
    assert as_libvirt_has_it(libvirtd, machine) == (1, MEMORY, "user")
    kim.change(machine, "boot-order/discard")
    change(kim, machine, cpus=2)
    kim.post(f"/api/vms/{machine}/boot-order/apply")
    applied = kim.wait(machine, lambda one: not one["operation"] and one["state"] == "running" and not one["pending"])
    assert applied["cpus"] == 2
    assert "2" in libvirtd.virsh("vcpucount", machine, "--live", "--current")
    kim.patch(f"/api/vms/{machine}/hardware", json={"memory_bytes": MORE, "apply": "now"})
    now = kim.wait(machine, lambda one: not one["operation"] and one["memory_bytes"] == MORE and not one["pending"])
    assert now["state"] == "running" and "changed_outside" not in kim.codes(machine)


@pytest.mark.parametrize(
    "wish",
    [
        {"cpus": 0},
        {"cpus": 17},
        {"cpus": 1.5},
        {"memory_bytes": 1},
        {"memory_bytes": -1},
        {"memory_bytes": 1 << 60},
        {"network": "bridge:br0"},
        {"network": ""},
        {"disk_bytes": 1},
        {"apply": "maybe"},
    ],
)
def test_what_cannot_be_changes_nothing(kim: MachineClient, libvirtd: PrivateLibvirt, wish: dict[str, object]) -> None:
    made = kim.make()
    refused = change(kim, made["id"], 422, **wish)
    assert refused["fields"], refused
    assert kim.machine(made["id"])["etag"] == made["etag"]
    assert as_libvirt_has_it(libvirtd, made["id"]) == (1, MEMORY, "user")


def test_quotas_count_what_is_kept(libvirtd: PrivateLibvirt) -> None:
    limits = {"MACHINES_CPUS_PER_PERSON": "3", "MACHINES_MEMORY_BYTES_PER_PERSON": str(2 * MEMORY + 10 * MB)}
    with MachinePortal(libvirtd, **limits) as portal:
        portal.add_person("kim")
        with portal.client("kim") as kim:
            first, second = kim.make("first")["id"], kim.make("second")["id"]
            assert change(kim, first, 409, cpus=3)["code"] == "quota_reached"
            assert change(kim, first, 409, memory_bytes=MORE)["code"] == "quota_reached"
            kim.act(first, "start")
            assert change(kim, first, cpus=2)["cpus"] == 2
            assert change(kim, second, 409, cpus=2)["code"] == "quota_reached"
            kim.change(first, "hardware/discard")
            assert change(kim, second, cpus=2)["cpus"] == 2


def test_who_only_uses_it_does_not_change_it(kim: MachineClient, lee: MachineClient, park: MachineClient) -> None:
    machine = kim.make()["id"]
    kim.change(machine, "shares", person=lee.get("/api/identity/me").json()["person"]["name"], mode="operate")
    assert change(lee, machine, 403, cpus=2)["code"] == "forbidden"
    lee.refused(machine, "hardware/discard", 403, "forbidden")
    assert change(park, machine, cpus=2)["cpus"] == 2


def test_a_snapshot_brings_it_back_and_nobody_is_blamed(kim: MachineClient, libvirtd: PrivateLibvirt) -> None:
    machine = kim.make()["id"]
    kim.change(machine, "snapshots", title="before")
    change(kim, machine, cpus=2, memory_bytes=MORE, network="user")
    (taken,) = kim.get(f"/api/vms/{machine}/snapshots").json()
    back = kim.change(machine, f"snapshots/{taken['name']}/revert")
    assert has(back) == (1, MEMORY, "user") and "changed_outside" not in kim.codes(machine)
    assert as_libvirt_has_it(libvirtd, machine) == (1, MEMORY, "user")


def test_what_virsh_changed_is_followed_and_said(kim: MachineClient, libvirtd: PrivateLibvirt) -> None:
    machine = kim.make()["id"]
    kim.act(machine, "start")
    kim.until_state(machine, "running")
    xml = libvirtd.virsh("dumpxml", "--inactive", "--security-info", machine)
    head, _, rest = xml.partition("<interface type='user'>")
    edited = head.replace(">1</vcpu>", ">2</vcpu>") + rest.partition("</interface>")[2]
    (libvirtd.folder / "edited.xml").write_text(edited)
    (libvirtd.folder / "edited.xml").chmod(0o644)
    libvirtd.virsh("define", str(libvirtd.folder / "edited.xml"))
    followed = kim.wait(machine, lambda one: one["cpus"] == 2, 20)
    assert pending(followed) == {"cpus": (1, 2), "network": ("user", "none")}
    (said,) = [one for one in followed["suggestions"] if one["code"] == "changed_outside"]
    assert set(said["changed"]) == {"cpus", "network"}


@pytest.mark.parametrize("milliseconds", [3, 15, 40, 80])
def test_a_portal_that_is_killed_in_the_middle_of_it(
    portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt, milliseconds: int
) -> None:
    machine = kim.make()["id"]

    def ask() -> None:
        kim.patch(f"/api/vms/{machine}/hardware", json={"cpus": 2, "memory_bytes": MORE})

    killed_after(portal, ask, milliseconds)
    settled = kim.wait(machine, lambda one: not one["operation"], 20)
    assert has(settled) in ((1, MEMORY, "user"), (2, MORE, "user"))
    eventually(lambda: as_libvirt_has_it(libvirtd, machine) == has(kim.machine(machine)), 10, "they differ")
    assert "changed_outside" not in kim.codes(machine)


def test_the_command_line(portal: MachinePortal, kim: MachineClient) -> None:
    machine = kim.make("한글 기계")["id"]
    mine = {"MADANG_PERSON": kim.get("/api/identity/me").json()["person"]["name"]}
    said = portal.cli("machines", "hardware", machine, "--cpus", "2", "--memory", "256M", **mine).stdout
    assert "2 CPUs, 256 MiB of memory, network user." in said
    kim.act(machine, "start")
    kim.until_state(machine, "running")
    said = portal.cli("machines", "hardware", "한글 기계", "--cpus", "1", **mine).stdout
    assert "1 CPUs" in said and "from its next start on" in said
    said = portal.cli("machines", "hardware", machine, "--discard", **mine).stdout
    assert "2 CPUs" in said and "next start" not in said
    refused = portal.cli("machines", "hardware", machine, "--cpus", "99", check=False, **mine)
    assert refused.returncode == 1 and "16" in refused.stderr + refused.stdout
