"""What is left of a session is ended and removed here: processes, X lock and socket, the folder.

Used by the agent's two processes and by the portal's launcher, each of which can do it alone and again. As root, the
folder belongs to somebody untrusted: no symbolic link in it is followed, no other file system in it is entered.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from madang.compute import processes

# An environment variable that every process of a session carries, and the last argument of its agent's command line
# ("MADANG_SESSION=<id>"): whoever has to end a session finds its processes by it.
MARKER = "MADANG_SESSION"

X_FOLDER = Path("/tmp")
X_SOCKETS = X_FOLDER / ".X11-unix"
ICE_SOCKETS = X_FOLDER / ".ICE-unix"
_LOCK_NAME = re.compile(r"^\.X(\d+)-lock$")
_SOCKET_NAME = re.compile(r"^X(\d+)$")
# A killed server's threads may hold its socket for a moment after the server counts as gone.
_DYING_SECONDS = 0.5
# What XFCE's session manager leaves beside its socket when it is not logged out of.
_ICE_FILE = re.compile(r"^\.xfsm-ICE-\w{6}$")
_ICE_SERVER = re.compile(rb"/\.ICE-unix/(\d+)\b")


def marker(session: str) -> str:
    return f"{MARKER}={session}"


def end_processes(
    session: str,
    uid: int,
    grace_seconds: float,
    *,
    root: int | None = None,
    spare: frozenset[int] = frozenset(),
    after_round: Callable[[], None] = lambda: None,
) -> set[int]:
    """Ends the processes of a session; returns their pids. Blocks up to the grace + 5 s.

    They are found by their marker, and by descent from a marked process or from root (programs may wipe their
    environment); who was found once stays found, though its parents end before it does. The calling process and those
    in spare stay. after_round is for reaping children.
    """
    mine = frozenset({os.getpid()}) | spare
    uids = {uid, os.geteuid()}
    known: set[tuple[int, int]] = set()

    def find() -> processes.Processes:
        all_there_are = processes.snapshot()
        found = processes.marked(marker(session), uids, all_there_are)
        roots = {pid for pid in found if pid not in mine} | ({root} if root is not None else set())
        found |= processes.descendants(roots, all_there_are)
        for pid, process in all_there_are.items():
            if (pid, process.started) in known:
                found[pid] = process
        known.update((pid, process.started) for pid, process in found.items())
        return {pid: process for pid, process in found.items() if pid not in mine}

    return processes.end(find, grace_seconds, after_round=after_round)


def clear_display_files(uid: int, ended: set[int], display: int | None = None) -> None:
    """Removes X locks and sockets of this user whose server is gone or is among the ended processes.

    Looks at one display, or at all of them when it is not known which one the session had.
    """
    numbers = set(_displays()) if display is None else {display}
    for number in sorted(numbers):
        lock = X_FOLDER / f".X{number}-lock"
        server = _server_of(lock)
        if server is not None and server not in ended and _runs(server):
            continue
        if server is not None:
            # While its lock is there, no other server takes the display: the socket goes first.
            _unlink_if_owned(X_SOCKETS / f"X{number}", uid)
            _unlink_if_owned(lock, uid)
        if not lock.exists() or display is not None:
            _clear_socket(X_SOCKETS / f"X{number}", uid, lock, 0.0 if display is None else _DYING_SECONDS)
    clear_session_managers(uid, ended)


def clear_session_managers(uid: int | None, ended: set[int]) -> None:
    """Removes the sockets of session managers that are gone, of this user or (None, as root) of anybody.

    They are named by pid alone: a session manager that is given the pid of one whose socket is left cannot start.
    """
    with contextlib.suppress(OSError):
        for name in os.listdir(ICE_SOCKETS):
            if name.isdigit() and (int(name) in ended or not _runs(int(name))):
                _unlink_if_owned(ICE_SOCKETS / name, uid)
    with contextlib.suppress(OSError):
        for name in filter(_ICE_FILE.match, os.listdir(X_FOLDER)):
            servers = {int(pid) for pid in _ICE_SERVER.findall(_read(X_FOLDER / name))}
            if servers and all(pid in ended or not _runs(pid) for pid in servers):
                _unlink_if_owned(X_FOLDER / name, uid)


def _displays() -> Iterator[int]:
    for folder, pattern in ((X_FOLDER, _LOCK_NAME), (X_SOCKETS, _SOCKET_NAME)):
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                if match := pattern.match(name):
                    yield int(match[1])


def _server_of(lock: Path) -> int | None:
    """The pid in an X lock file; 0 when there is a lock without one, None when there is no lock."""
    if not os.path.lexists(lock):
        return None
    try:
        return int(_read(lock)[:32])
    except ValueError:
        return 0


def _read(path: Path) -> bytes:
    """The beginning of a file in a folder where anybody may have put anything."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _runs(pid: int) -> bool:
    process = processes.look(pid)
    return process is not None and process.running


def _unlink_if_owned(path: Path, uid: int | None) -> None:
    with contextlib.suppress(OSError):
        if uid is None or os.lstat(path).st_uid == uid:
            os.unlink(path)


def _clear_socket(path: Path, uid: int, lock: Path, patience_seconds: float) -> None:
    # An X server takes its lock before it makes its socket: a socket without lock on which nobody listens is dead.
    deadline = time.monotonic() + patience_seconds
    with contextlib.suppress(OSError):
        while not lock.exists() and stat.S_ISSOCK(os.lstat(path).st_mode):
            if not _is_listened_to(path):
                _unlink_if_owned(path, uid)
                return
            if time.monotonic() >= deadline:
                return
            time.sleep(0.02)


def _is_listened_to(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        return probe.connect_ex(str(path)) in (0, errno.EAGAIN)


def remove_folder(folder: Path) -> bool:
    """Removes a session's folder and all in it; True when it is gone. Silent about what may not be removed."""
    _unmount_below(folder)
    clear_folder(folder)
    with contextlib.suppress(OSError):
        os.rmdir(folder)
    return not os.path.lexists(folder)


def clear_folder(folder: Path) -> None:
    """Removes all in a folder, but not the folder, through directory handles, never by path.

    Works breadth first and lifts nested folders up to the top before it empties them, so that no depth of nesting
    exhausts handles or the stack.
    """
    try:
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        device = os.fstat(top).st_dev
        stuck: set[str] = set()
        lifted = 0
        while True:
            names = [name for name in os.listdir(top) if name not in stuck]
            if not names:
                return
            for name in names:
                lifted = _clear_entry(top, name, device, lifted)
                with contextlib.suppress(FileNotFoundError):
                    os.lstat(name, dir_fd=top)
                    stuck.add(name)
    except OSError:
        return
    finally:
        os.close(top)


def _clear_entry(top: int, name: str, device: int, lifted: int) -> int:
    """Removes one entry of top; folders in it are moved up into top first. Returns how many were lifted so far."""
    with contextlib.suppress(OSError):
        if not stat.S_ISDIR(os.lstat(name, dir_fd=top).st_mode):
            os.unlink(name, dir_fd=top)
            return lifted
        _make_enterable(name, top)
        here = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
        try:
            if os.fstat(here).st_dev != device:
                return lifted
            for child in os.listdir(here):
                with contextlib.suppress(OSError):
                    if stat.S_ISDIR(os.lstat(child, dir_fd=here).st_mode):
                        lifted += 1
                        _make_enterable(child, here)
                        os.rename(child, f".madang-{os.getpid()}-{lifted}", src_dir_fd=here, dst_dir_fd=top)
                    else:
                        os.unlink(child, dir_fd=here)
        finally:
            os.close(here)
        os.rmdir(name, dir_fd=top)
    return lifted


def _make_enterable(name: str, parent: int) -> None:
    """Gives the owner all rights on a folder, which emptying and moving it needs; never through a symbolic link."""
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        with contextlib.suppress(OSError):
            os.chmod(f"/proc/self/fd/{handle}", 0o700)
    finally:
        os.close(handle)


def _unmount_below(folder: Path) -> None:
    """Lets go of FUSE mounts (gvfs, document portal) whose server was killed: they would keep the folder busy."""
    points: list[str] = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines():
            point = line.split()[4].replace("\\040", " ")
            if point.startswith(f"{folder}/"):
                points.append(point)
    for point in reversed(points):
        command = ["umount", "-l", "--no-canonicalize", point] if os.geteuid() == 0 else ["fusermount", "-uz", point]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(command, capture_output=True, timeout=5, check=False, stdin=subprocess.DEVNULL)


def sweep(session: str, uid: int, folder: Path, display: int | None, grace_seconds: float) -> bool:
    """Ends whatever is left of a session and removes its files; True when the folder is gone. Repeatable."""
    ended = end_processes(session, uid, grace_seconds)
    clear_display_files(uid, ended, display)
    return remove_folder(folder)
