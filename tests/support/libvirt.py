"""A private libvirtd for the tests, as an ordinary account, with machines that are gone with it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec

from madang.machines.hosts import Host, Limits, Seen, Wish
from madang.machines.hosts.binding import is_there, libvirt
from madang.machines.hosts.daemon import Daemon
from tests.support.accounts import AS_ROOT, make_account, remove_account
from tests.support.waiting import eventually

MB = 1_000_000
MEMORY = 192 * 2**20
DISK = 300 * MB
# TCG on a busy machine; what waits for a guest waits this long at most.
GUEST_SECONDS = 120.0
_numbers = itertools.count(1)
QUICK = Limits(connect=10.0, call=60.0, retry=0.1, silent=2.0, tray=8.0)


def missing() -> list[str]:
    """What is not on this machine (scripts/setup test brings it)."""
    found = [name for name in ("libvirtd", "qemu-system-x86_64", "qemu-img", "virsh") if not _which(name)]
    return found if is_there() else [*found, "python3-libvirt"]


def _which(name: str) -> str | None:
    return shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")


class PrivateLibvirt:
    """One libvirtd; it can be killed and started again. `pool` and `isos` are folders that its machines may read."""

    def __init__(self, beside: PrivateLibvirt | None = None) -> None:
        """`beside`: another host with the storage of this one."""
        self._beside = beside
        self.folder = Path(tempfile.mkdtemp(prefix="mv-", dir="/tmp"))  # the paths of its sockets have to be short
        self.folder.chmod(0o711)
        self._storage: Path | None = None
        if beside is not None:
            self.account, self.pool, self.isos = beside.account, beside.pool, beside.isos
        else:
            self.account = make_account(f"mdgv{os.getpid()}x{next(_numbers)}") if AS_ROOT else None
            # Where there is room for disks: /tmp may be a small part of memory.
            self._storage = Path(tempfile.mkdtemp(prefix="mv-", dir="/var/tmp"))
            self._storage.chmod(0o711)
            self.pool, self.isos = self._storage / "pool", self._storage / "isos"
            for folder in (self.pool, self.isos):
                folder.mkdir(mode=0o755)
                if self.account is not None:
                    shutil.chown(folder, self.account, self.account)
        self.daemon = Daemon(self.folder / "state", self.folder / "r", self.account)
        if self.account is not None:
            shutil.chown(self.folder, self.account, self.account)

    @property
    def uri(self) -> str:
        return self.daemon.uri

    def start(self) -> None:
        # In a thread of its own: tests with a browser have a loop in this one already.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(self.daemon.start())).result()

    def kill(self) -> None:
        """kill -9 of libvirtd, not of its machines."""
        self.daemon.end(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        pid = self.daemon.pid
        assert pid is not None
        os.kill(pid, number)

    def mend(self) -> None:
        """It runs and answers, whatever a test has done to it."""
        with contextlib.suppress(AssertionError, ProcessLookupError):
            self.signal(signal.SIGCONT)
        self.start()

    def clear(self) -> None:
        """No machine is left, and no disk."""
        connection = libvirt.open(self.uri)
        for domain in connection.listAllDomains(0):
            with contextlib.suppress(libvirt.libvirtError):
                domain.destroy()
            with contextlib.suppress(libvirt.libvirtError):  # 1|2|4|16: all that belongs to it
                domain.undefineFlags(1 | 2 | 4 | 16)
        connection.close()
        if self._beside is not None:
            return
        shutil.rmtree(self.pool, ignore_errors=True)
        self.pool.mkdir(mode=0o755)
        if self.account is not None:
            shutil.chown(self.pool, self.account, self.account)

    def stop(self) -> None:
        try:
            self.mend()
            self.clear()
        finally:
            self.daemon.end(signal.SIGTERM)
            self.daemon.end(signal.SIGKILL)
            self._end_log_daemon()
            if self.account is not None and self._beside is None:
                remove_account(self.account)
            for folder in filter(None, (self.folder, self._storage)):
                shutil.rmtree(folder, ignore_errors=True)

    def _end_log_daemon(self) -> None:
        """libvirtd starts one beside itself, which would stay for two minutes."""
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self.folder / "r/libvirt/virtlogd.pid").read_text()), signal.SIGTERM)

    def qemu_pid(self, name: str) -> int:
        return int((self.folder / f"r/libvirt/qemu/run/{name}.pid").read_text())

    def virsh(self, *arguments: str) -> str:
        done = subprocess.run(["virsh", "-c", self.uri, *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"virsh {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def host(self, **limits: float) -> Host:
        return Host("here", self.uri, self.pool, limits_of(**limits), self.account)

    def wish(self, **values: Any) -> Wish:
        """A machine for the tiny system, of which nothing is made yet."""
        name = str(uuid.uuid4())
        folder = self.pool / name
        given = {"disk_path": f"{folder}/disk.qcow2", "folder": str(folder), "title": "Tiny", "cpus": 1}
        return Wish(uuid=name, memory_bytes=MEMORY, **(given | values))


def limits_of(**limits: float) -> Limits:
    return msgspec.structs.replace(QUICK, **limits)


async def make(host: Host, libvirtd: PrivateLibvirt, base: Path | None = None, **values: Any) -> Wish:
    """A machine with an empty disk, or a linked clone of `base`; it does not run."""
    wish = libvirtd.wish(**values)
    if base is None:
        await host.create_disk(wish.disk_path, DISK)
    else:
        await host.clone_disk(str(base), wish.disk_path, True, nothing)
    await host.define(wish)
    return wish


def nothing(share: float | None, stage: str) -> None:
    """Nobody looks at the progress."""


async def install(libvirtd: PrivateLibvirt, iso: Path, to: Path) -> None:
    """A disk with the tiny system installed, as the installer leaves it."""
    host = libvirtd.host()
    await host.start()
    wish = await make(host, libvirtd, media=(str(iso), None))
    await host.start_machine(wish.uuid, on_reboot="destroy")
    await until(lambda: host.look(wish.uuid), lambda seen: seen.state == "shut_off")
    os.rename(wish.disk_path, to)
    await host.undefine(wish.uuid)
    await host.stop()


@contextlib.contextmanager
def private_libvirt(beside: PrivateLibvirt | None = None) -> Iterator[PrivateLibvirt]:
    libvirtd = PrivateLibvirt(beside)
    try:
        libvirtd.start()
        yield libvirtd
    finally:
        libvirtd.stop()


class Serial:
    """The first serial port of a machine: what it has said since, and commands to the tiny system."""

    def __init__(self, libvirtd: PrivateLibvirt, uuid: str) -> None:
        self._connection = libvirt.open(libvirtd.uri)
        self._stream = self._connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
        self._connection.lookupByUUIDString(uuid).openConsole(None, self._stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
        self.said = ""

    def close(self) -> None:
        with contextlib.suppress(libvirt.libvirtError):
            self._stream.abort()
        self._connection.close()

    def read(self) -> str:
        with contextlib.suppress(libvirt.libvirtError):
            while isinstance(part := self._stream.recv(65536), bytes) and part:
                self.said += part.decode(errors="replace")
        return self.said

    def wait_for(self, words: str, seconds: float = GUEST_SECONDS) -> str:
        """What was said after these words."""
        eventually(lambda: words in self.read(), seconds, lambda: self.said[-2000:], pause=0.1)
        return self.said.rpartition(words)[2]

    def send(self, command: str) -> None:
        """A command that may end the tiny system."""
        line = f"{command}\n".encode()
        while line:
            line = line[max(self._stream.send(line), 0) :]

    def run(self, command: str, seconds: float = GUEST_SECONDS) -> str:
        """A command in the tiny system; what it printed."""
        self.said = ""
        self.send(command)
        self.wait_for("TINY did it: ", seconds)
        # It may have come up while we began to listen.
        return self.said.partition("TINY did it: ")[0].replace("\r", "").rpartition("TINY ready\n")[2].strip()


async def until(
    look: Callable[[], Coroutine[Any, Any, Seen]], good: Callable[[Seen], Any], seconds: float = GUEST_SECONDS
) -> Seen:
    """What `look` gives once it is good. Raises AssertionError when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        found = await look()
        if good(found):
            return found
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {found}"
        await asyncio.sleep(0.1)


def on_scsi(xml: str) -> str:
    """The kernel of the tiny system knows no SATA."""
    domain = ElementTree.fromstring(xml)
    devices = domain.find("devices")
    assert devices is not None
    ElementTree.SubElement(devices, "controller", type="scsi", model="virtio-scsi")
    for drive in devices.findall("disk[@device='cdrom']"):
        drive.find("target").set("bus", "scsi")  # type: ignore[union-attr]
        drive.remove(drive.find("address"))  # type: ignore[arg-type]
    return ElementTree.tostring(domain, encoding="unicode")
