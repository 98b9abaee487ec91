"""A guest that is left frozen by a portal that was killed in the middle of a backup goes on with the next portal."""

from __future__ import annotations

from pathlib import Path

import pytest

from madang.kernel.ground import Ground
from madang.machines.journal import Journal
from tests.daemons.machines.portal.disks import last
from tests.daemons.machines.portal.house import MachineClient, MachinePortal
from tests.daemons.machines.portal.killing import cut_off_backup
from tests.daemons.machines.portal.test_portal_copies import installed, run
from tests.support.libvirt import PrivateLibvirt
from tests.support.waiting import eventually


def cancel(portal: MachinePortal, machine: str) -> None:
    """Its backup is to be cancelled, by whoever comes next."""

    async def work(ground: Ground) -> None:
        journal = Journal(ground.database, 20)
        (open_one,) = await journal.open(machine)
        await journal.ask_to_cancel(machine, open_one.id)

    portal.on_ground(work)


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_guest_is_not_left_frozen(
    portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt, tiny: Path, cancelled: bool
) -> None:
    machine = installed(kim, tiny)
    cut_off_backup(portal, kim, libvirtd, machine)
    eventually(lambda: not libvirtd.virsh("domjobinfo", machine).count("Backup"), 60, "it goes on")
    libvirtd.virsh("domfsfreeze", machine)
    if cancelled:
        cancel(portal, machine)
    portal.start()
    kim.wait(machine, lambda one: not one["operation"])
    assert last(kim, machine, "backup")["state"] in (("done", "cancelled") if cancelled else ("done",))
    status = libvirtd.virsh("qemu-agent-command", machine, '{"execute":"guest-fsfreeze-status"}')
    assert "thawed" in status
    assert run(libvirtd, machine, "echo on >/kept; sync; cat /kept") == "on"
