"""libvirt's domain XML: definitions captured from libvirt 9.0 (captured/*.xml) are understood and changed; names and
paths with every odd character come out as they went in, or as something that XML can hold."""

from __future__ import annotations

from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.kernel.errors import Conflict, InvalidInput
from madang.machines.hosts import domain_xml, new_domain
from madang.machines.hosts.shapes import BootOrder, Wish

CAPTURED = Path(__file__).parent / "captured"
ORDERS: tuple[BootOrder, ...] = get_args(BootOrder)


def captured(name: str) -> str:
    return (CAPTURED / f"{name}.xml").read_text()


def wish(**values: object) -> Wish:
    given = {
        "uuid": "b42f0a5c-5d5e-4b0c-8c9e-0123456789ab",
        "title": "A machine",
        "cpus": 2,
        "memory_bytes": 2**30,
        "disk_path": "/pool/m/disk.qcow2",
        "folder": "/pool/m",
        "media": ("/isos/debian.iso", None),
    }
    return Wish(**(given | values))


def but_for(xml: str, *tags: str) -> str:
    """Canonical, without what a change is allowed to touch."""
    domain = ElementTree.fromstring(xml)
    for parent in domain.iter():
        for child in list(parent):
            if child.tag in tags:
                parent.remove(child)
    return ElementTree.canonicalize(ElementTree.tostring(domain, encoding="unicode"), strip_text=True)


# What is made.


def test_what_was_wished_is_what_is_read() -> None:
    made = domain_xml.parse(new_domain.xml_of(wish(boot_order="hd_cdrom", network="network:default")))
    assert (made.uuid, made.name, made.title) == (wish().uuid, f"madang-{wish().uuid}", "A machine")
    assert (made.cpus, made.memory_bytes, made.firmware, made.on_reboot) == (2, 2**30, "bios", "restart")
    assert (made.boot_order, made.network, made.domain_type) == ("hd_cdrom", "network:default", "qemu")
    assert [(drive.target, drive.path, drive.boot) for drive in made.drives] == [
        ("vda", "/pool/m/disk.qcow2", 1),
        ("sda", "/isos/debian.iso", 2),
        ("sdb", None, 3),
    ]
    assert made.boot_log == "/pool/m/boot.log"


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_every_order_is_read_as_it_was_written(order: BootOrder, firmware: str) -> None:
    made = domain_xml.parse(new_domain.xml_of(wish(boot_order=order, firmware=firmware)))
    assert (made.boot_order, made.firmware) == (order, firmware)


@pytest.mark.parametrize("network", ["user", "none", "network:default", "bridge:br0"])
def test_every_network_is_read_as_it_was_written(network: str) -> None:
    assert domain_xml.parse(new_domain.xml_of(wish(network=network))).network == network


@pytest.mark.parametrize(
    "network", ["", "network", "network:", "bridge:a b", "direct:eth0", "user:<x/>", "bridge:../x"]
)
def test_a_network_that_is_none_is_refused(network: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        new_domain.xml_of(wish(network=network))
    assert refused.value.code == "wrong_network"


# Names and paths.


@given(st.text())
def test_any_title_makes_a_definition(title: str) -> None:
    made = domain_xml.parse(new_domain.xml_of(wish(title=title)))
    assert made.title == (domain_xml.text(title) or made.name)
    assert "\n" not in made.title
    assert domain_xml.parse(domain_xml.with_title(captured("ours"), title)).title in (made.title, captured_name())


def captured_name() -> str:
    return domain_xml.parse(captured("ours")).name


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"]), min_size=1))
def test_a_title_that_can_be_printed_stays_as_it_is(title: str) -> None:
    assert domain_xml.text(title) == title


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_path_comes_out_as_it_went_in_or_is_refused(name: str) -> None:
    path = f"/isos/{name}"
    try:
        xml = domain_xml.medium_xml(captured("ours"), "sda", path)
    except InvalidInput as refused:
        assert refused.code == "wrong_path"
        assert domain_xml.text(path) != path
    else:
        assert ElementTree.fromstring(xml).find("source").get("file") == path


@pytest.mark.parametrize(
    "path", ["", "relative.iso", "https://x/y.iso", "/a\nb.iso", "/a\x00b", "/a\udcffb", "/a\x85b"]
)
def test_a_path_that_xml_cannot_hold_is_refused(path: str) -> None:
    for make in (
        lambda: new_domain.xml_of(wish(disk_path=path)),
        lambda: new_domain.xml_of(wish(media=(path, None))),
        lambda: domain_xml.medium_xml(captured("ours"), "sda", path),
        lambda: domain_xml.disk_xml(path, "vdb", "qcow2"),
    ):
        with pytest.raises(InvalidInput) as refused:
            make()
        assert refused.value.code == "wrong_path"


# What others have made.


def test_a_machine_of_virt_install_is_understood() -> None:
    found = domain_xml.parse(captured("virt_install"))
    assert (found.name, found.title, found.boot_order, found.firmware) == ("web-1", "web-1", "cdrom_hd", "bios")
    assert [(drive.target, drive.kind, drive.bus, drive.format) for drive in found.drives] == [
        ("sda", "disk", "sata", "raw"),
        ("sdb", "cdrom", "sata", "raw"),
        ("vda", "disk", "virtio", "qcow2"),
    ]
    assert found.boot_log is None
    assert domain_xml.parse(captured("network_first")).boot_order is None


def test_a_machine_that_runs_tells_of_its_agent_tray_and_beginning() -> None:
    domain = domain_xml.read(captured("running"))
    assert domain_xml.agent_connected(domain)
    assert domain_xml.run_began(domain) == 1000.5
    drives = domain_xml.parse(captured("running")).drives
    assert [(drive.target, drive.tray_open) for drive in drives if drive.kind == "cdrom"] == [
        ("sda", True),
        ("sdb", False),
    ]


@pytest.mark.parametrize("xml", ["", "no xml", "<network/>", "<domain", "<domain>&unknown;</domain>"])
def test_what_is_no_machine_is_refused(xml: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        domain_xml.parse(xml)
    assert refused.value.code == "wrong_definition"


# Changes keep the rest.


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ["ours", "ours_uefi", "virt_install", "network_first"])
def test_a_change_of_order_changes_nothing_else(name: str, order: BootOrder) -> None:
    changed = domain_xml.with_order(captured(name), order)
    assert domain_xml.parse(changed).boot_order == order
    assert but_for(changed, "boot") == but_for(captured(name), "boot")
    assert not ElementTree.fromstring(changed).findall("os/boot"), "libvirt refuses both forms at once"


def test_the_disk_that_was_booted_stays_the_one() -> None:
    xml = captured("network_first")
    assert [drive.target for drive in domain_xml.parse(xml).disks] == ["vda", "vdb"]
    changed = domain_xml.parse(domain_xml.with_order(domain_xml.with_order(xml, "cdrom_hd"), "hd"))
    assert [drive.target for drive in changed.disks if drive.boot] == ["vdb"]


def test_an_order_without_its_drive_is_refused() -> None:
    domain = ElementTree.fromstring(captured("ours"))
    devices = domain.find("devices")
    for drive in devices.findall("disk[@device='cdrom']"):
        devices.remove(drive)
    with pytest.raises(InvalidInput) as refused:
        domain_xml.with_order(ElementTree.tostring(domain, encoding="unicode"), "cdrom_hd")
    assert refused.value.code == "no_such_drive"


def test_one_run_may_differ_from_its_definition() -> None:
    run = domain_xml.with_run(captured("ours"), "hd", "destroy", 12.25)
    found = domain_xml.parse(run)
    assert (found.boot_order, found.on_reboot) == ("hd", "destroy")
    assert domain_xml.run_began(domain_xml.read(run)) == 12.25
    again = domain_xml.with_run(run, None, None, 13.0)
    assert domain_xml.run_began(domain_xml.read(again)) == 13.0
    assert but_for(again, "metadata") == but_for(run, "metadata")
    assert domain_xml.parse(domain_xml.with_run(captured("ours"), None, None, 1.0)).boot_order == "cdrom_hd"


def test_other_tools_metadata_is_kept() -> None:
    run = domain_xml.with_run(captured("virt_install"), "hd", None, 1.0)
    assert "libosinfo.org" in run
    assert but_for(run, "boot", f"{{{domain_xml.MADANG}}}run") == but_for(captured("virt_install"), "boot")


def test_a_medium_is_put_in_and_taken_out() -> None:
    drive = ElementTree.fromstring(domain_xml.medium_xml(captured("running"), "sdb", "/isos/a.iso"))
    assert (drive.find("source").get("file"), drive.find("target").get("dev")) == ("/isos/a.iso", "sdb")
    assert drive.find("alias") is None and drive.find("address") is not None
    empty = ElementTree.fromstring(domain_xml.medium_xml(captured("running"), "sda", None))
    assert empty.find("source") is None and empty.find("boot") is not None
    for target in ("vda", "sdz", ""):
        with pytest.raises(InvalidInput) as refused:
            domain_xml.medium_xml(captured("ours"), target, "/isos/a.iso")
        assert refused.value.code == "no_such_drive"


def test_a_new_disk_gets_the_first_free_name() -> None:
    assert domain_xml.free_target(captured("ours")) == "vdb"
    assert domain_xml.free_target(captured("ours"), captured("network_first")) == "vdc"
    disks = "".join(f"<disk type='file'><target dev='vd{letter}'/></disk>" for letter in "abcdefghijklmnopqrstuvwxyz")
    with pytest.raises(Conflict) as refused:
        domain_xml.free_target(f"<domain><devices>{disks}</devices></domain>")
    assert refused.value.code == "no_free_slot"


@pytest.mark.parametrize(
    ("graphics", "place"),
    [
        ("<graphics type='vnc'><listen type='none'/></graphics>", None),
        ("<graphics type='vnc'><listen type='socket' socket='/run/d-1/vnc.sock'/></graphics>", "/run/d-1/vnc.sock"),
        ("<graphics type='vnc'><listen type='socket' socket='/run/a:b/vnc.sock'/></graphics>", None),
        ("<graphics type='vnc' port='5901'><listen type='address' address='0.0.0.0'/></graphics>", "127.0.0.1:5901"),
        ("<graphics type='vnc' port='5901' passwd='x'><listen type='address'/></graphics>", None),
        ("<graphics type='spice' port='5902'><listen type='address'/></graphics>", None),
        ("", None),
    ],
)
def test_where_a_screen_can_be_connected_to(graphics: str, place: str | None) -> None:
    domain = domain_xml.read(f"<domain><devices>{graphics}</devices></domain>")
    assert domain_xml.screen_of(domain) == place


def test_a_screen_of_another_host_is_a_socket() -> None:
    for local, kind in ((True, "none"), (False, "socket")):
        listen = domain_xml.read(new_domain.xml_of(wish(), local=local)).find("devices/graphics/listen")
        assert listen is not None and listen.attrib == {"type": kind}
