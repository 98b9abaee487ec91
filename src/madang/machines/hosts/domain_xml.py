"""libvirt's domain XML: what one says, and changes that keep the rest. Pure. (New ones: new_domain.py.)

Boot order is kept on the devices (<boot order>), so that every CD drive counts; libvirt's other form (<os><boot dev>)
only knows the first drive of a kind, and refuses to be mixed with this one. It is understood, and replaced by a change.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import groupby
from typing import get_args
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from madang.kernel.errors import Conflict, InvalidInput
from madang.machines.hosts import failures
from madang.machines.hosts.shapes import BootOrder, Definition, Drive, Firmware

MADANG = "https://madang.invalid/machine"
QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
AGENT_CHANNEL = "org.qemu.guest_agent.0"
DEBUG_PORT = "0x402"
_ORDERS: dict[tuple[str, ...], BootOrder] = {tuple(order.split("_")): order for order in get_args(BootOrder)}
_UNITS = {"b": 1, "bytes": 1, "KB": 1000, "k": 1024, "KiB": 1024, "MB": 10**6, "M": 2**20, "MiB": 2**20, "GB": 10**9,
          "G": 2**30, "GiB": 2**30, "TB": 10**12, "T": 2**40, "TiB": 2**40}  # fmt: skip
# What XML 1.0 cannot hold, and what breaks a line.
_NOT_TEXT = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

ElementTree.register_namespace("madang", MADANG)
ElementTree.register_namespace("qemu", QEMU)


def text(raw: str) -> str:
    """A name as libvirt can keep it: one line, nothing that XML cannot hold."""
    return _NOT_TEXT.sub("\ufffd", raw)


def printable(raw: str) -> str:
    """Several lines, of which each is as `text` has it."""
    return "\n".join(text(line) for line in raw.splitlines())


def checked_path(path: str) -> str:
    """A path that can stand in XML as it is. Raises InvalidInput (wrong_path)."""
    if text(path) != path or not path.startswith("/"):
        raise InvalidInput(
            f"The path {text(path)!r} cannot be used.",
            code="wrong_path",
            hint="It has to be absolute, with no control characters.",
        )
    return path


# What an XML says.


@lru_cache(maxsize=2048)  # a pass over all machines mostly finds what the one before found
def parse(xml: str) -> Definition:
    """Raises InvalidInput (wrong_definition) where it is no domain."""
    domain = read(xml)
    name = domain.findtext("name") or ""
    return Definition(
        uuid=domain.findtext("uuid") or "",
        name=name,
        title=domain.findtext("title") or name,
        cpus=_cpus(domain),
        memory_bytes=_bytes(domain.find("memory")),
        firmware=_firmware(domain),
        boot_order=_order(domain),
        drives=tuple(_drive(disk) for disk in domain.iterfind("devices/disk") if _kind(disk)),
        on_reboot=domain.findtext("on_reboot") or "restart",
        network=_network(domain),
        domain_type=domain.get("type") or "",
        boot_log=_boot_log(domain),
    )


def read(xml: str) -> Element:
    """Raises InvalidInput (wrong_definition)."""
    try:
        domain = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError) as error:
        raise failures.wrong_definition(f"This is no XML: {error}.") from error
    if domain.tag != "domain":
        raise failures.wrong_definition(f"This describes no machine, but a {domain.tag}.")
    return domain


def agent_connected(domain: Element) -> bool:
    """Of a machine that runs."""
    targets = domain.iterfind("devices/channel/target")
    return any(each.get("name") == AGENT_CHANNEL and each.get("state") == "connected" for each in targets)


def screen_of(domain: Element) -> str | None:
    """Where on its host the screen of a machine that runs can be connected to without a password: the path of a Unix
    socket, or "127.0.0.1:PORT"."""
    for graphics in domain.iterfind("devices/graphics[@type='vnc']"):
        if graphics.get("passwd"):
            continue
        for listen in graphics.iterfind("listen"):
            path, port = listen.get("socket", ""), graphics.get("port", "")
            if listen.get("type") == "socket" and re.fullmatch(r"/[^:\s]+", path):
                return path
            if listen.get("type") in ("address", "network") and re.fullmatch(r"\d+", port):
                return f"127.0.0.1:{port}"
    return None


def run_began(domain: Element) -> float | None:
    """When we started this run (epoch s); None: somebody else did."""
    run = domain.find(f"metadata/{{{MADANG}}}run")
    try:
        return None if run is None else float(run.get("began", ""))
    except ValueError:
        return None


def _cpus(domain: Element) -> int:
    vcpu = domain.find("vcpu")
    return 1 if vcpu is None else int(vcpu.get("current") or vcpu.text or 1)


def _bytes(element: Element | None) -> int:
    if element is None:
        return 0
    return int(element.text or 0) * _UNITS.get(element.get("unit", "KiB"), 1024)


def _firmware(domain: Element) -> Firmware:
    system, loader = domain.find("os"), domain.find("os/loader")
    efi = system is not None and system.get("firmware") == "efi"
    return "uefi" if efi or (loader is not None and loader.get("type") == "pflash") else "bios"


def _kind(disk: Element) -> str:
    """ "disk", "cdrom", or "" for what is neither (floppies)."""
    device = disk.get("device", "disk")
    return {"disk": "disk", "lun": "disk", "cdrom": "cdrom"}.get(device, "")


def _drive(disk: Element) -> Drive:
    target, source, driver, boot = (disk.find(each) for each in ("target", "source", "driver", "boot"))
    return Drive(
        target=target.get("dev", "") if target is not None else "",
        kind="cdrom" if _kind(disk) == "cdrom" else "disk",
        path=None if source is None else source.get("file") or source.get("dev"),
        bus=target.get("bus", "") if target is not None else "",
        format=None if driver is None else driver.get("type"),
        tray_open=target is not None and target.get("tray") == "open",
        boot=None if boot is None else int(boot.get("order", "0")),
    )


def _order(domain: Element) -> BootOrder | None:
    named = [boot.get("dev", "") for boot in domain.iterfind("os/boot")]
    if not named:
        placed: list[tuple[int, str]] = []
        for device in domain.iterfind("devices/*"):
            if (boot := device.find("boot")) is not None:
                kind = {"cdrom": "cdrom", "disk": "hd"}.get(_kind(device), "other") if device.tag == "disk" else "other"
                placed.append((int(boot.get("order", "0")), kind))
        named = [kind for _place, kind in sorted(placed)]
    return _ORDERS.get(tuple(kind for kind, _same in groupby(named)))


def _network(domain: Element) -> str:
    interfaces = domain.findall("devices/interface")
    if not interfaces:
        return "none"
    kind, source = interfaces[0].get("type", ""), interfaces[0].find("source")
    if len(interfaces) > 1 or kind not in ("user", "network", "bridge"):
        return "other"
    return kind if kind == "user" or source is None else f"{kind}:{source.get(kind, '')}"


def _boot_log(domain: Element) -> str | None:
    if _firmware(domain) == "uefi":
        log = domain.find("devices/serial/log")
        return None if log is None else log.get("file")
    for serial in domain.iterfind("devices/serial[@type='file']"):
        address, source = serial.find("address"), serial.find("source")
        if address is not None and source is not None and address.get("iobase") == DEBUG_PORT:
            return source.get("path")
    return None


# Changes that keep the rest.


def with_order(xml: str, order: BootOrder) -> str:
    """Raises InvalidInput (no_such_drive) where the machine has no drive of a kind that the order names."""
    domain = read(xml)
    set_order(domain, order)
    return written(domain)


def set_order(domain: Element, order: BootOrder) -> None:
    disks = domain.findall("devices/disk")
    kinds = {"cdrom": [disk for disk in disks if _kind(disk) == "cdrom"], "hd": _system_disk(domain)}
    for element in (*domain.iterfind("os"), *domain.iterfind("devices/*")):
        for boot in element.findall("boot"):
            element.remove(boot)
    place = 0
    for kind in order.split("_"):
        if not kinds[kind]:
            raise InvalidInput(
                f"The machine has no {'CD drive' if kind == 'cdrom' else 'disk'} to boot from.",
                code="no_such_drive",
                hint="Choose another boot order.",
            )
        for disk in kinds[kind]:
            place += 1
            SubElement(disk, "boot", order=str(place))


def _system_disk(domain: Element) -> list[Element]:
    """The disk that it boots from: the one that did so far, else its first."""
    disks = [disk for disk in domain.iterfind("devices/disk") if _kind(disk) == "disk"]
    placed = sorted((disk for disk in disks if disk.find("boot") is not None), key=lambda disk: _drive(disk).boot or 0)
    return (placed or disks)[:1]


def with_title(xml: str, title: str) -> str:
    domain = read(xml)
    element = domain.find("title")
    if element is None:
        # After the uuid, as the schema has it.
        element = Element("title")
        domain.insert(1 + max((i for i, each in enumerate(domain) if each.tag in ("name", "uuid")), default=0), element)
    element.text = text(title) or domain.findtext("name")  # libvirt refuses an empty one
    return written(domain)


def with_run(xml: str, first: BootOrder | None, on_reboot: str | None, began: float) -> str:
    """The definition of one run: another order, another answer to a restart, the time it begins."""
    domain = read(xml)
    if first is not None:
        set_order(domain, first)
    if on_reboot is not None:
        element = domain.find("on_reboot")
        if element is None:
            element = SubElement(domain, "on_reboot")
        element.text = on_reboot
    metadata = domain.find("metadata")
    if metadata is None:
        metadata = SubElement(domain, "metadata")
    for old in metadata.findall(f"{{{MADANG}}}run"):
        metadata.remove(old)
    SubElement(metadata, f"{{{MADANG}}}run", began=f"{began:.3f}")
    return written(domain)


def drive_xml(xml: str, target: str) -> str:
    """A drive as it stands there. Raises InvalidInput (no_such_drive)."""
    return written(_find_drive(read(xml), target))


def medium_xml(xml: str, target: str, path: str | None, system: bool = False) -> str:
    """A CD drive of it with this ISO in it, or empty. Raises InvalidInput (no_such_drive, wrong_path)."""
    drive = _find_drive(read(xml), target)
    if _kind(drive) != "cdrom":
        raise failures.no_such_drive(target)
    for tag in ("source", "backingStore", "alias"):
        for old in drive.findall(tag):
            drive.remove(old)
    drive.set("type", "file")
    if path is not None:
        drive.insert(0, medium_source(path, system))
    return written(drive)


def medium_source(path: str, system: bool) -> Element:
    """The libvirt of the whole machine would make an ISO its own and leave it so; it only has to be able to read it."""
    source = Element("source", file=checked_path(path))
    if system:
        SubElement(source, "seclabel", model="dac", relabel="no")
    return source


def disk_element(path: str, target: str, form: str) -> Element:
    disk = Element("disk", type="file", device="disk")
    SubElement(disk, "driver", name="qemu", type=form, discard="unmap")
    SubElement(disk, "source", file=checked_path(path))
    SubElement(disk, "target", dev=target, bus="virtio")
    return disk


def disk_xml(path: str, target: str, form: str) -> str:
    return written(disk_element(path, target, form))


def free_target(*xmls: str) -> str:
    """The first name of a virtio disk that none of these has. Raises Conflict (no_free_slot)."""
    taken = {drive.target for xml in xmls for drive in parse(xml).drives}
    for letter in "abcdefghijklmnopqrstuvwxyz":
        if f"vd{letter}" not in taken:
            return f"vd{letter}"
    raise Conflict("The machine has as many disks as it can have.", code="no_free_slot", hint="Take one away first.")


def _find_drive(domain: Element, target: str) -> Element:
    for disk in domain.iterfind("devices/disk"):
        if _kind(disk) and _drive(disk).target == target:
            return disk
    raise failures.no_such_drive(target)


def written(element: Element) -> str:
    return ElementTree.tostring(element, encoding="unicode")
