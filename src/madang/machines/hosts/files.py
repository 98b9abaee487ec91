"""Files that machines need, looked at before anything is changed."""

from __future__ import annotations

import glob
import os
import pwd
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from madang.kernel.errors import SiteError
from madang.machines.hosts import failures
from madang.machines.hosts.shapes import Drive


def check_iso(path: str) -> None:
    """Raises InvalidInput (iso_missing) where it cannot be read as a file."""
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            raise failures.iso_missing(path, "it is no file")
        if status.st_size == 0:
            raise failures.iso_missing(path, "it is empty")
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise failures.iso_missing(path, (error.strerror or "it cannot be read").lower()) from error


def check_drives(drives: Iterable[Drive]) -> None:
    """All that a start needs. Raises NotFound (disk_missing), InvalidInput (iso_missing)."""
    for drive in drives:
        if drive.path is None:
            continue
        if drive.kind == "cdrom":
            check_iso(drive.path)
        elif not os.path.lexists(drive.path):
            raise failures.disk_missing(drive.path)


def remove(path: str) -> None:
    """With what somebody who was killed had begun to make of it. Silent when it is gone already."""
    Path(path).unlink(missing_ok=True)
    remove_parts(path)


def remove_parts(path: str) -> None:
    """What somebody who was killed had begun to make of it."""
    for part in Path(path).parent.glob(f"{glob.escape(Path(path).name)}.*.part"):
        part.unlink(missing_ok=True)


def real_size(path: str) -> int | None:
    """What it takes of its file system; None where it cannot be seen."""
    try:
        return Path(path).stat().st_blocks * 512
    except OSError:
        return None


def put(moves: Sequence[tuple[str, str]]) -> None:
    """Each new file in the place of the old one after it; one that is gone was put there before. Raises SiteError."""
    for new, old in moves:
        try:
            Path(new).replace(old)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SiteError(f"{old} cannot be replaced: {error.strerror}.", code="disk_not_made") from error


def make_folder(folder: Path, account: str | None, strict: bool = False) -> None:
    """A folder of this account's (None: ours) that nobody else reads; one that is there stays as it is. Raises
    SiteError, `strict`: also where it is somebody else's.

    Root's own are for the system's libvirt, whose machines run as yet another account: it may pass.
    """
    passable = account is None and os.geteuid() == 0 and not strict
    try:
        made = not folder.exists()
        folder.mkdir(mode=0o711 if passable else 0o700, parents=True, exist_ok=True)
        owner = os.geteuid() if account is None else pwd.getpwnam(account).pw_uid
        if made and account is not None:
            os.chown(folder, owner, pwd.getpwnam(account).pw_gid)
        found = folder.lstat()
    except (OSError, KeyError) as error:
        raise SiteError(f"The folder {folder} cannot be made: {error}.", code="wrong_folder") from error
    if strict and (not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077):
        raise SiteError(
            f"The folder {folder} belongs to somebody else, or others may look into it.",
            code="wrong_folder",
            hint="Remove it, or choose another one.",
        )
