"""A file that appears whole under its name, or not at all. Everything here blocks."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets

_MODE = 0o666  # less what the umask takes
_MOST_NAMES = 1000
# What file systems say that have no files without a name.
_NO_NAMELESS = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)


class NewFile:
    """Begins in `folder`; `finish` gives the name it got, `close` removes what was not finished.

    needed_bytes have to be free. Raises OSError, as all here.
    """

    def __init__(self, folder: str, name: str, needed_bytes: int) -> None:
        self._name = name
        self._part = ""
        self._file = -1
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            about = os.fstatvfs(self._folder)
            if about.f_blocks and about.f_bavail * about.f_frsize < needed_bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), folder)
            self._file = self._begin()
        except BaseException:
            os.close(self._folder)
            raise

    def write(self, data: memoryview) -> None:
        while data:
            data = data[os.write(self._file, data) :]

    def finish(self) -> str:
        """On the disk and under its name, or another when that is taken: nothing is ever written over."""
        os.fsync(self._file)
        stem, ending = os.path.splitext(self._name)
        for number in range(1, _MOST_NAMES):
            name = self._name if number == 1 else _shortened(stem, f" ({number}){ending}")
            try:
                self._link(name)
            except FileExistsError:
                continue
            with contextlib.suppress(OSError):  # not every file system can
                os.fsync(self._folder)
            return name
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self._name)

    def close(self) -> None:
        """May be repeated."""
        if self._part:
            with contextlib.suppress(OSError):
                os.unlink(self._part, dir_fd=self._folder)
            self._part = ""
        for handle in (self._file, self._folder):
            if handle >= 0:
                # Network file systems may say only now that the disk was full; `finish` has synced before.
                with contextlib.suppress(OSError):
                    os.close(handle)
        self._file = self._folder = -1

    def _begin(self) -> int:
        """Without a name where that can be: then nothing is left, whatever kills us. Else a hidden one."""
        try:
            return os.open(".", os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, _MODE, dir_fd=self._folder)
        except OSError as error:
            if error.errno not in _NO_NAMELESS:
                raise
        part = f".madang-{secrets.token_hex(8)}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(part, flags, _MODE, dir_fd=self._folder)
        self._part = part
        return file

    def _link(self, name: str) -> None:
        """Raises FileExistsError when the name is taken."""
        if not self._part:
            os.link(f"/proc/self/fd/{self._file}", name, dst_dir_fd=self._folder, follow_symlinks=True)
            return
        try:
            os.link(self._part, name, src_dir_fd=self._folder, dst_dir_fd=self._folder, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:
            # A file system without links: an empty file takes the name, and ours its place.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(name, flags, _MODE, dir_fd=self._folder))
            os.rename(self._part, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            self._part = ""


def _shortened(stem: str, ending: str) -> str:
    """Both together, with as much of the stem as a name may have bytes."""
    room = 255 - len(ending.encode())
    return stem.encode()[: max(0, room)].decode("utf-8", "ignore") + ending
