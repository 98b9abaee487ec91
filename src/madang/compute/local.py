"""The launcher for this machine: agents are processes beside the portal, and outlive it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import pwd
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from madang.compute import processes, remains
from madang.compute.launcher import LaunchFailed
from madang.compute.order import AgentOrder, Failure
from madang.compute.sight import Placement, Seen

_SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
# A Unix socket's path holds 107 bytes; the longest in a session's folder is run/dbus/... of foreign programs.
_LONGEST_FOLDER = 80
_LONGEST_ROOT = _LONGEST_FOLDER - len("/") - 12  # a session's id has 12 characters


class LocalLauncher:
    """Implements Launcher. Session folders live in folder_root, logs in log_folder, both made by prepare().

    on_exit(session) is called in the event loop once the agent's first process is gone, whatever ended it.
    """

    name = "local"
    queues = False

    def __init__(
        self,
        *,
        folder_root: Path,
        log_folder: Path,
        agent_module: str,
        on_exit: Callable[[str], None] | None = None,
        path: str | None = None,
        grace_seconds: float = 2.0,
    ) -> None:
        self.folder_root = folder_root
        self.log_folder = log_folder
        self.on_exit = on_exit
        self.node = socket.gethostname()
        self._module = agent_module
        self._path = path
        self._grace_seconds = grace_seconds
        self._watched: dict[str, tuple[int, subprocess.Popen[bytes] | None]] = {}

    async def prepare(self) -> None:
        await asyncio.to_thread(self._prepare)

    def folder(self, session: str) -> Path:
        return self.folder_root / _checked(session)

    def log_file(self, session: str) -> Path:
        return self.log_folder / f"{_checked(session)}.log"

    async def start(self, order: AgentOrder, name: str) -> Placement:
        child = await asyncio.to_thread(self._start, order)
        process = processes.look(child.pid)
        self._watch(order.session, child.pid, child)
        return Placement(self.node, child.pid, process.started if process else 0)

    async def refresh(self) -> None:
        """Nothing to do: a process is looked at for itself."""

    async def look(self, session: str, placement: Placement | None) -> Seen:
        return Seen(alive=None if placement is None else self._alive(placement))

    async def extend(self, session: str, placement: Placement, ends_at: float) -> float:
        return ends_at  # the agent itself keeps the time

    async def adopt(self, session: str, placement: Placement) -> bool:
        if not self._alive(placement):
            return False
        assert placement.pid is not None
        return session in self._watched or self._watch(session, placement.pid, None)

    async def sweep(
        self, session: str, account: str | None, folder: Path, display: int | None, placement: Placement | None
    ) -> bool:
        _checked(session)
        if folder.parent != self.folder_root or folder.name != session:
            raise ValueError(f"{folder} is not the folder of session {session}")
        return await asyncio.to_thread(self._sweep, session, account, folder, display)

    def close(self) -> None:
        """Stops watching; the agents go on."""
        for handle, _child in self._watched.values():
            asyncio.get_running_loop().remove_reader(handle)
            os.close(handle)
        self._watched.clear()

    # The rest blocks and runs in threads.

    def _prepare(self) -> None:
        try:
            self.log_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder_root.mkdir(mode=0o711, parents=True, exist_ok=True)
            if os.geteuid() == 0:
                # Whoever makes these two first owns them, and could then replace the sockets of all others.
                for shared in (remains.X_SOCKETS, remains.ICE_SOCKETS):
                    _make_shared(shared)
                remains.clear_session_managers(None, set())
        except OSError as error:
            raise LaunchFailed(_folder_failure(self.folder_root, error)) from error
        found = os.stat(self.folder_root)
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise LaunchFailed(
                Failure(
                    "folder_root_unsafe",
                    "The folder for sessions is not safe.",
                    f"{self.folder_root} belongs to uid {found.st_uid} and has mode {stat.S_IMODE(found.st_mode):o}.",
                    f"chown {os.geteuid()} {self.folder_root} && chmod 0711 {self.folder_root}",
                )
            )
        if len(os.fsencode(self.folder_root)) > _LONGEST_ROOT:
            raise LaunchFailed(
                Failure(
                    "folder_root_long",
                    "The path of the folder for sessions is too long for sockets in it.",
                    f"{self.folder_root} may have {_LONGEST_ROOT} bytes.",
                    "Choose a shorter folder in madang.toml.",
                )
            )

    def _start(self, order: AgentOrder) -> subprocess.Popen[bytes]:
        folder = self.folder(order.session)
        if Path(order.folder) != folder:
            raise ValueError(f"{order.folder} is not the folder of session {order.session}")
        uid, gid = _ids(order.account)
        made = False
        try:
            folder.mkdir(mode=0o700)
            made = True
            os.chown(folder, uid, gid, follow_symlinks=False)
            return self._spawn(order)
        except OSError as error:
            if made:
                remains.remove_folder(folder)
            raise LaunchFailed(_folder_failure(folder, error)) from error

    def _spawn(self, order: AgentOrder) -> subprocess.Popen[bytes]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        log = os.open(self.log_file(order.session), flags, 0o600)
        # The agent unblocks these once it can answer them; until then Python would just die of them.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
        try:
            child = subprocess.Popen(
                # The marker is also an argument: the agent's own environment may not be readable for whoever sweeps.
                [sys.executable, "-P", "-s", "-m", self._module, remains.marker(order.session)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd="/",
                env=self._environment(),
                start_new_session=True,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(log)
        assert child.stdin is not None
        try:
            child.stdin.write(msgspec.json.encode(order))
            child.stdin.close()
        except OSError:
            child.kill()
            child.wait()
            raise
        return child

    def _environment(self) -> dict[str, str]:
        path = self._path or os.environ.get("PATH") or os.defpath
        return {"PATH": path, "LANG": os.environ.get("LANG") or "C.UTF-8"}

    def _sweep(self, session: str, account: str | None, folder: Path, display: int | None) -> bool:
        uid = _owner_of(folder)
        if uid is None:
            with contextlib.suppress(LaunchFailed):
                uid = _ids(account)[0]
        if uid is None:
            # Neither folder nor account: nothing to find processes by.
            return True
        return remains.sweep(session, uid, folder, display, self._grace_seconds)

    def _alive(self, placement: Placement) -> bool | None:
        if placement.node != self.node or placement.pid is None:
            return None
        process = processes.look(placement.pid)
        return process is not None and process.started == placement.pid_started and process.running

    def _watch(self, session: str, pid: int, child: subprocess.Popen[bytes] | None) -> bool:
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            asyncio.get_running_loop().call_soon(self._exited, session)
            return False
        self._watched[session] = (handle, child)
        asyncio.get_running_loop().add_reader(handle, self._exited, session)
        return True

    def _exited(self, session: str) -> None:
        handle, child = self._watched.pop(session, (-1, None))
        if handle >= 0:
            asyncio.get_running_loop().remove_reader(handle)
            os.close(handle)
        if child is not None:
            child.wait()
        if self.on_exit is not None:
            self.on_exit(session)


def _checked(session: str) -> str:
    if not _SESSION.fullmatch(session):
        raise ValueError(f"not a session id: {session!r}")
    return session


def _ids(account: str | None) -> tuple[int, int]:
    if account is None:
        return os.geteuid(), os.getegid()
    try:
        entry = pwd.getpwnam(account)
    except KeyError as error:
        raise LaunchFailed(
            Failure(
                "account_gone",
                "The Unix account is gone.",
                f"There is no account {account} on {socket.gethostname()}.",
                "Ask an administrator to restore it, or to give you another one.",
            )
        ) from error
    return entry.pw_uid, entry.pw_gid


def _owner_of(folder: Path) -> int | None:
    try:
        return os.lstat(folder).st_uid
    except OSError:
        return None


def _make_shared(folder: Path) -> None:
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o1777)
        folder.chmod(0o1777)


def _folder_failure(folder: Path, error: OSError) -> Failure:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failure(
            "disk_full",
            "The disk for sessions is full.",
            f"{folder}: {error.strerror}",
            "An operator must free space there.",
        )
    return Failure(
        "launch_failed",
        "The session could not be started.",
        f"{error.filename or folder}: {error.strerror}",
        "The portal's log and madang doctor say more.",
    )
