"""Two people, or one in two windows, change the same machine at once: each is told what became of their change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.daemons.machines.portal.house import MachineClient, media
from tests.daemons.machines.portal.killing import assert_as_it_is, image
from tests.support.libvirt import PrivateLibvirt

Ask = Callable[[], httpx.Response]


def at_once(asks: Sequence[Ask]) -> list[httpx.Response]:
    with ThreadPoolExecutor(len(asks)) as threads:
        return [future.result() for future in [threads.submit(ask) for ask in asks]]


def test_different_changes_all_happen(
    kim: MachineClient, park: MachineClient, libvirtd: PrivateLibvirt, some_iso: Path
) -> None:
    machine = kim.make(disk_bytes=2**30)["id"]
    base = f"/api/vms/{machine}"
    answers = at_once(
        [
            lambda: kim.post(f"{base}/boot-order", json={"boot_order": "hd"}),
            lambda: park.post(f"{base}/media/attach", json={"iso_path": str(some_iso), "target": "sda"}),
            lambda: kim.post(f"{base}/media/attach", json={"iso_path": str(some_iso), "target": "sdb"}),
            lambda: kim.post(f"{base}/disk/resize", json={"size_gb": 2}),
            lambda: park.patch(base, json={"notes": "by an operator"}),
        ]
    )
    assert {answer.status_code for answer in answers} <= {200, 202}, [answer.text for answer in answers]
    after = kim.wait(machine, lambda one: not one["operation"])
    assert (after["boot_order"], media(after)) == ("hd", ["some.iso", "some.iso"])
    assert (after["disk_size"], after["notes"]) == (2 * 2**30, "by an operator")
    assert_as_it_is(kim, libvirtd, machine)
    assert "changed_outside" not in kim.codes(machine)


def test_of_two_sizes_the_smaller_one_never_wins(kim: MachineClient, park: MachineClient) -> None:
    made = kim.make(disk_bytes=2**30)
    base = f"/api/vms/{made['id']}"
    answers = at_once(
        [
            lambda: kim.post(f"{base}/disk/resize", json={"size_gb": 3}),
            lambda: park.post(f"{base}/disk/resize", json={"size_gb": 2}),
        ]
    )
    assert answers[0].status_code in (200, 202)
    if answers[1].status_code not in (200, 202):
        assert answers[1].json()["code"] == "shrink_refused", answers[1].text
    after = kim.wait(made["id"], lambda one: not one["operation"])
    assert after["disk_size"] == 3 * 2**30
    image("check", "-q", made["disk_path"])


def test_a_machine_that_is_deleted_while_somebody_starts_it(
    kim: MachineClient, park: MachineClient, libvirtd: PrivateLibvirt
) -> None:
    for number in range(5):
        made = kim.make(f"m{number}")
        machine = made["id"]
        deleted, started = at_once(
            [
                lambda made=made: kim.delete(f"/api/vms/{made['id']}", params={"name": made["name"]}),
                lambda made=made: park.post(f"/api/vms/{made['id']}/action", json={"action": "start"}),
            ]
        )
        assert deleted.status_code in (202, 204, 409) and started.status_code in (200, 202, 404), (deleted, started)
        gone = kim.get(f"/api/vms/{machine}").status_code == 404
        if not gone:
            left = kim.wait(machine, lambda one: not one["operation"])
            assert left["state"] in ("starting", "running"), left
            assert Path(made["disk_path"]).exists()
            kim.act(machine, "force_off")
            kim.delete(f"/api/vms/{machine}", params={"name": made["name"]})
        assert machine not in libvirtd.virsh("list", "--all", "--uuid")
        assert not Path(made["disk_path"]).exists()


def test_two_who_start_and_two_who_end_it(kim: MachineClient, park: MachineClient) -> None:
    machine = kim.make()["id"]
    url = f"/api/vms/{machine}/action"
    for action, state, code in (
        ("start", "running", "machine_running"),
        ("force_off", "shut_off", "machine_not_running"),
    ):
        answers = at_once(
            [lambda who=who, action=action: who.post(url, json={"action": action}) for who in (kim, park)]
        )
        assert 200 in [answer.status_code for answer in answers]
        for answer in answers:
            assert answer.status_code in (200, 202) or answer.json()["code"] == code, answer.text
        kim.until_state(machine, state)
