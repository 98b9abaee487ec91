"""Whatever is killed, changed past us or done by two at once: the record and reality come together again."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.daemons.machines.portal.house import Json, MachineClient, MachinePortal, media
from tests.daemons.machines.portal.killing import assert_as_it_is
from tests.support.libvirt import PrivateLibvirt
from tests.support.waiting import eventually

GIB = 1024**3


# The portal is killed in the middle of something.


@pytest.mark.parametrize("milliseconds", [5, 30, 80, 150, 300])
def test_a_portal_that_is_killed_while_it_makes_a_machine(
    portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt, some_iso: Path, milliseconds: int
) -> None:
    def ask() -> None:
        kim.post("/api/vms", json={"name": "web", "iso_path": str(some_iso)})

    killed_after(portal, ask, milliseconds)
    found = kim.get("/api/vms").json()
    assert len(found) <= 1
    for one in found:
        made = kim.until_state(one["id"], "shut_off", "failed", seconds=20)
        if made["state"] == "shut_off":
            assert media(made) == ["some.iso", None] and Path(made["disk_path"]).exists()
            assert one["id"] in libvirtd.virsh("list", "--all", "--uuid")
        assert kim.delete(f"/api/vms/{one['id']}", params={"name": "web"}).status_code == 204
    assert not list(libvirtd.pool.iterdir()) and not libvirtd.virsh("list", "--all", "--uuid").strip()


@pytest.mark.parametrize("milliseconds", [3, 15, 40, 80])
def test_a_portal_that_is_killed_while_it_changes_a_machine(
    portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt, some_iso: Path, milliseconds: int
) -> None:
    machine = kim.make(disk_bytes=GIB)["id"]
    wishes = [
        ("boot-order", {"boot_order": "hd"}),
        ("media/attach", {"iso_path": str(some_iso), "target": "sdb"}),
        ("disk/resize", {"size_gb": 2}),
        ("complete-installation", {"boot_order": "hd_cdrom", "eject": True}),
    ]
    for path, wish in wishes:
        killed_after(
            portal, lambda path=path, wish=wish: kim.post(f"/api/vms/{machine}/{path}", json=wish), milliseconds
        )  # type: ignore[misc]
        settled = kim.wait(machine, lambda one: not one["operation"], 20)
        assert settled["state"] == "shut_off"
        assert_as_it_is(kim, libvirtd, machine)
        # What was meant and had begun was completed, not left half done: it is no change by somebody else.
        assert "changed_outside" not in kim.codes(machine)


def killed_after(portal: MachinePortal, ask: object, milliseconds: int) -> None:
    """kill -9 so long after something was asked for; then it starts again."""

    def asking() -> None:
        try:
            ask()  # type: ignore[operator]
        except httpx.TransportError:
            return

    thread = threading.Thread(target=asking)
    thread.start()
    time.sleep(milliseconds / 1000)
    portal.kill()
    thread.join()
    portal.start()


# What runs is killed.


def test_a_host_that_is_lost_makes_machines_unknown_and_they_come_back(
    kim: MachineClient, libvirtd: PrivateLibvirt, some_iso: Path
) -> None:
    machine = kim.make()["id"]
    kim.act(machine, "start")
    kim.until_state(machine, "running")
    libvirtd.kill()
    lost = kim.until_state(machine, "unknown", seconds=20)
    assert lost["unknown_since"] and lost["last_state"] == "running"
    refused = kim.post(f"/api/vms/{machine}/media/attach", json={"iso_path": str(some_iso)}, timeout=60)
    assert refused.status_code in (202, 503), refused.text
    libvirtd.mend()
    back = kim.until_state(machine, "running", seconds=30)
    assert back["unknown_since"] is None and "changed_outside" not in kim.codes(machine)


def test_a_libvirtd_that_is_killed_and_comes_back_during_a_change_does_it_all_the_same(
    kim: MachineClient, libvirtd: PrivateLibvirt
) -> None:
    machine = kim.make()["id"]
    libvirtd.kill()
    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(kim.post, f"/api/vms/{machine}/boot-order", json={"boot_order": "hd"})
        time.sleep(0.5)
        libvirtd.mend()
        assert asked.result().status_code in (200, 202), asked.result().text
    changed = kim.wait(machine, lambda one: not one["operation"], 20)
    assert changed["boot_order"] == "hd"


def test_a_killed_qemu_is_a_crash_and_the_machine_starts_again(kim: MachineClient, libvirtd: PrivateLibvirt) -> None:
    machine = kim.make()["id"]
    kim.act(machine, "start")
    kim.until_state(machine, "running")
    os.kill(libvirtd.qemu_pid(f"madang-{machine}"), signal.SIGKILL)
    kim.until_state(machine, "crashed", seconds=20)
    kim.act(machine, "start")
    kim.until_state(machine, "running")


def test_a_machine_that_is_started_by_an_order_of_the_portal_goes_on_when_that_is_killed(
    portal: MachinePortal, kim: MachineClient
) -> None:
    machine = kim.make()["id"]
    kim.act(machine, "start")
    began = kim.until_state(machine, "running")["started_at"]
    portal.kill()
    portal.start()
    again = kim.machine(machine)
    assert (again["state"], again["started_at"]) == ("running", began)


# Somebody changes it past us.


def test_what_virsh_changed_is_followed_and_said(kim: MachineClient, libvirtd: PrivateLibvirt, some_iso: Path) -> None:
    machine = kim.make()["id"]
    libvirtd.virsh("change-media", machine, "sda", str(some_iso), "--insert", "--config")
    changed = kim.wait(machine, lambda one: media(one) == ["some.iso", None], 20)
    (said,) = [one for one in changed["suggestions"] if one["code"] == "changed_outside"]
    assert said["changed"] == ["media"]
    assert "changed_outside" not in [
        one["code"] for one in kim.change(machine, "suggestions/dismiss", code="changed_outside")["suggestions"]
    ]
    libvirtd.virsh("start", machine)
    kim.until_state(machine, "running", seconds=20)
    libvirtd.virsh("destroy", machine)
    kim.until_state(machine, "shut_off", seconds=20)


def test_a_definition_that_virsh_removed_comes_back_with_the_next_start(
    kim: MachineClient, libvirtd: PrivateLibvirt
) -> None:
    machine = kim.make(boot_order="hd")["id"]
    libvirtd.virsh("undefine", machine)
    gone = kim.until_state(machine, "failed", seconds=20)
    assert gone["failure"]["code"] == "definition_gone"
    kim.refused(machine, "boot-order", 409, "machine_failed", boot_order="cdrom")
    kim.act(machine, "start")
    back = kim.until_state(machine, "running")
    assert back["failure"] is None and back["boot_order"] == "hd"


def test_a_disk_that_is_gone_is_said_and_nothing_changes(kim: MachineClient) -> None:
    made = kim.make()
    Path(made["disk_path"]).unlink()
    kim.refused(made["id"], "action", 404, "disk_missing", action="start")
    assert kim.get(f"/api/vms/{made['id']}/disk").status_code == 404
    assert kim.machine(made["id"])["state"] == "shut_off"
    assert kim.delete(f"/api/vms/{made['id']}", params={"name": "web"}).status_code == 204


# Two at once.


def test_of_two_who_change_the_same_machine_at_once_one_is_told_to_look_again(
    kim: MachineClient, park: MachineClient
) -> None:
    made = kim.make()
    seen = {"If-Match": f'"{made["etag"]}"'}
    with ThreadPoolExecutor(2) as both:
        answers = list(
            both.map(
                lambda asked: asked[0].post(
                    f"/api/vms/{made['id']}/boot-order", json={"boot_order": asked[1]}, headers=seen
                ),
                [(kim, "hd"), (park, "hd_cdrom")],
            )
        )
    assert sorted(answer.status_code for answer in answers) == [200, 412], [answer.text for answer in answers]
    (taken,) = [answer.json()["boot_order"] for answer in answers if answer.status_code == 200]
    assert kim.wait(made["id"], lambda one: not one["operation"], 10)["boot_order"] == taken


def test_what_comes_while_something_is_at_work_waits_visibly_and_can_be_cancelled(
    kim: MachineClient, some_iso: Path
) -> None:
    machine = kim.make()["id"]
    kim.act(machine, "start")  # nothing to boot from: it ignores the power button
    kim.until_state(machine, "running")
    with ThreadPoolExecutor(1) as beside:
        restarting = beside.submit(kim.post, f"/api/vms/{machine}/action", json={"action": "restart"})
        kim.wait(machine, lambda one: one["operation"] and one["operation"]["stage"] == "shutting_down", 10)
        waiting = kim.post(f"/api/vms/{machine}/media/attach", json={"iso_path": str(some_iso)})
        assert waiting.status_code == 202 and waiting.json()["queued"] == 1, waiting.text
        operation = waiting.json()["operation"]
        assert (operation["kind"], operation["can_cancel"]) == ("restart", True)
        base = f"/api/vms/{machine}/operations"
        assert kim.post(f"{base}/{operation['id']}/cancel").status_code == 200
        restarting.result()
    # Cancelled when it was off already, its run is over with the next look.
    kim.wait(machine, lambda one: not one["operation"] and media(one) == ["some.iso", None], 60)
    states = {one["kind"]: one["state"] for one in kim.get(base).json()}
    assert states["restart"] == "cancelled" and states["insert"] == "done"


def test_operations_are_told_to_the_page(portal: MachinePortal, kim: MachineClient) -> None:
    import asyncio
    import json

    import websockets

    async def heard() -> list[Json]:
        said: list[Json] = []
        async with websockets.connect(f"{portal.ws_url}/api/live", additional_headers=kim.socket_headers) as live:
            made = await asyncio.to_thread(kim.make)
            await asyncio.to_thread(kim.delete, f"/api/vms/{made['id']}", params={"name": "web"})
            while not said or said[-1]["type"] != "machines.machine.gone":
                said.append(json.loads(await asyncio.wait_for(live.recv(), 10)))
        return said

    said = asyncio.run(heard())
    assert {"machines.operation", "machines.machine"} <= {one["type"] for one in said}
    states = [one["machine"]["state"] for one in said if one["type"] == "machines.machine"]
    assert states[0] == "creating" and "shut_off" in states
    eventually(lambda: kim.get("/api/vms").json() == [], 5, "it is listed still")
