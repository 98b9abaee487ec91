"""The host is not there when the portal starts, or it hangs: nobody waits for it, and all is well once it is back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons.machines.portal.house import MachineClient, MachinePortal
from tests.daemons.machines.portal.killing import Asking, assert_as_it_is, held
from tests.support.libvirt import PrivateLibvirt
from tests.support.waiting import eventually

PATIENCE = 5.0  # of somebody who looks at the page; a host's silence takes longer to be believed


@pytest.fixture
def quick(portal: MachinePortal, kim: MachineClient) -> Iterator[MachineClient]:
    name = kim.get("/api/identity/me").json()["person"]["name"]
    with portal.client(name) as client:
        client.timeout = PATIENCE
        yield client


def test_a_portal_that_starts_without_its_host(
    portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt
) -> None:
    machine = kim.make(boot_order="hd")["id"]
    kim.act(machine, "start")
    began = kim.until_state(machine, "running")["started_at"]
    portal.stop()
    libvirtd.kill()
    portal.start()
    lost = kim.until_state(machine, "unknown", seconds=30)
    assert lost["unknown_since"] and lost["last_state"] == "running"
    (host,) = kim.get("/api/vms/options").json()["hosts"]
    assert not host["connected"] and host["problem"], host
    refused = kim.post("/api/vms", json={"name": "another"})
    assert (refused.status_code, refused.json()["code"]) == (503, "host_unreachable") and refused.json()["hint"]
    assert len(kim.get("/api/vms").json()) == 1, "what could not be made is not there"
    libvirtd.start()
    back = kim.until_state(machine, "running", seconds=60)
    assert (back["started_at"], back["unknown_since"]) == (began, None) and "changed_outside" not in kim.codes(machine)
    kim.make("another")


def test_a_libvirt_that_hangs_holds_nobody_up(
    portal: MachinePortal, kim: MachineClient, quick: MachineClient, libvirtd: PrivateLibvirt, some_iso: Path
) -> None:
    machine, other = kim.make(disk_bytes=2**30)["id"], kim.make("other")["id"]
    kim.act(other, "start")
    kim.until_state(other, "running")
    pid = libvirtd.daemon.pid
    assert pid is not None
    with held(pid):
        asked = [
            Asking(portal, kim, machine, "boot-order", boot_order="hd"),
            Asking(portal, kim, machine, "disk/resize", size_gb=3),
            Asking(portal, kim, other, "media/attach", iso_path=str(some_iso)),
            Asking(portal, kim, other, "action", action="pause"),
        ]
        kim.wait(other, lambda one: one["state"] == "unknown", 60)
        for _ in range(20):  # while all that hangs
            assert len(quick.get("/api/vms").json()) == 2
            assert quick.get(f"/api/vms/{machine}").json()["operation"]["kind"] == "boot_order"
            assert quick.get("/api/isos").status_code == 200 and quick.get("/ready").status_code == 200
            assert quick.get(f"/api/vms/{machine}/operations").status_code == 200
        assert quick.patch(f"/api/vms/{other}", json={"notes": "while it hangs"}).status_code == 200
    for one in asked:
        answer = one.answer()
        assert answer is not None and answer.status_code in (200, 202, 503), answer
        if answer.status_code == 503:
            assert answer.json()["code"] == "host_unreachable" and answer.json()["hint"]
    for one in (machine, other):
        settled = kim.wait(one, lambda now: not now["operation"] and now["state"] != "unknown", 90)
        assert "changed_outside" not in [each["code"] for each in settled["suggestions"]]
        assert_as_it_is(kim, libvirtd, one)
        for operation in kim.get(f"/api/vms/{one}/operations").json():
            assert operation["state"] == "done" or operation["failure"]["code"] == "host_unreachable", operation


def test_an_order_that_was_taken_by_a_host_that_did_not_say_so_is_our_own(
    portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt
) -> None:
    """libvirt hangs until the operation has failed, and carries it out then."""
    with MachinePortal(libvirtd, MACHINES_HOST_SECONDS="0.5") as hasty:
        hasty.add_person("choi")
        with hasty.client("choi") as choi:
            machine = choi.make()["id"]
            libvirtd.signal(signal.SIGSTOP)
            try:
                asked = Asking(hasty, choi, machine, "boot-order", boot_order="hd")
                answer = asked.answer()
            finally:
                libvirtd.signal(signal.SIGCONT)
            assert answer is not None and answer.status_code in (202, 503), answer
            eventually(
                lambda: choi.get(f"/api/vms/{machine}/operations").json()[0]["state"] in ("done", "failed"), 60, "open"
            )
            after = choi.wait(machine, lambda one: one["state"] == "shut_off" and not one["operation"], 60)
            assert_as_it_is(choi, libvirtd, machine)
            assert "changed_outside" not in choi.codes(machine), after
