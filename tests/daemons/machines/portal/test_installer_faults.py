"""Nobody lands in the installer twice, whoever is dead while the installer restarts the machine."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.daemons.machines.portal.house import MachineClient, MachinePortal
from tests.daemons.machines.portal.killing import held
from tests.support.libvirt import GUEST_SECONDS, PrivateLibvirt
from tests.support.waiting import eventually

STILL_SECONDS = 3.0


@pytest.mark.parametrize("victim", ["portal", "libvirtd", "both"])
def test_the_installer_restarts_the_machine_while_somebody_is_dead(
    portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt, tiny: Path, victim: str
) -> None:
    machine = kim.make(iso_path=str(tiny))["id"]
    kim.act(machine, "start")
    kim.wait(machine, lambda one: one["current_boot_device"] == "cdrom")
    qemu = libvirtd.qemu_pid(f"madang-{machine}")
    if victim in ("portal", "both"):
        portal.kill()
    if victim in ("libvirtd", "both"):
        libvirtd.kill()
    if victim == "portal":
        eventually(lambda: not Path(f"/proc/{qemu}").exists(), GUEST_SECONDS, "its run does not end")
    else:
        eventually(lambda: stands_still(qemu), GUEST_SECONDS, "it runs on")
        libvirtd.start()
    if victim in ("portal", "both"):
        portal.start()
    on = kim.wait(machine, lambda one: one["current_boot_device"] == "hd")
    assert (on["boot_order"], on["current_boot_order"], on["state"]) == ("cdrom_hd", "hd_cdrom", "running")
    assert on["installation_status"] == "Installing" and kim.codes(machine)[:2] == ["mark_installed", "disk_first"]


def test_an_installation_that_nobody_sees(
    portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt, tiny: Path
) -> None:
    """One that is quicker than anybody looks: the portal is stopped from its beginning to its end."""
    machine = kim.make(iso_path=str(tiny))["id"]
    kim.act(machine, "start")
    qemu = libvirtd.qemu_pid(f"madang-{machine}")
    with held(portal.pid):
        eventually(lambda: not Path(f"/proc/{qemu}").exists(), GUEST_SECONDS, "its run does not end")
    on = kim.wait(machine, lambda one: one["current_boot_device"] == "hd")
    assert on["installation_status"] == "Installing" and kim.codes(machine)[:2] == ["mark_installed", "disk_first"]


def stands_still(pid: int) -> bool:
    """Whether a process uses no processor: QEMU, whose guest has ended."""

    def ticks() -> int:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(words[11]) + int(words[12])

    before = ticks()
    threading.Event().wait(STILL_SECONDS)
    return ticks() - before <= 5
