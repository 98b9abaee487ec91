"""kill -9 of libvirtd, of QEMU, of both and of the portal, each at rest and in the middle of every kind of work."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from tests.daemons.machines.portal.house import MachineClient, MachinePortal
from tests.daemons.machines.portal.killing import (
    Asking,
    assert_whole,
    copying,
    filled_disk,
    gone,
    held,
    image,
    kill,
    upload,
    with_content,
)
from tests.support.libvirt import PrivateLibvirt
from tests.support.waiting import eventually
from tests.unit.machines.discs import disc

Victim = Literal["libvirtd", "qemu", "both", "portal"]
VICTIMS: tuple[Victim, ...] = ("libvirtd", "qemu", "both", "portal")
every_victim = pytest.mark.parametrize("victim", VICTIMS)


@pytest.fixture(scope="module")
def filled(libvirt_session: PrivateLibvirt) -> Path:
    return filled_disk(libvirt_session)


class Scene:
    """Somebody's machine with something on its disk, and who can be killed."""

    def __init__(self, portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt, filled: Path) -> None:
        self.portal, self.kim, self.libvirtd, self.filled = portal, kim, libvirtd, filled
        self.machine = with_content(kim, libvirtd, filled)

    @property
    def qemu(self) -> int:
        return self.libvirtd.qemu_pid(f"madang-{self.machine}")

    @property
    def state(self) -> str:
        """As libvirt says it."""
        return self.libvirtd.virsh("domstate", self.machine).strip()

    def run(self) -> None:
        self.kim.act(self.machine, "start")
        self.kim.until_state(self.machine, "running")

    def ask(self, what: str, **wish: object) -> Asking:
        return Asking(self.portal, self.kim, self.machine, what, **wish)

    def until_at_work(self, kind: str) -> None:
        self.kim.wait(self.machine, lambda one: (one["operation"] or {}).get("kind") == kind)

    def kill(self, victim: Victim, qemu: int) -> None:
        if victim in ("libvirtd", "both"):
            self.libvirtd.kill()
        if victim in ("qemu", "both"):
            kill(qemu)
        if victim == "portal":
            self.portal.kill()

    def mend(self, victim: Victim) -> None:
        if victim in ("libvirtd", "both"):
            self.libvirtd.start()
        if victim in ("qemu", "both"):  # or it would be taken for one that runs on
            eventually(lambda: self.state == "shut off", 30, "libvirt does not notice that QEMU is gone")
        if victim == "portal":
            self.portal.start()

    def whole(self) -> dict[str, object]:
        return assert_whole(self.kim, self.libvirtd, self.machine, self.filled)


@pytest.fixture
def scene(portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt, filled: Path) -> Scene:
    return Scene(portal, kim, libvirtd, filled)


@every_victim
def test_at_rest(scene: Scene, victim: Victim) -> None:
    scene.run()
    scene.kill(victim, scene.qemu)
    scene.mend(victim)
    if victim in ("qemu", "both"):
        scene.kim.until_state(scene.machine, "crashed", seconds=60)
    else:
        scene.kim.until_state(scene.machine, "running", seconds=60)
    scene.whole()


@every_victim
def test_during_a_change_of_the_boot_order(scene: Scene, victim: Victim) -> None:
    scene.run()
    pid = scene.libvirtd.daemon.pid
    assert pid is not None
    with held(pid):
        asked = scene.ask("boot-order", boot_order="hd")
        scene.until_at_work("boot_order")
        scene.kill(victim, scene.qemu)
    scene.mend(victim)
    asked.answer()
    assert scene.whole()["boot_order"] == "hd", "it comes to its end, whoever was killed"


@every_victim
def test_during_a_resize(scene: Scene, victim: Victim) -> None:
    scene.run()
    qemu = scene.qemu
    with held(qemu):  # libvirt waits for it
        asked = scene.ask("disk/resize", size_gb=2)
        scene.until_at_work("resize")
        scene.kill(victim, qemu)
    scene.mend(victim)
    asked.answer()
    assert scene.whole()["disk_size"] in (2**30, 2 * 2**30)


@every_victim
def test_during_a_backup(scene: Scene, victim: Victim) -> None:
    scene.run()
    qemu, folder = scene.qemu, scene.libvirtd.pool / "backups" / scene.machine
    asked = scene.ask("backups")
    eventually(
        lambda: any(file.stat().st_blocks > 2000 for file in folder.glob("*/*.qcow2")),
        60, "nothing is copied", pause=0.001,
    )  # fmt: skip
    with held(qemu):
        scene.kill(victim, qemu)
        scene.mend(victim)
    asked.answer()
    scene.whole()
    for backup in scene.kim.get(f"/api/vms/{scene.machine}/backups").json():
        image("compare", "-q", str(folder / backup["id"] / "vda.qcow2"), str(scene.filled))


@every_victim
def test_during_a_restore(scene: Scene, victim: Victim) -> None:
    """Of a machine that is off: QEMU is qemu-img, which copies."""
    kim, machine = scene.kim, scene.machine
    kim.change(machine, "backups")
    (backup,) = kim.wait(machine, lambda one: not one["operation"]) and kim.get(f"/api/vms/{machine}/backups").json()
    asked = scene.ask(f"backups/{backup['id']}/restore")
    copies = copying(scene.portal.pid, machine, "disk.qcow2")
    scene.kill(victim, copies.pid)
    scene.mend(victim)
    if victim == "libvirtd":
        copies.resume()
    elif victim == "portal":
        assert gone(copies), "it goes on when its portal is killed"
    asked.answer()
    scene.whole()
    found = kim.get(f"/api/vms/{machine}/backups").json()
    assert [one["safety"] for one in found] == [True, False], "what it had before is kept"


@every_victim
def test_during_an_upload(scene: Scene, victim: Victim) -> None:
    scene.run()
    data = disc(label="BIG", size=4000)

    def half() -> None:
        scene.kill(victim, scene.qemu)
        scene.mend(victim)

    try:
        done = upload(scene.kim, data, half)
        assert (scene.libvirtd.isos / "big.iso").read_bytes() == data and done["label"] == "BIG"
        scene.whole()
    finally:
        (scene.libvirtd.isos / "big.iso").unlink(missing_ok=True)
