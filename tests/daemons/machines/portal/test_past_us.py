"""Somebody changes a machine with virsh, at rest and in the middle of our own work: we follow, and say so."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemons.machines.portal.house import Json, MachineClient, MachinePortal, media
from tests.daemons.machines.portal.killing import Asking, held
from tests.support.libvirt import PrivateLibvirt


def redefine(libvirtd: PrivateLibvirt, machine: str, change: Callable[[str], str]) -> None:
    xml = libvirtd.folder / f"{machine}.xml"
    before = libvirtd.virsh("dumpxml", "--inactive", machine)
    after = change(before)
    assert after != before
    xml.write_text(after)
    xml.chmod(0o644)
    libvirtd.virsh("define", str(xml))
    xml.unlink()


def changed(machine: Json) -> list[str]:
    return [what for one in machine["suggestions"] if one["code"] == "changed_outside" for what in one["changed"]]


def disk_first(xml: str) -> str:
    return re.sub(r"<boot order='(\d)'/>", lambda found: f"<boot order='{int(found[1]) % 3 + 1}'/>", xml)


CHANGES: dict[str, Callable[[str], str]] = {
    "cpus": lambda xml: re.sub(r"<vcpu[^>]*>1</vcpu>", "<vcpu>3</vcpu>", xml),
    "memory_bytes": lambda xml: re.sub(
        r"<currentMemory.*?</currentMemory>",
        "",
        re.sub(r"<memory[^>]*>\d+</memory>", "<memory unit='MiB'>256</memory>", xml),
    ),
    "boot_order": disk_first,
}


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.parametrize("what", list(CHANGES))
def test_what_is_changed_at_rest(kim: MachineClient, libvirtd: PrivateLibvirt, what: str, runs: bool) -> None:
    made = kim.make()
    machine = made["id"]
    if runs:
        kim.act(machine, "start")
        kim.until_state(machine, "running")
    redefine(libvirtd, machine, CHANGES[what])
    after = kim.wait(machine, changed)
    assert changed(after) == [what] and after[what] != made[what] and after["etag"] != made["etag"]
    assert [one["what"] for one in after["pending"]] == ([what] if runs else [])
    stale = kim.post(
        f"/api/vms/{machine}/boot-order", json={"boot_order": "hd"}, headers={"If-Match": f'"{made["etag"]}"'}
    )
    assert stale.status_code == 412, "whoever saw it before is told"


@pytest.mark.parametrize("what", list(CHANGES))
def test_what_is_changed_in_the_middle_of_our_own_work(
    portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt, what: str
) -> None:
    """A live resize, during which QEMU does not answer."""
    machine = kim.make(disk_bytes=2**30)["id"]
    kim.act(machine, "start")
    kim.until_state(machine, "running")
    with held(libvirtd.qemu_pid(f"madang-{machine}")):
        asked = Asking(portal, kim, machine, "disk/resize", size_gb=2)
        kim.wait(machine, lambda one: (one["operation"] or {}).get("kind") == "resize")
        redefine(libvirtd, machine, CHANGES[what])
    answer = asked.answer()
    assert answer is not None and answer.status_code == 200, answer
    after = kim.wait(machine, lambda one: changed(one) and not one["operation"])
    assert changed(after) == [what] and after["disk_size"] == 2 * 2**30


def test_two_changes_of_the_order_at_once_end_as_libvirt_has_it(
    portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt
) -> None:
    machine = kim.make()["id"]
    pid = libvirtd.daemon.pid
    assert pid is not None
    with held(pid):
        asked = Asking(portal, kim, machine, "boot-order", boot_order="hd")
        kim.wait(machine, lambda one: (one["operation"] or {}).get("kind") == "boot_order")
    redefine(libvirtd, machine, lambda xml: xml.replace("<on_crash>destroy", "<on_crash>restart") + "\n")
    asked.answer()
    after = kim.wait(machine, lambda one: not one["operation"])
    first = libvirtd.virsh("dumpxml", machine).partition("<boot order='1'/>")[0].rpartition("device='")[2]
    assert first.startswith("disk" if after["boot_order"] in ("hd", "hd_cdrom") else "cdrom")


def test_media_that_are_changed_with_virsh(kim: MachineClient, libvirtd: PrivateLibvirt, some_iso: Path) -> None:
    machine = kim.make(iso_path=str(some_iso))["id"]
    kim.act(machine, "start")
    kim.until_state(machine, "running")
    libvirtd.virsh("change-media", machine, "sda", "--eject", "--live", "--config")
    after = kim.wait(machine, lambda one: media(one) == [None, None] and changed(one))
    assert changed(after) == ["media"]


def test_a_machine_that_is_ended_started_and_removed_with_virsh(kim: MachineClient, libvirtd: PrivateLibvirt) -> None:
    machine = kim.make()["id"]
    libvirtd.virsh("start", machine)
    kim.until_state(machine, "running")
    libvirtd.virsh("suspend", machine)
    kim.until_state(machine, "paused")
    libvirtd.virsh("destroy", machine)
    kim.until_state(machine, "shut_off")
    libvirtd.virsh("start", machine)
    kim.until_state(machine, "running")
    libvirtd.virsh("undefine", machine)  # it goes on running, and is gone then
    kim.act(machine, "force_off")
    gone = kim.until_state(machine, "failed")
    assert gone["failure"]["code"] == "definition_gone" and gone["failure"]["hint"]
    kim.act(machine, "start")
    kim.until_state(machine, "running")


@pytest.mark.parametrize("work", ["boot-order", "disk/resize", "backups"])
def test_a_machine_that_is_removed_in_the_middle_of_our_own_work(
    portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt, work: str
) -> None:
    machine = kim.make(disk_bytes=2**30)["id"]
    wish = {"boot-order": {"boot_order": "hd"}, "disk/resize": {"size_gb": 2}}.get(work, {})
    pid = libvirtd.daemon.pid
    assert pid is not None
    with held(pid):
        removing = subprocess.Popen(["virsh", "-c", libvirtd.uri, "undefine", machine], stdout=subprocess.DEVNULL)
        asked = Asking(portal, kim, machine, work, **wish)
        kim.wait(machine, lambda one: one["operation"])
    assert removing.wait(60) == 0
    answer = asked.answer()
    assert answer is not None
    if answer.status_code != 200:
        assert answer.status_code == 404 and answer.json()["hint"], answer.text

    def settled(one: Json) -> bool:
        there = machine in libvirtd.virsh("list", "--all", "--uuid")
        return not one["operation"] and (there or one["state"] == "failed")

    after = kim.wait(machine, settled, 60)
    if after["state"] == "failed":
        assert after["failure"]["code"] == "definition_gone"
    else:  # libvirt takes a change that comes right after the removal, and has the machine again
        assert work == "boot-order" and (after["state"], after["boot_order"]) == ("shut_off", "hd")
    kim.act(machine, "start")
    kim.until_state(machine, "running")
    assert Path(kim.machine(machine)["disk_path"]).exists()


def test_a_machine_that_is_ended_in_the_middle_of_a_backup(
    portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt
) -> None:
    machine = kim.make()["id"]
    kim.act(machine, "start")
    kim.until_state(machine, "running")
    with held(libvirtd.qemu_pid(f"madang-{machine}")):
        asked = Asking(portal, kim, machine, "backups")
        kim.wait(machine, lambda one: (one["operation"] or {}).get("kind") == "backup")
        ending = subprocess.Popen(["virsh", "-c", libvirtd.uri, "destroy", machine], stdout=subprocess.DEVNULL)
        ending.wait(60)
    answer = asked.answer()
    assert answer is not None and answer.json().get("hint", "-"), answer
    kim.until_state(machine, "shut_off", "crashed")
    kim.change(machine, "backups")
    assert kim.get(f"/api/vms/{machine}/backups").json()
