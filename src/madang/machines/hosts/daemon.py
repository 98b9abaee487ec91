"""libvirt's daemon for one account, where no system one runs: its own sockets, definitions and logs, in our folders.

It is nobody's child: portals come and go, machines and their daemon stay. It ends by itself when no machine runs and
nobody is connected. As root it would be the machine's own libvirt, so a root portal runs it as another account.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from madang.compute import processes
from madang.kernel import commands
from madang.kernel.errors import SiteError
from madang.machines.hosts import files
from madang.machines.hosts.binding import libvirt
from madang.machines.hosts.connection import run_event_loop

PROGRAM = "libvirtd"
# A Unix socket's path has at most 107 bytes, and the longest that libvirt makes in here (the guest agent's) takes 85.
MOST_RUNTIME_BYTES = 22
_LOOK_SECONDS = 0.05
_IDLE_SECONDS = 120
_SBIN = "/usr/sbin:/usr/bin:/sbin:/bin"
# uvloop leaves copies of a program's own pipes open in it: a daemon that keeps them is waited for until it ends.
_CLOSED = ("python3", "-c", "import os, sys; os.closerange(3, 4096); os.execvp(sys.argv[1], sys.argv[1:])")


class Daemon:
    """One libvirtd. `state` holds what must outlive a restart of the machine; `runtime` its sockets."""

    def __init__(self, state: Path, runtime: Path, account: str | None = None) -> None:
        """`runtime` is short (MOST_RUNTIME_BYTES), and may be gone after a restart of the machine."""
        self.state = state
        self.runtime = runtime
        self.account = account
        self._pid_file = runtime / "libvirtd.pid"

    @property
    def uri(self) -> str:
        return f"qemu+unix:///session?socket={self.runtime}/libvirt/libvirt-sock"

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        try:
            process = processes.look(int(self._pid_file.read_text()))
        except (OSError, ValueError):
            return None
        return process.pid if process is not None and process.running and process.name == PROGRAM else None

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": _SBIN,
            "HOME": str(self.state),
            "XDG_RUNTIME_DIR": str(self.runtime),
            # By way of the short folder: libvirt puts sockets among its configuration as well.
            "XDG_CONFIG_HOME": str(self.runtime / "c"),
            "XDG_CACHE_HOME": str(self.state / "cache"),
            "XDG_DATA_HOME": str(self.state / "data"),
        }

    async def start(self, seconds: float = 30.0) -> None:
        """Returns once it answers; at once when it does already. Raises SiteError (libvirt_missing, libvirt_failed)."""
        if await self._answers(seconds):
            return
        if shutil.which(PROGRAM, path=_SBIN) is None:
            raise SiteError(
                "There is no libvirtd on this machine.",
                code="libvirt_missing",
                title="Machines need libvirt",
                hint="An operator runs: scripts/setup packages machines",
            )
        if os.geteuid() == 0 and self.account in (None, "root"):
            raise SiteError(
                "As root, libvirtd would be the libvirt of the whole machine.",
                code="libvirt_failed",
                hint="Start that one (systemctl start libvirtd), or name an account to run one for Madang alone.",
            )
        await asyncio.to_thread(self._prepare)
        await self._check_access(seconds)
        # One that hangs would go on with sockets that nobody can find any more.
        await asyncio.to_thread(self.end, signal.SIGKILL)
        arguments = [*_CLOSED, PROGRAM, "-d", "--timeout", str(_IDLE_SECONDS), "-p", str(self._pid_file)]
        await commands.run(arguments, timeout=seconds, environment=self.environment, account=self.account)
        deadline = time.monotonic() + seconds
        while not await self._answers(seconds):
            if time.monotonic() > deadline:
                raise SiteError(
                    f"libvirtd was started and does not answer within {seconds:g} s.",
                    code="libvirt_failed",
                    hint=f"See {self.state}/cache/libvirt and the system's log.",
                )
            await asyncio.sleep(_LOOK_SECONDS)

    async def _answers(self, seconds: float) -> bool:
        try:
            return await asyncio.wait_for(asyncio.to_thread(_can_open, self.uri), seconds)
        except TimeoutError:
            return False  # it hangs; its thread is free again once it is ended

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 5.0) -> None:
        """Ends the daemon, not its machines. Silent when it does not run."""
        pid = self.pid
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while self.pid == pid and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)

    async def _check_access(self, seconds: float) -> None:
        """Whoever it runs as must reach its folders by way of ours."""
        for folder in (self.state / "config", self.runtime):
            order = ("test", "-w", str(folder), "-a", "-x", str(folder))
            done = await commands.run(order, timeout=seconds, account=self.account, accept=(0, 1))
            if done.status:
                raise SiteError(
                    f"The account {self.account} of libvirt cannot use the folder {folder}.",
                    code="wrong_folder",
                    hint="Every folder above it must let that account pass (chmod o+x), or choose another folder.",
                )

    def _prepare(self) -> None:
        if len(os.fsencode(self.runtime)) > MOST_RUNTIME_BYTES:
            raise SiteError(
                f"The folder {self.runtime} is too long for libvirt's sockets.",
                code="libvirt_failed",
                hint=f"Choose one of at most {MOST_RUNTIME_BYTES} bytes.",
            )
        for folder in (self.state, self.runtime, self.state / "config", self.state / "cache", self.state / "data"):
            files.make_folder(folder, self.account, strict=True)
        alias = self.runtime / "c"
        if not alias.is_symlink() or alias.readlink() != self.state / "config":
            alias.unlink(missing_ok=True)
            alias.symlink_to(self.state / "config")


def _can_open(uri: str) -> bool:
    run_event_loop()
    try:
        connection: Any = libvirt.open(uri)
    except libvirt.libvirtError:
        return False
    connection.close()
    return True
