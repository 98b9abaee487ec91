"""The libvirt of a whole machine, as root, in namespaces of its own: nothing of this machine's own is touched.

Its machines run as the account that Debian's package makes for them, which only that namespace knows.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from madang.machines.hosts import Host
from madang.machines.hosts.binding import libvirt
from madang.machines.hosts.connection import run_event_loop
from tests.support.libvirt import PrivateLibvirt, limits_of
from tests.support.waiting import eventually

ANSWER_SECONDS = 60.0
# Where it keeps what is its own: another folder is put over each, in its mount namespace alone.
PLACES = ("/run/libvirt", "/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt")
LIBVIRTD = """
unix_sock_group = "root"
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
"""
# No log daemon and no cgroups: those are the machine's. Namespaces of its own would not take what we put over /dev/kvm.
QEMU = """
namespaces = []
stdio_handler = "file"
cgroup_controllers = []
"""
ACCOUNT, UID = "libvirt-qemu", 64055
ACCOUNTS = {
    "/etc/passwd": f"{ACCOUNT}:x:{UID}:{UID}::/nonexistent:/usr/sbin/nologin\n",
    "/etc/group": f"{ACCOUNT}:x:{UID}:\n",
}


class SystemLibvirt(PrivateLibvirt):
    """As PrivateLibvirt; only root can have one."""

    def __init__(self) -> None:
        self.account = None  # the portal's own files are root's
        self.folder = Path(tempfile.mkdtemp(prefix="ms-", dir="/tmp"))
        self.folder.chmod(0o711)
        self.pool, self.isos = self.folder / "pool", self.folder / "isos"
        for folder in (self.pool, self.isos):
            folder.mkdir(mode=0o711 if folder == self.pool else 0o755)
        self._held: subprocess.Popen[bytes] | None = None
        self._beside = None

    @property
    def uri(self) -> str:
        return f"qemu+unix:///system?socket={self.folder}/run/libvirt-sock"

    @property
    def _own(self) -> Mapping[str, Path]:
        return {place: self.folder / place.strip("/").replace("/libvirt", "") for place in PLACES}

    def start(self) -> None:
        for folder in self._own.values():
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        config = self._own["/etc/libvirt"]
        (config / "libvirtd.conf").write_text(LIBVIRTD)
        (config / "qemu.conf").write_text(QEMU)
        if self._held is None:
            # Of its own: mounts, and a network, whose firewall libvirt may want to see to.
            self._held = subprocess.Popen(["unshare", "--mount", "--net", "sleep", "infinity"], start_new_session=True)
            own = Path(f"/proc/{self._held.pid}/ns/mnt")
            eventually(lambda: own.readlink() != Path("/proc/self/ns/mnt").readlink(), 10, "no namespace")
            for place, folder in self._own.items():
                if not Path(place).exists():
                    Path(place).mkdir(parents=True)  # empty, and in nobody's way
                self._inside("mount", "--bind", str(folder), place)
            for place, line in ACCOUNTS.items():
                self._instead(place, Path(place).read_text() + line, 0o644)
            # Neither for that account nor for root: libvirt would look into QEMU anew, again and again.
            if Path("/dev/kvm").exists():
                self._instead("/dev/kvm", "", 0o600)
        if not self._answers():
            self._inside("libvirtd", "-d", "-p", str(self.folder / "libvirtd.pid"))
            eventually(self._answers, ANSWER_SECONDS, "libvirtd does not answer")

    def _instead(self, place: str, content: str, mode: int) -> None:
        """What is found there inside."""
        file = self.folder / Path(place).name
        file.write_text(content)
        file.chmod(mode)
        self._inside("mount", "--bind", str(file), place)

    def _inside(self, *command: str) -> None:
        assert self._held is not None
        enter = ["nsenter", f"--target={self._held.pid}", "--mount", "--net", "--"]
        subprocess.run([*enter, *command], check=True, stdin=subprocess.DEVNULL)

    def _answers(self) -> bool:
        run_event_loop()
        try:
            libvirt.open(self.uri).close()
        except libvirt.libvirtError:
            return False
        return True

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        with contextlib.suppress(OSError, ValueError, psutil.NoSuchProcess, psutil.TimeoutExpired):
            process = psutil.Process(int((self.folder / "libvirtd.pid").read_text()))
            process.send_signal(number)
            process.wait(10)

    def mend(self) -> None:
        self.start()

    def stop(self) -> None:
        try:
            if self._held is not None:
                self.mend()
                self.clear()
        finally:
            self._end(signal.SIGTERM)
            if self._held is not None:
                self._held.kill()
                self._held.wait()
            shutil.rmtree(self.folder, ignore_errors=True)

    def qemu_pid(self, name: str) -> int:
        return int((self._own["/run/libvirt"] / f"qemu/{name}.pid").read_text())

    def host(self, **limits: float) -> Host:
        return Host("here", self.uri, self.pool, limits_of(**limits))


@contextlib.contextmanager
def system_libvirt() -> Iterator[SystemLibvirt]:
    libvirtd = SystemLibvirt()
    try:
        libvirtd.start()
        yield libvirtd
    finally:
        libvirtd.stop()
