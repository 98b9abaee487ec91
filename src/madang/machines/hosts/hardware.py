"""CPUs, memory and network in libvirt's domain XML: changed, while all the rest is kept. Pure."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

from madang.kernel.errors import Conflict
from madang.machines.hosts import domain_xml, failures, new_domain
from madang.machines.hosts.shapes import Hardware

# Where a guest finds its card again: by its address and place it has the same name inside.
_KEPT_OF_INTERFACE = ("mac", "model", "address")
# What whoever runs the host has put on a card: its owner does not get rid of it by another network.
_BOUND_TO_INTERFACE = ("filterref", "bandwidth", "vlan", "virtualport", "portOptions")


def with_hardware(xml: str, hardware: Hardware) -> str:
    """Raises Conflict (fixed_hardware) where the definition binds it to something that we do not know, InvalidInput
    (wrong_definition, wrong_network)."""
    domain = domain_xml.read(xml)
    if (hardware.cpus, hardware.memory_bytes) != (None, None) and domain.find("cpu/numa") is not None:
        raise _fixed("Its CPUs and memory are laid out in cells (NUMA).")
    if hardware.cpus is not None:
        _set_cpus(domain, hardware.cpus)
    if hardware.memory_bytes is not None:
        _set_memory(domain, hardware.memory_bytes)
    if hardware.network is not None:
        _set_network(domain, hardware.network)
    return domain_xml.written(domain)


def _set_cpus(domain: Element, cpus: int) -> None:
    if cpus < 1:
        raise failures.wrong_definition("A machine needs a CPU.")
    vcpu = _child(domain, "vcpu")
    vcpu.text = str(cpus)
    # Neither fewer of them at first nor a list of them: all that there are, from the start.
    vcpu.attrib.pop("current", None)
    for old in domain.findall("vcpus"):
        domain.remove(old)
    processor = domain.find("cpu")
    topology = processor.find("topology") if processor is not None else None
    if processor is not None and topology is not None and _product(topology) != cpus:
        processor.remove(topology)  # libvirt refuses one that makes another number of them


def _product(topology: Element) -> int:
    product = 1
    for part in ("sockets", "dies", "clusters", "cores", "threads"):
        product *= int(topology.get(part, "1"))
    return product


def _set_memory(domain: Element, size: int) -> None:
    """At the start and at most: the balloon begins empty."""
    if size < 1:
        raise failures.wrong_definition("A machine needs memory.")
    for tag in ("memory", "currentMemory"):
        element = _child(domain, tag)
        element.text = str(size)
        element.set("unit", "b")


def _set_network(domain: Element, network: str) -> None:
    """In place of its one card, which stays the same one for the system inside."""
    devices = _child(domain, "devices")
    old = devices.findall("interface")
    if len(old) > 1:
        raise _fixed("It has several network cards.")
    if bound := [tag for tag in _BOUND_TO_INTERFACE if old and old[0].find(tag) is not None]:
        raise _fixed(f"Its network card has settings of its own: {', '.join(bound)}.")
    new = new_domain.interface(network)
    place = list(devices).index(old[0]) if old else len(devices)
    if old:
        devices.remove(old[0])
    if new is None:
        return
    for tag in _KEPT_OF_INTERFACE if old else ():
        if (part := old[0].find(tag)) is not None:
            for ours in new.findall(tag):
                new.remove(ours)
            new.append(part)
    devices.insert(place, new)


def _child(parent: Element, tag: str) -> Element:
    found = parent.find(tag)
    return SubElement(parent, tag) if found is None else found


def _fixed(why: str) -> Conflict:
    return Conflict(
        why, code="fixed_hardware", title="It cannot be changed here", hint="Change it with libvirt's own tools."
    )
