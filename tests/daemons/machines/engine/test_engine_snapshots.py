"""Snapshots, machines with UEFI, and whether KVM works: what depends on the host is found out, and said."""

from __future__ import annotations

from pathlib import Path

import pytest

from madang.kernel.errors import Conflict
from madang.machines.hosts import Host
from tests.support.libvirt import PrivateLibvirt, make


async def test_its_variables_come_and_go_with_it(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish = await make(host, libvirtd, firmware="uefi", boot_order="hd_cdrom")
    variables = Path(wish.folder) / "uefi-variables.fd"
    made = (await host.look(wish.uuid)).inactive
    assert (made.firmware, made.boot_order) == ("uefi", "hd_cdrom")
    assert (await host.set_boot_order(wish.uuid, "cdrom")).firmware == "uefi"
    await host.start_machine(wish.uuid, first="hd")
    seen = await host.look(wish.uuid)
    assert (seen.state, seen.definition.boot_order, seen.inactive.boot_order) == ("running", "hd", "cdrom")
    assert variables.exists()
    try:
        taken = await host.snapshot_take(wish.uuid, "one")
    except Conflict as refused:
        assert refused.code == "snapshot_unsupported" and refused.hint  # libvirt before 10.10
    else:
        assert taken.state == "running"
        await host.snapshot_remove(wish.uuid, "one")
    await host.force_off(wish.uuid)
    await host.undefine(wish.uuid, [wish.disk_path])
    assert not variables.exists()


async def test_snapshots_while_it_does_not_run(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish = await make(host, libvirtd)
    first = await host.snapshot_take(wish.uuid, "first", "a < b")
    await host.set_boot_order(wish.uuid, "hd")
    second = await host.snapshot_take(wish.uuid, "second")
    assert (first.state, first.parent, second.parent, second.current) == ("shutoff", None, "first", True)
    assert [(each.name, each.description) for each in await host.snapshots(wish.uuid)] == [
        ("first", "a < b"),
        ("second", ""),
    ]
    with pytest.raises(Conflict) as refused:
        await host.snapshot_take(wish.uuid, "first")
    assert refused.value.code == "snapshot_exists"
    await host.snapshot_revert(wish.uuid, "first")
    assert (await host.look(wish.uuid)).inactive.boot_order == "cdrom_hd", "as it was then"
    await host.snapshot_remove(wish.uuid, "first")
    assert [each.name for each in await host.snapshots(wish.uuid)] == ["second"]


async def test_kvm_is_only_taken_where_it_works(host: Host, libvirtd: PrivateLibvirt) -> None:
    folder = libvirtd.pool / "probe"
    assert await host.best_domain_type(folder) in ("kvm", "qemu")
    assert await host.snapshot() == {} and list(folder.iterdir()) == []
