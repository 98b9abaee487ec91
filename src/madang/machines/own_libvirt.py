"""A libvirt of our own, for a machine on which no system one runs: its account, its folders, its daemon."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import pwd
import shutil
from pathlib import Path

from madang.kernel import commands
from madang.kernel.errors import CommandFailed, SiteError
from madang.kernel.settings import as_root
from madang.machines.hosts.daemon import MOST_RUNTIME_BYTES, Daemon

# As root it runs as an account of its own: root's libvirtd would be the whole machine's.
ACCOUNT = "madang-machines"
USERADD_SECONDS = 30.0


class OwnLibvirt:
    """Started when somebody needs machines; `problem` says why it does not run."""

    def __init__(self, pool_folder: Path, state_folder: Path, account: str | None) -> None:
        """`account` counts as root only; None: ACCOUNT, which is made when it is not there."""
        self.account = (account or ACCOUNT) if as_root() else None
        self.problem = ""
        self._makes_account = account is None
        self._pool_folder = pool_folder
        # As root the state folder is closed to every account, so what this one keeps is among its disks.
        home = pool_folder / ".libvirt" if as_root() else state_folder / "libvirt"
        self._daemon = Daemon(home, runtime_folder(state_folder), self.account)

    @property
    def uri(self) -> str:
        return self._daemon.uri

    async def start(self) -> None:
        """Returns once it answers. Raises SiteError, which `problem` says too."""
        try:
            await self._settle_account()
            await asyncio.to_thread(self._make_pool)
            await self._daemon.start()
        except (SiteError, OSError) as error:
            self.problem = str(error)
            raise error if isinstance(error, SiteError) else SiteError(str(error), code="libvirt_failed") from error
        self.problem = ""

    async def _settle_account(self) -> None:
        if self.account is None or await asyncio.to_thread(_exists, self.account):
            return
        if not self._makes_account:
            raise SiteError(
                f"There is no Unix account {self.account} on this machine.",
                code="libvirt_failed",
                hint="Make it, or choose another one in machines.account.",
            )
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", self.account]
        try:
            await commands.run(command, timeout=USERADD_SECONDS)
        except CommandFailed:
            if not await asyncio.to_thread(_exists, self.account):  # another portal may have been faster
                raise
        with contextlib.suppress(CommandFailed):  # where there is no such group, there is no KVM
            await commands.run(["usermod", "--append", "--groups", "kvm", self.account], timeout=USERADD_SECONDS)

    def _make_pool(self) -> None:
        if self._pool_folder.exists():
            return
        self._pool_folder.mkdir(mode=0o711, parents=True)
        if self.account is not None:
            shutil.chown(self._pool_folder, self.account)


def _exists(account: str) -> bool:
    try:
        pwd.getpwnam(account)
    except KeyError:
        return False
    return True


def runtime_folder(state_folder: Path) -> Path:
    """A short folder for sockets, another one for each site on this machine."""
    name = "m" + hashlib.sha256(os.fsencode(state_folder)).hexdigest()[:6]
    own = Path("/run") if as_root() else Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp"))
    chosen = own / name
    return chosen if len(os.fsencode(chosen)) <= MOST_RUNTIME_BYTES and own.is_dir() else Path("/tmp") / name
