"""Files of the person, listed, sent and received: the verbs files.list, files.get and files.put.

The worker is the account, so the kernel says what may be done. Folders may lie on file systems that do not answer:
everything that touches one runs in threads of its own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

from madang.desktops.agent.guest import Guest, Refusal
from madang.desktops.agent.new_file import NewFile

T = TypeVar("T")
_PART_BYTES = 256 * 1024
_THREADS = 4
_MOST_ENTRIES = 2000
_STALL_SECONDS = 60.0
# How long a guest that still sends is listened to after a no, so that the no is not lost on the way.
_DRAIN_SECONDS = 5.0
_LARGEST = 2**53
_LONGEST_PATH = 4095

_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}


class Files:
    def __init__(self, home: str, largest_upload_bytes: int, spare_bytes: int) -> None:
        """spare_bytes: what an upload leaves free on its disk."""
        self._home = home
        self._largest = largest_upload_bytes
        self._spare = spare_bytes
        self._threads = concurrent.futures.ThreadPoolExecutor(_THREADS, "files")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def list(self, guest: Guest) -> None:
        path = await self._path(guest.text("path", ""))
        with _plain_words(path):
            entries, truncated = await self._in_thread(lambda: _entries(path))
        await guest.say(folder=path, entries=entries, truncated=truncated)

    async def get(self, guest: Guest) -> None:
        path = await self._path(guest.text("path"))
        with _plain_words(path):
            descriptor, size = await self._in_thread(lambda: _open(path))
        try:
            await guest.say(name=os.path.basename(path), size=size)
            room = memoryview(bytearray(min(_PART_BYTES, size)))
            left = size
            while left:
                count = await self._in_thread(partial(os.readv, descriptor, [room[:left]]))
                if not count:
                    return  # it has become shorter: closing early says so
                async with asyncio.timeout(_STALL_SECONDS):
                    await guest.wire.send_all(room[:count])
                left -= count
        finally:
            os.close(descriptor)

    async def put(self, guest: Guest) -> None:
        folder = await self._path(guest.text("folder", ""))
        name = _checked_name(guest.text("name"))
        size = guest.number("size", 0, _LARGEST)
        if not self._largest:
            raise Refusal("uploads_off", "This site takes no files.")
        if size > self._largest:
            raise Refusal("too_large", "The file is too large.", f"{size} bytes are more than {self._largest}.")
        with _plain_words(folder):
            file = await self._in_thread(lambda: NewFile(folder, name, size + self._spare))
        try:
            await guest.say()
            try:
                with _plain_words(folder):
                    await self._receive(guest, file, size)
                    found = await self._in_thread(file.finish)
            except Refusal as refusal:
                await guest.refuse(refusal)
                await _drain(guest)
                return
            await guest.say(path=os.path.join(folder, found), name=found, size=size)
        finally:
            await asyncio.shield(self._in_thread(file.close))

    async def _receive(self, guest: Guest, file: NewFile, size: int) -> None:
        room = memoryview(bytearray(min(_PART_BYTES, size)))
        left = size
        while left:
            filled = 0
            while filled < min(left, len(room)):
                try:
                    async with asyncio.timeout(_STALL_SECONDS):
                        count = await guest.wire.receive_into(room[filled : min(left, len(room))])
                except OSError as error:
                    raise ConnectionError from error
                if not count:
                    raise ConnectionError("cut off")
                filled += count
            await self._in_thread(partial(file.write, room[:filled]))
            left -= filled

    async def _path(self, path: str) -> str:
        """Absolute; "" is where uploads go by themselves."""
        if "\0" in path or len(os.fsencode(path)) > _LONGEST_PATH:
            raise Refusal("path_invalid", "This path cannot be used.")
        if path:
            return os.path.normpath(os.path.join(self._home, path))
        desktop = os.path.join(self._home, "Desktop")
        return desktop if await self._in_thread(lambda: os.path.isdir(desktop)) else self._home

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """A cancelled guest too is only gone once its thread is: it may be using the guest's descriptors."""
        doing = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            await asyncio.wait((doing,))
            raise


def _entries(folder: str) -> tuple[list[dict[str, Any]], bool]:
    """The entries by name, folders first; and whether there are more of them than are told."""
    found: list[dict[str, Any]] = []
    truncated = False
    with os.scandir(folder) as entries:
        for entry in entries:
            if len(found) == _MOST_ENTRIES:
                truncated = True
                break
            with contextlib.suppress(FileNotFoundError):
                about = entry.stat(follow_symlinks=False)
                kind = _KINDS.get(stat.S_IFMT(about.st_mode), "other")
                # A name that is no UTF-8 can be shown, but not asked for.
                name = os.fsencode(entry.name).decode("utf-8", "replace")
                kind = kind if name == entry.name else "other"
                found.append({"name": name, "kind": kind, "size": about.st_size, "modified": about.st_mtime})
    return sorted(found, key=lambda entry: (entry["kind"] != "folder", entry["name"].casefold())), truncated


def _open(path: str) -> tuple[int, int]:
    """A descriptor of a regular file and its size. Does not wait at what is none (a FIFO, a device)."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise Refusal("not_a_file", "Only files can be downloaded.", f"{path} is none.")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        os.close(descriptor)
        raise Refusal("not_a_file", "Only files can be downloaded.", f"{path} is none.")
    return descriptor, about.st_size


def _checked_name(name: str) -> str:
    if not name or name in (".", "..") or "/" in name or not name.isprintable() or len(name.encode()) > 255:
        detail = "A name has at most 255 bytes, no slash and nothing that cannot be seen."
        raise Refusal("name_invalid", "This name cannot be used.", detail)
    return name


@contextlib.contextmanager
def _plain_words(path: str) -> Iterator[None]:
    """What the file system says, in words for whoever asked."""
    try:
        yield
    except (ConnectionError, TimeoutError):
        raise
    except OSError as error:
        code, title, hint = _WORDS.get(error.errno or 0, ("file_failed", "This did not work.", ""))
        raise Refusal(code, title, f"{error.filename or path}: {error.strerror}", hint) from error


_FULL = ("disk_full", "The disk is full.", "Delete files you no longer need, or ask an operator for more space.")
_DENIED = ("file_denied", "Your account may not do this.", "")
_WORDS = {
    errno.ENOENT: ("file_not_found", "It is not there.", "It may have been moved or deleted."),
    errno.ENOTDIR: ("not_a_folder", "This is not a folder.", ""),
    errno.EISDIR: ("not_a_file", "This is a folder.", ""),
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: ("file_denied", "Nothing can be changed there.", "It is mounted for reading only."),
    errno.ENOSPC: _FULL,
    errno.EDQUOT: ("quota_full", "Your quota is used up.", _FULL[2]),
    errno.EFBIG: ("too_large", "The file is too large for that disk.", ""),
    errno.ENAMETOOLONG: ("name_invalid", "This name is too long.", ""),
    errno.ELOOP: ("path_invalid", "These links lead in a circle.", ""),
    errno.ESTALE: ("file_failed", "The file server has lost this folder.", "Try again; then ask an operator."),
    errno.EIO: ("file_failed", "The disk cannot be read.", "Ask an operator to look at it."),
}


async def _drain(guest: Guest) -> None:
    room = bytearray(_PART_BYTES)
    with contextlib.suppress(OSError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while await guest.wire.receive_into(room):
                pass
