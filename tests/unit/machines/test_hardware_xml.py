"""CPUs, memory and network in definitions captured from libvirt: changed, and nothing else."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from madang.kernel.errors import Conflict, InvalidInput
from madang.machines.hosts import domain_xml
from madang.machines.hosts.hardware import with_hardware
from madang.machines.hosts.shapes import Hardware
from tests.unit.machines.test_domain_xml import but_for, captured

ALL = ("ours", "ours_uefi", "virt_install", "network_first", "running")
MIB = 1024**2


def child(xml: str, path: str) -> ElementTree.Element:
    found = ElementTree.fromstring(xml).find(path)
    assert found is not None, path
    return found


@pytest.mark.parametrize("name", ALL)
def test_cpus_and_memory_change_nothing_else(name: str) -> None:
    before = captured(name)
    after = with_hardware(before, Hardware(cpus=3, memory_bytes=300 * MIB))
    read = domain_xml.parse(after)
    assert (read.cpus, read.memory_bytes) == (3, 300 * MIB)
    touched = ("vcpu", "vcpus", "memory", "currentMemory")
    assert but_for(after, *touched) == but_for(before, *touched)


def test_all_cpus_and_all_memory_are_there_from_the_start() -> None:
    after = with_hardware(captured("virt_install"), Hardware(cpus=4, memory_bytes=512 * MIB))
    vcpu = child(after, "vcpu")
    assert (vcpu.text, vcpu.get("current"), vcpu.get("placement")) == ("4", None, "static")
    for tag in ("memory", "currentMemory"):
        assert (child(after, tag).text, child(after, tag).get("unit")) == (str(512 * MIB), "b")


def test_what_is_not_asked_for_stays() -> None:
    assert but_for(with_hardware(captured("ours"), Hardware())) == but_for(captured("ours"))


@pytest.mark.parametrize(("cpus", "left"), [(8, True), (6, False)])
def test_a_topology_stays_where_it_fits(cpus: int, left: bool) -> None:
    before = captured("ours").replace("</cpu>", "<topology sockets='2' dies='1' cores='2' threads='2'/></cpu>", 1)
    assert "<topology" in before
    after = with_hardware(before, Hardware(cpus=cpus))
    assert ("<topology" in after) is left


def test_a_list_of_cpus_goes() -> None:
    before = captured("ours").replace("<os>", "<vcpus><vcpu id='0' enabled='yes' hotpluggable='no'/></vcpus><os>", 1)
    assert "<vcpus>" not in with_hardware(before, Hardware(cpus=2))


@pytest.mark.parametrize("network", ["none", "network:default", "bridge:br0"])
def test_another_network_is_behind_the_same_card(network: str) -> None:
    before = captured("ours")
    after = with_hardware(before, Hardware(network=network))
    assert domain_xml.parse(after).network == network
    assert but_for(after, "interface") == but_for(before, "interface")
    if network != "none":
        for part in ("mac", "model", "address"):
            one, other = child(before, f"devices/interface/{part}"), child(after, f"devices/interface/{part}")
            assert one.attrib == other.attrib
    back = with_hardware(after, Hardware(network="user"))
    assert domain_xml.parse(back).network == "user"


def test_what_binds_it_to_more_than_we_know_is_left_alone() -> None:
    cells = captured("ours").replace("</cpu>", "<numa><cell id='0' cpus='0' memory='131072'/></numa></cpu>", 1)
    for wanted in (Hardware(cpus=2), Hardware(memory_bytes=MIB)):
        with pytest.raises(Conflict) as refused:
            with_hardware(cells, wanted)
        assert refused.value.code == "fixed_hardware"
    assert domain_xml.parse(with_hardware(cells, Hardware(network="none"))).network == "none"
    filtered = captured("ours").replace("</interface>", "<filterref filter='clean-traffic'/></interface>")
    for network in ("none", "bridge:br0"):
        with pytest.raises(Conflict) as refused:
            with_hardware(filtered, Hardware(network=network))
        assert refused.value.code == "fixed_hardware" and "filterref" in refused.value.detail
    two = captured("ours").replace("</devices>", "<interface type='user'/></devices>")
    with pytest.raises(Conflict) as refused:
        with_hardware(two, Hardware(network="none"))
    assert refused.value.code == "fixed_hardware"


@pytest.mark.parametrize("wanted", [Hardware(cpus=0), Hardware(memory_bytes=0), Hardware(network="direct:eth0")])
def test_what_cannot_be_is_refused(wanted: Hardware) -> None:
    with pytest.raises(InvalidInput):
        with_hardware(captured("ours"), wanted)
