"""Definitions: made once, changed at once or not at all, followed when somebody else changes them, forgotten."""

from __future__ import annotations

import uuid
from pathlib import Path

import msgspec
import pytest

from madang.kernel.errors import Conflict, InvalidInput, NotFound
from madang.machines.hosts import Change, Host
from tests.support.libvirt import DISK, PrivateLibvirt, make, until

ORDERS = ("cdrom_hd", "hd", "cdrom", "hd_cdrom")


async def test_a_machine_is_made_once(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish = await make(host, libvirtd)
    with pytest.raises(Conflict) as refused:
        await host.define(msgspec.structs.replace(wish, title="again", cpus=2))
    assert refused.value.code == "machine_exists"
    assert (await host.look(wish.uuid)).inactive.title == wish.title


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"disk_path": "/nowhere/disk.qcow2"}, "disk_missing"),
        ({"media": ("/nowhere/a.iso", None)}, "iso_missing"),
        ({"network": "direct:eth0"}, "wrong_network"),
        ({"cpus": 0}, "wrong_definition"),
        ({"folder": "relative"}, "wrong_path"),
    ],
)
async def test_what_cannot_be_is_not_made(
    host: Host, libvirtd: PrivateLibvirt, values: dict[str, object], code: str
) -> None:
    wish = libvirtd.wish()
    await host.create_disk(wish.disk_path, DISK)
    with pytest.raises((InvalidInput, NotFound)) as refused:
        await host.define(msgspec.structs.replace(wish, **values))
    assert refused.value.code == code
    assert await host.snapshot() == {}


async def test_some_are_seen_as_all_are(host: Host, libvirtd: PrivateLibvirt) -> None:
    off, runs = await make(host, libvirtd), await make(host, libvirtd)
    await host.start_machine(runs.uuid)
    seen = await host.snapshot()
    assert set(seen) == {off.uuid, runs.uuid}
    for each in seen:
        assert await host.snapshot([each, str(uuid.uuid4())]) == {each: seen[each]}
    assert await host.snapshot([]) == {}


async def test_order_at_any_time(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish = await make(host, libvirtd)
    for order in ORDERS:
        assert (await host.set_boot_order(wish.uuid, order)).boot_order == order
    await host.start_machine(wish.uuid)
    for order in ORDERS:
        await host.set_boot_order(wish.uuid, order)
        seen = (await host.snapshot())[wish.uuid]
        assert (seen.definition.boot_order, seen.inactive.boot_order) == ("hd_cdrom", order)


async def test_what_libvirt_does_not_take_leaves_the_old_definition(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish, other = await make(host, libvirtd), await make(host, libvirtd)
    before = await host.definition_xml(wish.uuid)
    for wrong in (
        "",
        "<domain",
        "<domain type='qemu'/>",
        before.replace("<on_reboot>restart", "<on_reboot>dance"),
        before.replace("q35", "q35000"),
        before.replace("type='qemu'", "type='nothing'"),
        before.replace("</os>", "<boot dev='hd'/></os>"),  # both kinds of boot order at once
        await host.definition_xml(other.uuid),
    ):
        with pytest.raises(InvalidInput) as refused:
            await host.redefine(wish.uuid, wrong)
        assert refused.value.code == "wrong_definition", wrong
        assert await host.definition_xml(wish.uuid) == before
    assert (await host.redefine(wish.uuid, before.replace("<title>Tiny", "<title>Other"))).title == "Other"


async def test_a_definition_that_somebody_changes_with_virsh(
    host: Host, libvirtd: PrivateLibvirt, tmp_path: Path
) -> None:
    heard: list[Change] = []
    wish = await make(host, libvirtd)
    await host.start_machine(wish.uuid)
    host.on_change = heard.append
    xml = await host.definition_xml(wish.uuid)
    (tmp_path / "new.xml").write_text(xml.replace("<vcpu placement='static'>1", "<vcpu placement='static'>2"))
    libvirtd.virsh("define", str(tmp_path / "new.xml"))
    seen = await until(lambda: host.look(wish.uuid), lambda seen: seen.inactive.cpus == 2)
    assert (seen.definition.cpus, seen.inactive.boot_order) == (1, "cdrom_hd")
    assert Change(wish.uuid, "defined") in heard
    # Our own change comes on top of theirs.
    assert (await host.set_boot_order(wish.uuid, "hd")).cpus == 2
    libvirtd.virsh("destroy", wish.uuid)
    libvirtd.virsh("undefine", wish.uuid, "--nvram")
    assert wish.uuid not in await host.snapshot()
    with pytest.raises(NotFound) as refused:
        await host.set_boot_order(wish.uuid, "hd")
    assert refused.value.code == "no_such_machine"


async def test_machines_of_others_are_seen(host: Host, libvirtd: PrivateLibvirt, tmp_path: Path) -> None:
    name = str(uuid.uuid4())
    (tmp_path / "other.xml").write_text(
        f"<domain type='qemu'><name>other</name><uuid>{name}</uuid><memory>65536</memory>"
        "<os><type machine='q35'>hvm</type><boot dev='network'/></os></domain>"
    )
    libvirtd.virsh("create", str(tmp_path / "other.xml"))
    seen = await until(lambda: host.look(name), lambda seen: seen.since, 5)  # it was heard when it began
    assert (await host.snapshot())[name].since == seen.since
    assert (seen.own, seen.persistent, seen.state, seen.definition.boot_order) == (False, False, "running", None)


async def test_a_machine_is_forgotten_with_its_files(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish = await make(host, libvirtd)
    await host.start_machine(wish.uuid)
    with pytest.raises(Conflict) as refused:
        await host.undefine(wish.uuid, [wish.disk_path])
    assert refused.value.code == "machine_running" and Path(wish.disk_path).exists()
    await host.force_off(wish.uuid)
    await host.snapshot_take(wish.uuid, "one")
    for _again in range(2):
        await host.undefine(wish.uuid, [wish.disk_path])
        assert not Path(wish.disk_path).exists()
        assert await host.snapshot() == {}


async def test_any_title(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish = await make(host, libvirtd, title="\x00\n")
    for title in ("기계 <&>\"'", "line\nbreak", "  ", "x" * 2000, "\ud800", ""):
        made = await host.set_title(wish.uuid, title)
        assert made.title.isprintable(), title
    assert (await host.set_title(wish.uuid, "기계 <&>\"'")).title == "기계 <&>\"'"
