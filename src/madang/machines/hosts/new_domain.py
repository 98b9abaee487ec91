"""The definition of a new machine, as libvirt's domain XML. Pure."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, SubElement

from madang.kernel.errors import InvalidInput
from madang.machines.hosts import domain_xml, failures
from madang.machines.hosts.shapes import Wish

BOOT_LOG, SERIAL_LOG = "boot.log", "serial.log"
# More than this many disks and cards cannot be added to a machine that runs.
SPARE_PORTS = 8


def xml_of(wish: Wish, system: bool = False, local: bool = True) -> str:
    """The definition of a new machine; `system`: for the libvirt of the whole machine, not for one of an account;
    `local`: of this machine, not of another one.

    Raises InvalidInput (wrong_path, wrong_network, wrong_definition).
    """
    if wish.cpus < 1 or wish.memory_bytes < 1:
        raise failures.wrong_definition("A machine needs a CPU and memory.")
    domain = Element("domain", type=wish.domain_type)
    _add(domain, "name", wish.name)
    _add(domain, "uuid", wish.uuid)
    if domain_xml.text(wish.title):
        _add(domain, "title", domain_xml.text(wish.title))
    _add(domain, "memory", str(wish.memory_bytes), unit="b")
    _add(domain, "vcpu", str(wish.cpus))
    platform = SubElement(domain, "os", {"firmware": "efi"} if wish.firmware == "uefi" else {})
    _add(platform, "type", "hvm", arch="x86_64", machine="q35")
    if wish.firmware == "uefi":
        firmware = SubElement(platform, "firmware")
        SubElement(firmware, "feature", enabled="no", name="enrolled-keys")
        SubElement(firmware, "feature", enabled="no", name="secure-boot")
        _add(platform, "nvram", domain_xml.checked_path(f"{wish.folder}/uefi-variables.fd"))
    features = SubElement(domain, "features")
    SubElement(features, "acpi")
    SubElement(features, "apic")
    # Under TCG every CPU that can be emulated; without five-level paging, which old systems stumble over.
    cpu = SubElement(domain, "cpu", mode="host-passthrough" if wish.domain_type == "kvm" else "maximum")
    if wish.domain_type != "kvm":
        SubElement(cpu, "feature", policy="disable", name="la57")
    SubElement(domain, "clock", offset="utc")
    for event, action in (("poweroff", "destroy"), ("reboot", "restart"), ("crash", "destroy")):
        _add(domain, f"on_{event}", action)
    _devices(SubElement(domain, "devices"), wish, system, local)
    domain_xml.set_order(domain, wish.boot_order)
    return domain_xml.written(domain)


def _devices(devices: Element, wish: Wish, system: bool, local: bool) -> None:
    SubElement(devices, "controller", type="pci", index="0", model="pcie-root")
    for index in range(1, SPARE_PORTS + 7):  # six are taken by what follows
        SubElement(devices, "controller", type="pci", index=str(index), model="pcie-root-port")
    SubElement(devices, "controller", type="usb", model="qemu-xhci")
    devices.append(domain_xml.disk_element(wish.disk_path, "vda", "qcow2"))
    for target, medium in zip(("sda", "sdb"), wish.media, strict=True):
        drive = SubElement(devices, "disk", type="file", device="cdrom")
        SubElement(drive, "driver", name="qemu", type="raw")
        if medium is not None:
            drive.append(domain_xml.medium_source(medium, system))
        SubElement(drive, "target", dev=target, bus="sata")
        SubElement(drive, "readonly")
    if (card := interface(wish.network)) is not None:
        devices.append(card)
    _serial_ports(devices, wish)
    channel = SubElement(devices, "channel", type="unix")
    SubElement(channel, "target", type="virtio", name=domain_xml.AGENT_CHANNEL)
    # No port: who looks gets a connected socket from libvirt, on another machine one in a folder of libvirt's own.
    graphics = SubElement(devices, "graphics", type="vnc")
    SubElement(graphics, "listen", type="none" if local else "socket")
    SubElement(SubElement(devices, "video"), "model", type="vga", vram="16384")
    # An absolute pointer: the browser's and the guest's stay together.
    SubElement(devices, "input", type="tablet", bus="usb")
    rng = SubElement(devices, "rng", model="virtio")
    _add(rng, "backend", "/dev/urandom", model="random")
    SubElement(devices, "memballoon", model="virtio")


def _serial_ports(devices: Element, wish: Wish) -> None:
    """The first is the guest's console. To the second SeaBIOS writes what it boots from; OVMF does on the first."""
    serial = SubElement(devices, "serial", type="pty")
    if wish.firmware == "uefi":
        SubElement(serial, "log", file=domain_xml.checked_path(f"{wish.folder}/{SERIAL_LOG}"), append="off")
    SubElement(serial, "target", type="isa-serial", port="0")
    if wish.firmware == "bios":
        serial = SubElement(devices, "serial", type="file")
        SubElement(serial, "source", path=domain_xml.checked_path(f"{wish.folder}/{BOOT_LOG}"), append="off")
        target = SubElement(serial, "target", type="isa-debug", port="1")
        SubElement(target, "model", name="isa-debugcon")
        SubElement(serial, "address", type="isa", iobase=domain_xml.DEBUG_PORT)


def interface(network: str) -> Element | None:
    """Its card; None: it has no network. Raises InvalidInput (wrong_network)."""
    kind, _, name = network.partition(":")
    if network == "none":
        return None
    card = Element("interface", type=kind)
    if network == "user":
        pass
    elif kind in ("network", "bridge") and re.fullmatch(r"[\w.+-]{1,64}", name):
        SubElement(card, "source", {kind: name})
    else:
        raise InvalidInput(
            f"There is no kind of network {domain_xml.text(network)!r}.",
            code="wrong_network",
            hint='It is "user", "none", "network:NAME" or "bridge:NAME".',
        )
    SubElement(card, "model", type="virtio")
    return card


def _add(parent: Element, tag: str, content: str, **attributes: str) -> Element:
    element = SubElement(parent, tag, attributes)
    element.text = content
    return element
