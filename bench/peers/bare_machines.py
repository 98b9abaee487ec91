"""Machines without Madang: by libvirt's Python binding and qemu-img, and by virsh and qemu-img."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.support.libvirt import PrivateLibvirt

from bench.processes import Trouble
from madang.machines.hosts import BootOrder, Wish, domain_xml, new_domain
from madang.machines.hosts.binding import libvirt

GIB = 2**30
_names = (f"bench{number}" for number in itertools.count(1))


class Binding:
    """What a program of one's own would do: each method is what one click does in Madang, and gives the uuid."""

    name = "libvirt binding + qemu-img"

    def __init__(self, libvirtd: PrivateLibvirt) -> None:
        self.libvirtd = libvirtd
        self.connection = libvirt.open(libvirtd.uri)

    def close(self) -> None:
        self.connection.close()

    def create(self, size: int = GIB) -> str:
        wish = self.prepare()
        self.image("create", "-q", "-f", "qcow2", wish.disk_path, str(size))
        self.define(new_domain.xml_of(wish))
        return wish.uuid

    def clone(self, source: str) -> str:
        wish = self.prepare()
        self.image("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(self.disk(source)), wish.disk_path)
        self.define(new_domain.xml_of(wish))
        return wish.uuid

    def start(self, uuid: str) -> None:
        self.domain(uuid).create()

    def stop(self, uuid: str) -> None:
        self.domain(uuid).destroy()

    def remove(self, uuid: str) -> None:
        self.domain(uuid).undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA)
        shutil.rmtree(self.disk(uuid).parent)

    def order(self, uuid: str, order: BootOrder) -> None:
        flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
        self.define(domain_xml.with_order(self.domain(uuid).XMLDesc(flags), order))

    def attach(self, uuid: str, iso: str) -> None:
        domain = self.domain(uuid)
        flags = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG
        domain.updateDeviceFlags(domain_xml.medium_xml(domain.XMLDesc(0), "sda", iso), flags)

    def eject(self, uuid: str) -> None:
        flags = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG
        domain = self.domain(uuid)
        domain.updateDeviceFlags(domain_xml.medium_xml(domain.XMLDesc(0), "sda", None), flags)

    def grow(self, uuid: str, gib: int) -> None:
        self.image("resize", "-q", "-f", "qcow2", str(self.disk(uuid)), str(gib * GIB))

    def grow_live(self, uuid: str, gib: int) -> None:
        self.domain(uuid).blockResize("vda", gib * GIB, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)

    def snapshot(self, uuid: str) -> None:
        self.domain(uuid).snapshotCreateXML("<domainsnapshot><name>one</name></domainsnapshot>", 0)

    def drop_snapshots(self, uuid: str) -> None:
        for snapshot in self.domain(uuid).listAllSnapshots(0):
            snapshot.delete(0)

    def back_up(self, uuid: str, to: Path) -> None:
        """Begin it, and wait for its end."""
        order = to.with_suffix(".xml")
        order.write_text(
            f"<domainbackup mode='push'><disks><disk name='vda' backup='yes' type='file'><driver type='qcow2'/>"
            f"<target file='{to}'/></disk></disks></domainbackup>"
        )
        _run("virsh", "-q", "-c", self.libvirtd.uri, "backup-begin", uuid, str(order))
        domain = self.domain(uuid)
        while domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE:
            time.sleep(0.01)

    def domain(self, uuid: str) -> Any:
        return self.connection.lookupByUUIDString(uuid)

    def disk(self, uuid: str) -> Path:
        return self.libvirtd.pool / uuid / "disk.qcow2"

    def prepare(self, **values: Any) -> Wish:
        """A machine whose folder is made, and nothing else of it."""
        wish = self.libvirtd.wish(**({"title": next(_names), "boot_order": "hd"} | values))
        folder = Path(wish.folder)
        folder.mkdir(mode=0o700)
        if self.libvirtd.account is not None:
            shutil.chown(folder, self.libvirtd.account, self.libvirtd.account)
        return wish

    def define(self, xml: str) -> None:
        self.connection.defineXML(xml)

    def image(self, *arguments: str) -> None:
        account = self.libvirtd.account
        them = {"user": account, "group": account, "extra_groups": []} if account else {}
        _run("qemu-img", *arguments, **them)


class Virsh(Binding):
    """The same, as one types it."""

    name = "virsh + qemu-img"

    def start(self, uuid: str) -> None:
        self._virsh("start", uuid)

    def order(self, uuid: str, order: BootOrder) -> None:
        self.define(domain_xml.with_order(self._virsh("dumpxml", "--inactive", "--security-info", uuid), order))

    def attach(self, uuid: str, iso: str) -> None:
        self._virsh("change-media", uuid, "sda", iso, "--update", "--live", "--config")

    def grow_live(self, uuid: str, gib: int) -> None:
        self._virsh("blockresize", uuid, "vda", f"{gib}G")

    def snapshot(self, uuid: str) -> None:
        self._virsh("snapshot-create-as", uuid, "one")

    def define(self, xml: str) -> None:
        file = self.libvirtd.folder / "definition.xml"
        file.write_text(xml)
        self._virsh("define", str(file))

    def _virsh(self, *arguments: str) -> str:
        return _run("virsh", "-q", "-c", self.libvirtd.uri, *arguments)


def _run(*command: str, **options: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd="/", **options)
    if done.returncode:
        raise Trouble(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
