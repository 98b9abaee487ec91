"""The session's folder, made by the agent itself where no launcher can: on a node without a shared file system.

Uses nothing but the standard library: the keeper runs it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import time
from pathlib import Path

from madang.compute import processes, remains
from madang.desktops.agent.account import Account

# An agent that is just starting listens nowhere yet.
_YOUNG_SECONDS = 120.0


class FolderRefused(Exception):
    """The folder is not, and cannot become, the account's own; says why."""


def make(folder: str, session: str, account: Account, grace_seconds: float) -> None:
    """Makes it with mode 0700; empties one that an earlier run of this session left. Raises FolderRefused.

    It lies in a folder like /tmp, where anybody may have put anything under its name first.
    """
    try:
        os.mkdir(folder, 0o700)
        if os.geteuid() != account.uid:
            os.chown(folder, account.uid, account.gid, follow_symlinks=False)
        return
    except FileExistsError:
        pass
    except OSError as error:
        raise FolderRefused(f"{folder}: {error.strerror}") from error
    _take_over(folder, account)
    # A scheduler may start a session anew where its last agent was killed with all its children left.
    remains.end_processes(session, account.uid, grace_seconds, spare=ancestors(os.getpid()))
    remains.clear_folder(Path(folder))


def clear_remains(folder: str, session: str, account: Account) -> None:
    """Removes what earlier sessions of this account left on the node: nobody else does where no portal sees it.

    Folders named like this one, and display files whose server is gone: they would keep displays from everybody.
    """
    remains.clear_display_files(account.uid, set())
    parent, name = os.path.split(folder)
    prefix, found, _ = name.partition(session)  # what follows is a suffix that nobody can guess, after a hyphen
    if not prefix or not found:
        return
    with contextlib.suppress(OSError):
        for other in os.listdir(parent):
            path = os.path.join(parent, other)
            its_session = other.removeprefix(prefix).partition("-")[0]
            if other != name and other.startswith(prefix) and _is_left(path, its_session, account.uid):
                remains.remove_folder(Path(path))


def _is_left(path: str, session: str, uid: int) -> bool:
    """A folder of ours that nobody uses any more: no process of its session, and nobody listens in it."""
    try:
        about = os.lstat(path)
    except OSError:
        return False
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != uid or time.time() - about.st_mtime < _YOUNG_SECONDS:
        return False
    if processes.marked(remains.marker(session), {uid}, processes.snapshot()):
        return False
    # A job in a container of its own may not show its processes: its sockets do.
    return not any(_answers(os.path.join(path, name)) for name in ("door.sock", "rfb.sock"))


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) in (0, errno.EAGAIN)


def _take_over(folder: str, account: Account) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise FolderRefused(f"{folder} is there already and is no folder of ours ({error.strerror}).") from error
    try:
        found = os.fstat(handle)
        if found.st_uid != account.uid:
            raise FolderRefused(f"{folder} is there already and belongs to uid {found.st_uid}.")
        if stat.S_IMODE(found.st_mode) != 0o700:
            os.fchmod(handle, 0o700)
    finally:
        os.close(handle)


def ancestors(pid: int) -> frozenset[int]:
    """The processes that started this one: a scheduler's may carry the session's mark on their command line."""
    found: set[int] = set()
    while (process := processes.look(pid)) and process.parent > 1 and process.parent not in found:
        pid = process.parent
        found.add(pid)
    return frozenset(found)
