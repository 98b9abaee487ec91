"""Work on a machine that is hit in its middle, and what has to be true afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.daemons.machines.portal.house import Json, MachineClient, MachinePortal
from tests.support.libvirt import PrivateLibvirt
from tests.support.waiting import eventually

FILLED = 96 * 2**20
SIZE = 2**30
SETTLE_SECONDS = 60.0


def filled_disk(libvirtd: PrivateLibvirt) -> Path:
    """A disk that holds so much that copying it takes a moment."""
    raw, disk = libvirtd.folder / "filled.raw", libvirtd.folder / "filled.qcow2"
    raw.write_bytes(os.urandom(FILLED))
    os.truncate(raw, SIZE)
    image("convert", "-f", "raw", "-O", "qcow2", str(raw), str(disk))
    raw.unlink()
    return disk


def image(*arguments: str) -> str:
    done = subprocess.run(["qemu-img", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"qemu-img {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout


def with_content(kim: MachineClient, libvirtd: PrivateLibvirt, filled: Path, **wish: Any) -> str:
    """A machine whose disk holds that; it does not run."""
    made = kim.make(disk_bytes=SIZE, **wish)
    put = libvirtd.pool / "new.qcow2"
    put.write_bytes(filled.read_bytes())
    if libvirtd.account:
        shutil.chown(put, libvirtd.account, libvirtd.account)
    put.chmod(0o600)
    put.rename(made["disk_path"])
    return str(made["id"])


class Asking:
    """A request that is under way in a thread; its answer, or None when the portal was killed."""

    def __init__(self, portal: MachinePortal, kim: MachineClient, machine: str, what: str, **wish: Any) -> None:
        name = kim.get("/api/identity/me").json()["person"]["name"]
        self._client = portal.client(name)
        self._client.timeout = SETTLE_SECONDS
        self._threads = ThreadPoolExecutor(1)
        self._answer: Future[httpx.Response | None] = self._threads.submit(
            self._ask, f"/api/vms/{machine}/{what}", wish
        )

    def _ask(self, path: str, wish: Json) -> httpx.Response | None:
        with contextlib.suppress(httpx.TransportError):
            return self._client.post(path, json=wish)
        return None

    def answer(self) -> httpx.Response | None:
        found = self._answer.result()
        self._threads.shutdown()
        self._client.close()
        return found


@contextlib.contextmanager
def held(pid: int) -> Iterator[None]:
    """A process that does not move meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def copying(portal: int, machine: str, target: str, seconds: float = SETTLE_SECONDS) -> psutil.Process:
    """The qemu-img of this portal that writes `target` of the machine, stopped in the middle of it."""

    def look() -> psutil.Process | None:
        for children in Path(f"/proc/{portal}/task").glob("*/children"):  # far quicker than all processes there are
            for pid in children.read_text().split():
                with contextlib.suppress(psutil.Error):
                    process = psutil.Process(int(pid))
                    words = process.cmdline()
                    if words[:2] == ["qemu-img", "convert"] and machine in words[-1] and f"/{target}." in words[-1]:
                        process.suspend()
                        return process
        return None

    return eventually(look, seconds, f"nobody copies {target}", pause=0.002)  # type: ignore[return-value]


def gone(process: psutil.Process) -> bool:
    """Whether it has ended, or is about to: who adopts it may be slow to take it away."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def cut_off_backup(portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt, machine: str) -> None:
    """The portal is killed while it is in the middle of one, and libvirt does not answer."""
    pid = libvirtd.daemon.pid
    assert pid is not None
    with held(pid):
        asked = Asking(portal, kim, machine, "backups")
        kim.wait(machine, lambda one: (one["operation"] or {}).get("kind") == "backup")
        portal.kill()
        assert asked.answer() is None


# What has to be true afterwards.


def assert_whole(kim: MachineClient, libvirtd: PrivateLibvirt, machine: str, filled: Path) -> Json:
    """The work ended well or says why not; the record is as reality; nothing half made is left; the machine starts and
    has what was on its disk."""
    settled = kim.wait(machine, lambda one: not one["operation"] and one["state"] != "unknown", SETTLE_SECONDS)
    for operation in kim.get(f"/api/vms/{machine}/operations").json():
        assert operation["state"] in ("done", "failed"), operation
        if operation["state"] == "failed":
            assert operation["failure"]["code"] and operation["failure"]["title"], operation
    assert "changed_outside" not in kim.codes(machine), settled
    settled = assert_as_it_is(kim, libvirtd, machine)
    assert_nothing_half_made(libvirtd)
    if settled["state"] in ("shut_off", "crashed"):
        kim.act(machine, "start")
    kim.until_state(machine, "running", seconds=SETTLE_SECONDS)
    kim.act(machine, "force_off")
    image("check", "-q", settled["disk_path"])
    image("compare", "-q", settled["disk_path"], str(filled))
    return settled


def assert_as_it_is(kim: MachineClient, libvirtd: PrivateLibvirt, machine: str) -> Json:
    def agrees() -> bool:
        one = kim.machine(machine)
        virsh = libvirtd.virsh("domstate", machine).strip()
        return one["state"] in (("shut_off", "crashed") if virsh == "shut off" else (virsh,))

    eventually(agrees, SETTLE_SECONDS, lambda: f"{kim.machine(machine)} {libvirtd.virsh('domstate', machine)}")
    one = kim.machine(machine)
    xml = libvirtd.virsh("dumpxml", "--inactive", machine)
    first = {"hd": "disk", "hd_cdrom": "disk", "cdrom": "cdrom", "cdrom_hd": "cdrom"}[one["boot_order"]]
    device = xml.partition("<boot order='1'/>")[0].rpartition("device='")[2].partition("'")[0]
    assert device == first, one["boot_order"]
    assert all(medium["path"] is None or medium["path"] in xml for medium in one["current_media"])
    assert f'"virtual-size": {one["disk_size"]}' in image("info", "-U", "--output=json", one["disk_path"])
    return one


def assert_nothing_half_made(libvirtd: PrivateLibvirt) -> None:
    def left() -> list[Path]:
        return [*libvirtd.pool.rglob("*.part"), *libvirtd.isos.glob(".*.part"), *half_backups(libvirtd)]

    eventually(lambda: not left(), 10, lambda: f"left: {left()}")


def half_backups(libvirtd: PrivateLibvirt) -> list[Path]:
    """Files of backups that are not complete."""
    files = (libvirtd.pool / "backups").glob("*/*/*.qcow2")
    return [file for file in files if not (file.parent / "backup.json").exists()]


def upload(kim: MachineClient, data: bytes, half: Callable[[], None]) -> Json:
    """An upload in two parts; `half` happens when the first one has arrived, and a part is under way."""
    wish = {"name": "big.iso", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    base = f"/api/isos/uploads/{kim.post('/api/isos/uploads', json=wish).json()['id']}"
    middle, goes_on, arrived = len(data) // 2, threading.Event(), threading.Event()

    def parts() -> Iterator[bytes]:
        yield data[:middle]
        arrived.set()
        goes_on.wait(SETTLE_SECONDS)
        yield data[middle:]

    def send() -> None:
        with contextlib.suppress(httpx.TransportError):
            kim.put(base, params={"offset": 0}, content=parts())

    sending = threading.Thread(target=send)
    sending.start()
    assert arrived.wait(SETTLE_SECONDS)
    half()
    goes_on.set()
    sending.join()
    here = kim.post("/api/isos/uploads", json=wish).json()["offset"]
    if here < len(data):
        kim.put(base, params={"offset": here}, content=data[here:])
    done = kim.post(f"{base}/finish")
    assert done.status_code == 200, done.text
    return dict(done.json())
