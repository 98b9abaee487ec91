"""A backup comes back with all of its disks, over its machine or as a new one, or not at all."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from madang.kernel.ground import Ground
from madang.machines.journal import Journal
from madang.machines.shelf import AllMade, Shelf
from tests.daemons.machines.portal.disks import MB, backups_of, disks_of, last, same, settled, write
from tests.daemons.machines.portal.house import MachineClient, MachinePortal
from tests.support.accounts import AS_ROOT
from tests.support.libvirt import PrivateLibvirt
from tests.support.waiting import eventually

GIB = 1024**3


class Kept:
    """A machine with further disks, and a backup of it."""

    def __init__(self, kim: MachineClient, libvirtd: PrivateLibvirt, *further: str, size: int = MB) -> None:
        self.kim = kim
        self.id = str(kim.make()["id"])
        for name in further:
            kim.change(self.id, "disks", name=name, size_gb=1)
        self.disks = disks_of(kim, self.id)
        for path in self.disks.values():
            write(path, size)
        kim.post(f"/api/vms/{self.id}/backups")
        settled(kim, self.id)
        (backup,) = backups_of(kim, self.id)
        self.backup = str(backup["id"])
        folder = libvirtd.pool / "backups" / self.id
        # The disks as they were, whatever becomes of the backup.
        targets = dict(zip(self.disks, ("vda", "vdb", "vdc"), strict=False))
        self.then = {name: folder / self.backup / f"{target}.qcow2" for name, target in targets.items()}
        assert all(same(self.then[name], path) for name, path in self.disks.items())

    def change(self) -> None:
        for path in self.disks.values():
            write(path)

    def is_back(self) -> dict[str, bool]:
        now = disks_of(self.kim, self.id)
        return {name: name in now and same(path, now[name]) for name, path in self.then.items()}

    def restore(self) -> httpx.Response:
        return self.kim.post(f"/api/vms/{self.id}/backups/{self.backup}/restore")


def left_over(libvirtd: PrivateLibvirt) -> list[Path]:
    return [path for path in libvirtd.pool.rglob("*") if path.suffix in (".new", ".part")]


def test_every_disk_comes_back_over_its_machine(kim: MachineClient, libvirtd: PrivateLibvirt) -> None:
    kept = Kept(kim, libvirtd, "data", "more")
    kept.change()
    (more,) = [disk for disk in kim.get(f"/api/vms/{kept.id}/disks").json() if disk["name"] == "more"]
    kim.change(kept.id, "disks/detach", disk=more["id"])
    kim.post(f"/api/vms/{kept.id}/snapshots", json={"title": "inside of what goes"})
    settled(kim, kept.id)
    assert kept.restore().status_code in (200, 202)
    settled(kim, kept.id)
    assert kept.is_back() == {"boot": True, "data": True, "more": True}
    assert last(kim, kept.id, "restore")["result"]["disks"] == 3
    # The one that was taken away is still its person's, as it is; what came back is another one.
    names = [(disk["name"], disk["machine_id"]) for disk in kim.get("/api/vms/disks").json()]
    assert sorted(names, key=str) == [("data", kept.id), ("more", kept.id), ("more", None)]
    assert Path(more["path"]).exists() and not same(more["path"], kept.then["more"])
    (safety,) = backups_of(kim, kept.id, safety=True)
    assert safety["disks"] == 2 and kim.get(f"/api/vms/{kept.id}/snapshots").json() == []
    assert left_over(libvirtd) == []
    kim.act(kept.id, "start")
    kim.until_state(kept.id, "running")


def test_every_disk_comes_back_as_a_new_machine(kim: MachineClient, libvirtd: PrivateLibvirt) -> None:
    kept = Kept(kim, libvirtd, "data", "more")
    made = kim.post(f"/api/vms/backups/{kept.backup}/new", json={"name": "again"}).json()["id"]
    settled(kim, made)
    now = disks_of(kim, made)
    assert now.keys() == {"boot", "data", "more"} and not set(now.values()) & set(kept.disks.values())
    assert all(same(path, now[name]) for name, path in kept.then.items())
    xml = libvirtd.virsh("dumpxml", made)
    assert all(path in xml for path in now.values())
    kim.act(made, "start")
    kim.until_state(made, "running")


def test_a_disk_that_is_gone_comes_back(kim: MachineClient, libvirtd: PrivateLibvirt) -> None:
    kept = Kept(kim, libvirtd, "data")
    Path(kept.disks["boot"]).unlink()
    write(kept.disks["data"])
    kept.restore()
    settled(kim, kept.id)
    assert kept.is_back() == {"boot": True, "data": True}
    (safety,) = backups_of(kim, kept.id, safety=True)
    assert safety["disks"] == 1, "what was there is kept"
    for path in kept.disks.values():
        Path(path).unlink()
    kept.restore()
    settled(kim, kept.id)
    assert kept.is_back() == {"boot": True, "data": True} and len(backups_of(kim, kept.id, safety=True)) == 1
    assert last(kim, kept.id, "restore")["result"]["safety"] is None


# The portal is killed at one moment or another of it.

MOMENTS: dict[str, Callable[[Path, Kept], bool]] = {
    "safety": lambda pool, kept: len(list((pool / "backups" / kept.id).glob("*"))) > 1,
    "copying": lambda pool, _kept: any(pool.rglob("*.new.*.part")),
    "one made": lambda pool, _kept: any(pool.rglob("*.new")),
    "all made": lambda pool, kept: len(list(pool.rglob("*.new"))) == len(kept.disks),
    "putting": lambda pool, _kept: any(pool.rglob("backups/*/*/restoring.json")),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_portal_that_is_killed_is_followed_by_one_that_completes_it(
    portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt, moment: str
) -> None:
    kept = Kept(kim, libvirtd, "data", size=40 * MB)
    kept.change()
    killed_at(moment, portal, kept, libvirtd)
    half_put(kept, libvirtd)
    portal.start()
    done = settled(kim, kept.id)
    assert kept.is_back() == {"boot": True, "data": True} and done["state"] == "shut_off"
    assert last(kim, kept.id, "restore")["state"] == "done"
    assert left_over(libvirtd) == [] and len(backups_of(kim, kept.id, safety=True)) == 1


@pytest.mark.parametrize("moment", ["safety", "one made", "putting"])
def test_one_that_is_cancelled_after_that_is_undone_as_long_as_it_can_be(
    portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt, moment: str
) -> None:
    kept = Kept(kim, libvirtd, "data", size=40 * MB)
    (data,) = kim.get(f"/api/vms/{kept.id}/disks").json()
    kept.change()
    kim.change(kept.id, "disks/detach", disk=data["id"])
    before = {name: os.stat(path).st_ino for name, path in kept.disks.items()}
    killed_at(moment, portal, kept, libvirtd)
    cancel_all(portal, kept.id)
    portal.start()
    settled(kim, kept.id)
    ended = last(kim, kept.id, "restore")["state"]
    assert left_over(libvirtd) == []
    if moment != "putting":
        assert ended == "cancelled"
        assert {name: os.stat(path).st_ino for name, path in kept.disks.items()} == before
        assert [disk["id"] for disk in kim.get("/api/vms/disks").json()] == [data["id"]]
        assert [path.name for path in (libvirtd.pool / "disks").iterdir()] == [f"{data['id']}.qcow2"]
    else:  # all was made when it was killed
        assert ended == "done" and kept.is_back() == {"boot": True, "data": True}


def killed_at(moment: str, portal: MachinePortal, kept: Kept, libvirtd: PrivateLibvirt) -> None:
    def ask() -> None:
        try:
            kept.restore()
        except httpx.TransportError:
            return

    asking = threading.Thread(target=ask)
    asking.start()
    eventually(lambda: MOMENTS[moment](libvirtd.pool, kept), 60, moment, pause=0.0005)
    portal.kill()
    asking.join()


def cancel_all(portal: MachinePortal, machine: str) -> None:
    """What is at work on it is to be cancelled, by whoever comes next."""

    async def work(ground: Ground) -> None:
        journal = Journal(ground.database, 20)
        for operation in await journal.open(machine):
            await journal.ask_to_cancel(machine, operation.id)

    portal.on_ground(work)


def half_put(kept: Kept, libvirtd: PrivateLibvirt) -> None:
    """Where all are made, one disk is in its place and the other one is not."""
    made = sorted(libvirtd.pool.rglob("*.new"), key=lambda path: "disks" in path.parts)
    if len(made) < len(kept.disks):
        return
    moves = [(str(new), kept.disks[name]) for new, name in zip(made, ("boot", "data"), strict=True)]
    shelf = Shelf(libvirtd.pool / "backups", None)
    (safety,) = [one for one in shelf.of(kept.id) if one.safety]
    shelf.note_all(kept.id, safety.id, AllMade(shelf.get(kept.id, kept.backup), tuple(moves)))
    made[0].replace(kept.disks["boot"])
    assert same(kept.disks["boot"], kept.then["boot"]) and not same(kept.disks["data"], kept.then["data"])


def test_one_that_is_cancelled_leaves_all_as_it_was(kim: MachineClient, libvirtd: PrivateLibvirt) -> None:
    kept = Kept(kim, libvirtd, "data", size=60 * MB)
    kept.change()
    before = {name: os.stat(path).st_ino for name, path in kept.disks.items()}
    asking = threading.Thread(target=kept.restore)
    asking.start()
    eventually(lambda: any(libvirtd.pool.rglob("*.new.*.part")), 60, "it does not copy", pause=0.001)
    (operation,) = [one for one in kim.get(f"/api/vms/{kept.id}/operations").json() if one["state"] == "running"]
    assert kim.post(f"/api/vms/{kept.id}/operations/{operation['id']}/cancel").status_code == 200
    asking.join()
    settled(kim, kept.id)
    assert last(kim, kept.id, "restore")["state"] == "cancelled"
    assert {name: os.stat(path).st_ino for name, path in kept.disks.items()} == before and left_over(libvirtd) == []


# What is looked at before anything is changed.


@pytest.fixture
def small(tmp_path: Path, libvirtd: PrivateLibvirt) -> Iterator[MachinePortal]:
    """Where backups have little room, and a person may have little of disks."""
    if not AS_ROOT:
        pytest.skip("only root mounts")
    shelf = libvirtd.folder / "shelf"
    shelf.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=30M,mode=0711", "tmpfs", shelf], check=True)
    quota = {"MACHINES_DISK_BYTES_PER_PERSON": str(5 * GIB), "MACHINES_BACKUP_FOLDER": str(shelf)}
    try:
        with MachinePortal(libvirtd, **quota) as made:
            yield made
    finally:
        subprocess.run(["umount", shelf], check=True)
        shelf.rmdir()


def test_without_room_or_quota_nothing_is_changed(small: MachinePortal, libvirtd: PrivateLibvirt) -> None:
    small.add_person("kim")
    with small.client("kim") as kim:
        machine = kim.make()["id"]
        kim.change(machine, "disks", name="data", size_gb=2)
        (data,) = kim.get(f"/api/vms/{machine}/disks").json()
        for path in disks_of(kim, machine).values():
            write(path, 8 * MB)
        kim.post(f"/api/vms/{machine}/backups")
        settled(kim, machine)
        (backup,) = backups_of(kim, machine)
        before = {path: os.stat(path).st_ino for path in disks_of(kim, machine).values()}
        restore = f"/api/vms/{machine}/backups/{backup['id']}/restore"
        refused = kim.post(restore)
        assert (refused.status_code, refused.json()["code"]) == (507, "no_space"), refused.text
        assert {path: os.stat(path).st_ino for path in before} == before and left_over(libvirtd) == []
        assert backups_of(kim, machine, safety=True) == []
        # A new one would not fit either.
        assert kim.post(f"/api/vms/{machine}/backups").json()["code"] == "no_space"
        assert "backup_failed" in kim.codes(machine)
        # The disk is another one's now, and what would be made anew is beyond what its person may have.
        other = kim.make("other")["id"]
        kim.change(machine, "disks/detach", disk=data["id"])
        kim.change(other, "disks/attach", disk=data["id"])
        kim.change(other, "disks", name="last", size_gb=2)
        refused = kim.post(restore)
        assert (refused.status_code, refused.json()["code"]) == (409, "quota_reached"), refused.text
        refused = kim.post(f"/api/vms/backups/{backup['id']}/new", json={"name": "new"})
        assert (refused.status_code, refused.json()["code"]) == (409, "quota_reached"), refused.text
        assert len(kim.get("/api/vms").json()) == 2 and len(kim.get("/api/vms/disks").json()) == 2
        for one in (machine, other):
            kim.delete(f"/api/vms/{one}", params={"name": kim.machine(one)["name"]})


def test_backups_made_before_a_restore_push_no_other_out(libvirtd: PrivateLibvirt) -> None:
    with MachinePortal(libvirtd, MACHINES_BACKUPS_PER_MACHINE="2") as portal:
        portal.add_person("kim")
        with portal.client("kim") as kim:
            machine = kim.make()["id"]
            for _ in range(3):
                kim.change(machine, "backups")
            kept = [one["id"] for one in backups_of(kim, machine)]
            assert len(kept) == 2
            for _ in range(4):
                kim.post(f"/api/vms/{machine}/backups/{kept[1]}/restore")
                settled(kim, machine)
            assert [one["id"] for one in backups_of(kim, machine)] == kept
            assert len(backups_of(kim, machine, safety=True)) == 2
            kim.delete(f"/api/vms/{machine}", params={"name": "web"})


@pytest.mark.parametrize("moment", ["first", "further"])
def test_a_portal_that_is_killed_while_it_makes_a_machine_of_a_backup(
    portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt, moment: str
) -> None:
    kept = Kept(kim, libvirtd, "data", size=40 * MB)
    kim.delete(f"/api/vms/{kept.id}", params={"name": "web"})
    kim.delete(f"/api/vms/disks/{kim.get('/api/vms/disks').json()[0]['id']}", params={"name": "data"})

    def ask() -> None:
        try:
            kim.post(f"/api/vms/backups/{kept.backup}/new", json={"name": "again"})
        except httpx.TransportError:
            return

    asking = threading.Thread(target=ask)
    asking.start()
    part = {"first": "*/disk.qcow2.*.part", "further": "disks/*.part"}[moment]
    eventually(lambda: any(libvirtd.pool.glob(part)), 60, "it does not copy", pause=0.001)
    portal.kill()
    asking.join()
    portal.start()
    (made,) = kim.get("/api/vms").json()
    kim.until_state(made["id"], "shut_off")
    now = disks_of(kim, made["id"])
    assert {name: same(path, now[name]) for name, path in kept.then.items()} == {"boot": True, "data": True}
    assert left_over(libvirtd) == [] and len(kim.get("/api/vms/disks").json()) == 1
