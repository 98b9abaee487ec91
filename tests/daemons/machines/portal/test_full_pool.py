"""A pool without room: what is asked for fails with a reason and leaves nothing; what runs waits, and goes on."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons.machines.portal.conftest import somebody
from tests.daemons.machines.portal.house import Json, MachineClient, MachinePortal
from tests.daemons.machines.portal.killing import image
from tests.support.accounts import AS_ROOT
from tests.support.libvirt import MB, PrivateLibvirt, Serial
from tests.support.waiting import eventually
from tests.unit.machines.discs import disc

ROOM = 160 * MB
pytestmark = pytest.mark.skipif(not AS_ROOT, reason="only root mounts a small file system")


class SmallPool:
    """A file system of its own; all but so many bytes of it can be taken."""

    def __init__(self, folder: Path, account: str | None) -> None:
        self.folder = folder
        self.pool, self.isos = folder / "pool", folder / "isos"
        for each in (self.pool, self.isos):
            each.mkdir()
            shutil.chown(each, account, account)
        self._ballast = folder / "ballast"

    def leave(self, free: int) -> None:
        eventually(lambda: self._fill(free), 10, "what runs takes the room quicker than we do")

    def _fill(self, free: int) -> bool:
        self.make_room()
        with self._ballast.open("wb") as ballast:
            try:
                os.posix_fallocate(ballast.fileno(), 0, shutil.disk_usage(self.folder).free - free)
            except OSError as error:
                if error.errno != errno.ENOSPC:  # else what runs has written to its log meanwhile
                    raise
                return False
        return True

    def make_room(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def files(self) -> list[str]:
        found = (path for path in self.folder.rglob("*") if path.is_file() and path != self._ballast)
        return sorted(str(path.relative_to(self.folder)) for path in found)


@pytest.fixture(scope="module")
def small(libvirt_session: PrivateLibvirt) -> Iterator[SmallPool]:
    folder = libvirt_session.folder / "small"
    folder.mkdir(mode=0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=755", "small", folder], check=True)
    try:
        yield SmallPool(folder, libvirt_session.account)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


@pytest.fixture(scope="module")
def portal_process(libvirt_session: PrivateLibvirt, small: SmallPool) -> Iterator[MachinePortal]:
    libvirt_session.mend()
    settings = {
        "MACHINES_FOLDER": str(small.pool),
        "MACHINES_ISO_FOLDERS": f'["{small.isos}"]',
        "MACHINES_KEEP_FREE_BYTES": "0",
    }
    with MachinePortal(libvirt_session, **settings) as made:
        yield made


@pytest.fixture(autouse=True)
def emptied(small: SmallPool, portal: MachinePortal) -> Iterator[None]:
    yield
    small.make_room()
    with somebody(portal, "operator") as park:
        for one in park.get("/api/vms", params={"all": True}).json():
            if one["state"] in ("running", "paused"):
                park.act(one["id"], "force_off")
            park.delete(f"/api/vms/{one['id']}", params={"name": one["name"]})
    shutil.rmtree(small.pool / "backups", ignore_errors=True)


def refused(answer: Json, *codes: str) -> None:
    assert answer.get("code") in codes, answer
    assert answer["hint"] and answer["title"], answer
    assert answer["code"] not in ("no_space", "pool_full") or answer["status"] == 507


def filled(kim: MachineClient, small: SmallPool, size: int) -> Json:
    """A machine with so much on its disk."""
    made = kim.make(disk_bytes=100 * MB)
    disk = Path(made["disk_path"])
    owner = disk.stat()
    raw = small.folder / "raw"
    raw.write_bytes(os.urandom(size))
    os.truncate(raw, made["disk_size"])
    image("convert", "-f", "raw", "-O", "qcow2", str(raw), str(disk))
    raw.unlink()
    os.chown(disk, owner.st_uid, owner.st_gid)
    return made


def test_a_machine_for_which_there_is_no_room_leaves_nothing(kim: MachineClient, small: SmallPool) -> None:
    before = small.files()
    small.leave(50_000)
    refused(kim.post("/api/vms", json={"name": "web", "disk_bytes": 2 * MB}).json(), "no_space", "pool_full")
    assert kim.get("/api/vms").json() == [] and small.files() == before
    small.make_room()
    assert kim.make(disk_bytes=2 * MB)["state"] == "shut_off"


def test_a_disk_that_cannot_grow_is_as_it_was(kim: MachineClient, small: SmallPool) -> None:
    made = filled(kim, small, 10 * MB)
    small.leave(0)
    answer = kim.post(f"/api/vms/{made['id']}/disk/resize", json={"size_gb": 1})
    refused(answer.json(), "pool_too_small")
    image("check", "-q", made["disk_path"])
    assert kim.machine(made["id"])["disk_size"] == made["disk_size"]


@pytest.mark.parametrize("runs", [False, True])
def test_a_backup_or_snapshot_without_room_harms_nothing(kim: MachineClient, small: SmallPool, runs: bool) -> None:
    made = filled(kim, small, 20 * MB)
    machine, before = made["id"], small.files()
    kept = small.folder.parent / "kept.qcow2"
    image("convert", "-O", "qcow2", made["disk_path"], str(kept))
    if runs:
        kim.act(machine, "start")
        before = small.files()
    small.leave(3 * MB)
    refused(kim.post(f"/api/vms/{machine}/backups").json(), "no_space", "backup_failed")
    assert kim.get(f"/api/vms/{machine}/backups").json() == []
    assert [file for file in small.files() if file not in before] == []
    small.leave(0)
    taken = kim.post(f"/api/vms/{machine}/snapshots", json={"title": "No room"})
    if runs or taken.status_code != 200:  # one without memory needs next to nothing
        refused(taken.json(), "no_space", "snapshot_failed")
        assert kim.get(f"/api/vms/{machine}/snapshots").json() == []
    small.make_room()
    if kim.until_state(machine, "shut_off", "running", "paused")["state"] == "paused":
        kim.act(machine, "resume")
    if runs:
        kim.until_state(machine, "running")
        kim.act(machine, "force_off")
    image("check", "-q", made["disk_path"])
    image("compare", "-q", made["disk_path"], str(kept))
    kept.unlink()


def test_a_restore_without_room_leaves_the_disk_as_it_was(kim: MachineClient, small: SmallPool) -> None:
    made = filled(kim, small, 20 * MB)
    machine = made["id"]
    kim.change(machine, "backups")
    (backup,) = kim.get(f"/api/vms/{machine}/backups").json()
    before = small.files()
    for free in (5 * MB, 30 * MB):  # not enough for what is backed up before; enough for that, not for the rest
        small.leave(free)
        refused(kim.post(f"/api/vms/{machine}/backups/{backup['id']}/restore").json(), "no_space", "pool_full")
        image("check", "-q", made["disk_path"])
        image("compare", "-q", made["disk_path"], str(small.pool / "backups" / machine / backup["id"] / "vda.qcow2"))
        left = [file for file in small.files() if file not in before and f"backups/{machine}" not in file]
        assert not left and kim.machine(machine)["state"] == "shut_off"


def test_an_upload_that_has_no_room_goes_on_when_there_is_some(kim: MachineClient, small: SmallPool) -> None:
    data = disc(label="UPLOADED", size=4000)
    wish = {"name": "up.iso", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    small.leave(MB)
    refused(kim.post("/api/isos/uploads", json=wish).json(), "pool_full")
    small.make_room()
    upload = kim.post("/api/isos/uploads", json=wish).json()
    small.leave(3 * MB)
    url = f"/api/isos/uploads/{upload['id']}"
    refused(kim.put(url, params={"offset": 0}, content=data).json(), "pool_full")
    small.make_room()
    here = kim.post("/api/isos/uploads", json=wish).json()["offset"]
    assert 0 < here < len(data), "what arrived is kept"
    kim.put(url, params={"offset": here}, content=data[here:])
    assert kim.post(f"{url}/finish").status_code == 200
    assert (small.isos / "up.iso").read_bytes() == data
    (small.isos / "up.iso").unlink()


def test_a_guest_that_cannot_write_is_paused_says_so_and_goes_on(
    kim: MachineClient, libvirtd: PrivateLibvirt, small: SmallPool, installed: Path
) -> None:
    made = kim.make(boot_order="hd", disk_bytes=50 * MB)
    machine, disk = made["id"], Path(made["disk_path"])
    owner = disk.stat()
    disk.write_bytes(installed.read_bytes())
    os.chown(disk, owner.st_uid, owner.st_gid)
    kim.act(machine, "start")
    kim.wait(machine, lambda one: one["agent"])
    small.leave(2 * MB)
    serial = Serial(libvirtd, machine)
    try:
        line = b"dd if=/dev/urandom of=/big bs=1M count=20; sync; md5sum /big | cut -c-32\n"
        while line:
            line = line[max(serial._stream.send(line), 0) :]
        stuck = kim.wait(machine, lambda one: one["state"] == "paused")
        assert next(one["code"] for one in stuck["suggestions"]) == "write_failed"
        stays = kim.post(f"/api/vms/{machine}/suggestions/dismiss", json={"code": "write_failed"})
        assert (stays.status_code, stays.json()["code"]) == (409, "suggestion_stays")
        small.make_room()
        kim.act(machine, "resume")
        on = kim.wait(machine, lambda one: one["state"] == "running")
        assert "write_failed" not in [one["code"] for one in on["suggestions"]]
        serial.wait_for("TINY did it: ")
        assert serial.run("wc -c </big") == str(20 * 2**20)
    finally:
        serial.close()
