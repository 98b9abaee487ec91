"""A private libvirtd as a host on the network: reached by ssh alone, through an sshd of the tests' own.

sshd runs as libvirt's account, with its own keys and configuration, on a port of the loopback.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil

from madang.machines.hosts import Host
from tests.support.libvirt import PrivateLibvirt, limits_of
from tests.support.portal import free_port
from tests.support.waiting import eventually

SSHD = "/usr/sbin/sshd"
ANSWER_SECONDS = 20.0


def missing() -> list[str]:
    """What is not on this machine (scripts/setup test brings it)."""
    wanted = {"openssh-server": SSHD, "openssh-client": "/usr/bin/ssh", "libvirt-daemon": "/usr/bin/virt-ssh-helper"}
    return [package for package, program in wanted.items() if not Path(program).exists()]


class RemoteHost:
    """`name` of a host for the portal, and what goes wrong with the network between."""

    def __init__(self, libvirtd: PrivateLibvirt, name: str = "far") -> None:
        self.libvirtd = libvirtd
        self.name = name
        self.folder = libvirtd.folder / f"ssh-{name}"
        self.port = free_port()
        self._account = libvirtd.account or pwd.getpwuid(os.geteuid()).pw_name
        self._sshd: subprocess.Popen[bytes] | None = None
        self._write()

    def _write(self) -> None:
        self.folder.mkdir(mode=0o711)
        for key in ("host", "mine"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(self.folder / key)], check=True
            )
        # Where a person's libvirt is, its sessions are told by these; nobody else's is to be started in its place.
        environment = self.libvirtd.daemon.environment | {"LIBVIRT_AUTOSTART": "0"}
        told = " ".join(f"{name}={value}" for name, value in environment.items() if name not in ("HOME", "PATH"))
        host_key = (self.folder / "host.pub").read_text().split()
        files = {
            "sshd_config": f"""
                Port {self.port}
                ListenAddress 127.0.0.1
                HostKey {self.folder}/host
                PidFile none
                AuthorizedKeysFile {self.folder}/mine.pub
                StrictModes no
                UsePAM no
                PasswordAuthentication no
                KbdInteractiveAuthentication no
                SetEnv {told}
            """,
            "ssh_config": f"UserKnownHostsFile {self.folder}/known_hosts\nGlobalKnownHostsFile none\n",
            "known_hosts": f"[127.0.0.1]:{self.port} {host_key[0]} {host_key[1]}\n",
            # libvirt knows no other way to name a configuration; nobody's own one is read or written.
            "ssh": f'#!/bin/sh\nexec /usr/bin/ssh -F {self.folder}/ssh_config "$@"\n',
        }
        for name, content in files.items():
            (self.folder / name).write_text("\n".join(line.strip() for line in content.splitlines()) + "\n")
        (self.folder / "ssh").chmod(0o755)
        if self.libvirtd.account is not None:
            shutil.chown(self.folder / "host", self.libvirtd.account)

    @property
    def uri(self) -> str:
        return (
            f"qemu+ssh://{self._account}@127.0.0.1:{self.port}/session"
            f"?keyfile={self.folder}/mine&command={self.folder}/ssh"
        )

    def start(self) -> None:
        self._sshd = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "sshd.log").open("ab"),
            cwd="/",
            start_new_session=True,
            user=self.libvirtd.account,
        )
        eventually(self._answers, ANSWER_SECONDS, lambda: (self.folder / "sshd.log").read_text())

    def _answers(self) -> bool:
        assert self._sshd is not None and self._sshd.poll() is None, (self.folder / "sshd.log").read_text()
        target = f"{self._account}@127.0.0.1"
        command = [str(self.folder / "ssh"), "-i", str(self.folder / "mine"), "-p", str(self.port), target, "true"]
        return subprocess.run(command, capture_output=True, timeout=ANSWER_SECONDS).returncode == 0

    def silence(self) -> None:
        """Nothing comes through any more, and nothing ends either: the network is gone."""
        self._signal(signal.SIGSTOP)

    def let_through(self) -> None:
        self._signal(signal.SIGCONT)

    def cut(self) -> None:
        """Every connection ends, and none is taken any more: the host is down."""
        self._signal(signal.SIGKILL)
        if self._sshd is not None:
            self._sshd.wait()
        self._sshd = None

    def _signal(self, number: signal.Signals) -> None:
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def processes(self) -> list[psutil.Process]:
        """sshd, and what serves its connections, not what those run."""
        if self._sshd is None:
            return []
        first = psutil.Process(self._sshd.pid)
        return [first, *(each for each in first.children(recursive=True) if each.name().startswith("sshd"))]

    def viewers(self) -> int:
        """How many connections carry a socket of the host."""
        found = 0
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                words = process.cmdline()
                found += "-N" in words and str(self.port) in words and process.name() == "ssh"
        return found

    def stop(self) -> None:
        self.let_through()
        self.cut()
        shutil.rmtree(self.folder, ignore_errors=True)

    def host(self, **limits: float) -> Host:
        return Host(self.name, self.uri, self.libvirtd.pool, limits_of(**limits), self.libvirtd.account)


@contextlib.contextmanager
def remote_host(libvirtd: PrivateLibvirt, name: str = "far") -> Iterator[RemoteHost]:
    host = RemoteHost(libvirtd, name)
    try:
        host.start()
        yield host
    finally:
        host.stop()
