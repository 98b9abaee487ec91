"""Backups that come by themselves, in a portal as it runs."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from madang.kernel.ground import Ground
from madang.machines.model import BackupPlan
from madang.machines.store import MachineStore, Stale
from tests.daemons.machines.portal.disks import backups_of, last, settled
from tests.daemons.machines.portal.house import MachineClient, MachinePortal
from tests.support.libvirt import PrivateLibvirt
from tests.support.waiting import eventually

DAY = 86_400.0


def change_plan(portal: MachinePortal, machine: str, change: Callable[[BackupPlan], BackupPlan]) -> None:
    """What would take days otherwise."""

    async def work(ground: Ground) -> None:
        store = MachineStore(ground.database)
        while True:
            now = await store.get(machine)
            assert now is not None
            try:
                await store.change(now, backup_plan=change(now.plan))
                return
            except Stale:
                continue

    portal.on_ground(work)


def missed(plan: BackupPlan) -> BackupPlan:
    return msgspec.structs.replace(plan, next_at=time.time() - 3 * DAY)


def trail(park: MachineClient, machine: str) -> list[tuple[str, str]]:
    """What the audit trail has of a machine."""
    entries = park.get("/api/identity/audit").json()
    return [(one["action"], one["outcome"]) for one in entries if one["object"] == machine]


def test_a_machine_is_backed_up_by_itself(portal: MachinePortal, kim: MachineClient, lee: MachineClient) -> None:
    machine = kim.make()["id"]
    path = f"/api/vms/{machine}/backup-schedule"
    first = kim.get(path).json()
    assert (first["every"], first["own"], first["rule"], first["next_at"]) == ("off", False, "choose", None)
    chosen = kim.put(path, json={"every": "weekly", "hour": 3, "weekday": "monday"})
    assert chosen.status_code == 200, chosen.text
    said = chosen.json()
    assert (said["every"], said["hour"], said["weekday"], said["own"]) == ("weekly", 3, "monday", True)
    assert said["next_at"] and said["time_zone"] and kim.machine(machine)["next_backup_at"] == said["next_at"]
    assert lee.get(path).status_code == 404 and lee.put(path, json={"every": "off"}).status_code == 404
    assert kim.put(path, json={"every": "daily", "hour": 24}).status_code == 422

    # Its time has come while the portal runs, and again while that is away: once each.
    change_plan(portal, machine, missed)
    eventually(lambda: len(backups_of(kim, machine)) == 1, 30, "it is not backed up")
    assert kim.get(path).json()["next_at"] == said["next_at"]
    portal.kill()
    change_plan(portal, machine, missed)
    portal.start()
    eventually(lambda: len(backups_of(kim, machine)) == 2, 30, "what was missed is not caught up")
    time.sleep(2)
    assert len(backups_of(kim, machine)) == 2 and last(kim, machine, "backup")["asked_by"] == ""
    assert kim.put(path, json={"every": "site"}).json()["next_at"] is None


def test_one_that_fails_is_said_and_in_the_trail(
    portal: MachinePortal, kim: MachineClient, park: MachineClient, libvirtd: PrivateLibvirt
) -> None:
    machine = kim.make()["id"]
    kim.put(f"/api/vms/{machine}/backup-schedule", json={"every": "daily"})
    shelf = libvirtd.pool / "backups"
    shelf.write_text("in its way")
    change_plan(portal, machine, missed)
    eventually(lambda: "backup_failed" in kim.codes(machine), 30, "nobody says so")
    settled(kim, machine)
    failure = kim.get(f"/api/vms/{machine}/backup-schedule").json()["failure"]
    assert failure["code"] == last(kim, machine, "backup")["failure"]["code"]
    eventually(lambda: ("machine.backup", "failed") in trail(park, machine), 10, "it is not in the trail")
    shelf.unlink()
    kim.change(machine, "backups")
    assert "backup_failed" not in kim.codes(machine)
    assert kim.get(f"/api/vms/{machine}/backup-schedule").json()["failure"] is None


def test_a_site_that_decides(libvirtd: PrivateLibvirt) -> None:
    decided = {"MACHINES_BACKUP_RULE": "force", "MACHINES_BACKUP_EVERY": "daily", "SITE_TIME_ZONE": "Asia/Seoul"}
    with MachinePortal(libvirtd, **decided) as portal:
        portal.add_person("kim")
        with portal.client("kim") as kim:
            machine = kim.make()["id"]
            path = f"/api/vms/{machine}/backup-schedule"
            eventually(lambda: kim.get(path).json()["next_at"], 10, "it has no time")
            assert kim.get(path).json()["time_zone"] == "Asia/Seoul"
            refused = kim.put(path, json={"every": "off"})
            assert (refused.status_code, refused.json()["code"]) == (403, "schedule_fixed")
            said = portal.cli("machines", "backup-schedule", "web", MADANG_TOKEN=portal.token_for("kim")).stdout
            assert "daily at 02:00 Asia/Seoul (the site's)" in said, said
            kim.delete(f"/api/vms/{machine}", params={"name": "web"})


def test_a_time_zone_that_nobody_knows_is_told_at_the_start(libvirtd: PrivateLibvirt) -> None:
    portal = MachinePortal(libvirtd, SITE_TIME_ZONE="Asia/Nowhere")
    try:
        said = portal.cli("settings", check=False)
        assert said.returncode != 0 and "Asia/Nowhere" in said.stdout + said.stderr
    finally:
        portal.close()
