"""What must be there before anything is started; runs as the account."""

from __future__ import annotations

import errno
import os
import stat

from madang.compute.order import AgentOrder
from madang.desktops.agent import failures
from madang.desktops.agent.account import Account
from madang.desktops.agent.failures import SessionFailed

# Program -> Debian package, for what a desktop cannot do without.
PROGRAMS = {
    "Xvnc": "tigervnc-standalone-server",
    "xkbcomp": "x11-xkb-utils",
    "dbus-daemon": "dbus-daemon",
    "xfce4-session": "xfce4-session",
    "xfwm4": "xfwm4",
    "xfce4-panel": "xfce4-panel",
    "xfdesktop": "xfdesktop4",
    "xfsettingsd": "xfce4-settings",
}
# Shown in the hint beside what is missing: no desktop without a terminal and without keyboard descriptions.
COMPANIONS = ("xkb-data", "xfconf", "dbus-x11", "xfce4-terminal")
_PROBE_BYTES = 64 * 1024


def check(order: AgentOrder, account: Account) -> None:
    """Raises SessionFailed with the first thing that is wrong."""
    check_programs()
    check_space(order.folder, order.minimum_free_bytes, "Ask an operator to free space there.")
    check_home(account.home, order.minimum_free_bytes)


def find(program: str) -> str | None:
    """Where a program is, by PATH."""
    for folder in os.get_exec_path():
        path = os.path.join(folder, program)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return None


def path_of(program: str) -> str:
    """Where a program is that check_programs() found."""
    return find(program) or program


def check_programs() -> None:
    missing = [program for program in PROGRAMS if find(program) is None]
    if missing:
        packages = sorted({PROGRAMS[program] for program in missing}) + list(COMPANIONS)
        raise SessionFailed(failures.package_missing(missing, packages))


def check_home(home: str, minimum_free_bytes: int) -> None:
    """The home folder is there, can be written to, and has room."""
    try:
        if not stat.S_ISDIR(os.stat(home).st_mode):
            raise SessionFailed(failures.home_missing(home, "is not a folder"))
    except OSError as error:
        raise SessionFailed(failures.home_missing(home, error.strerror or "")) from error
    hint = "Delete files you no longer need, or ask an operator for more space."
    check_space(home, minimum_free_bytes, hint)
    try:
        _probe(home)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SessionFailed(failures.disk_full(home, error.strerror or "", hint)) from error
        raise SessionFailed(failures.home_not_writable(home, error.strerror or "")) from error


def check_space(folder: str, minimum_free_bytes: int, hint: str) -> None:
    try:
        found = os.statvfs(folder)
    except OSError as error:
        raise SessionFailed(failures.of_error(folder, error)) from error
    free = found.f_bavail * found.f_frsize
    if free < minimum_free_bytes:
        reason = f"{free // 1024 // 1024} MB free, {minimum_free_bytes // 1024 // 1024} MB needed"
        raise SessionFailed(failures.disk_full(folder, reason, hint))
    # Some file systems (btrfs) count no inodes at all: files and free are then both 0.
    if found.f_files and not found.f_favail:
        raise SessionFailed(failures.disk_full(folder, "no inodes left", hint))


def _probe(home: str) -> None:
    """Writes a small file and takes it away again: quotas and read-only mounts show nowhere else."""
    path = os.path.join(home, f".madang-probe-{os.getpid()}")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        left = _PROBE_BYTES
        while left > 0:
            left -= os.write(descriptor, bytes(left))
    finally:
        os.close(descriptor)
        os.unlink(path)
