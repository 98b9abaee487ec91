"""The ISO files that may be inserted: those in the folders that operators named, and nothing else.

A file counts when it is a plain one that lies in such a folder itself; links are passed over, and a path that is no
entry of the catalogue is never opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from madang.kernel.errors import Conflict, InvalidInput, NotFound, SiteError
from madang.kernel.log import logger
from madang.machines import iso9660

log = logger("machines")
ENDING = ".iso"
ASIDE = ".going"  # what is just being deleted
LEFT_SECONDS = 60.0  # nobody takes so long for that


class Iso(msgspec.Struct, frozen=True):
    """An entry; `problem` says why it cannot be inserted ("": it can)."""

    path: str
    folder: str
    size: int
    modified: float
    label: str = ""
    boots: tuple[str, ...] = ()
    problem: str = ""

    @property
    def name(self) -> str:
        return Path(self.path).name


class Catalogue:
    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)
        self._entries: Mapping[str, Iso] = {}

    async def scan(self) -> bool:
        """Look through the folders; whether anything is different. Files that did not change are not read."""
        found = await asyncio.to_thread(self._scan)
        changed = found != self._entries
        self._entries = found
        return changed

    def all(self) -> Sequence[Iso]:
        """As they were when the folders were looked through last, by name."""
        return sorted(self._entries.values(), key=lambda iso: (iso.name.casefold(), iso.path))

    async def usable(self, path: str, field: str = "iso_path") -> Iso:
        """The entry with this path, fit to be inserted. Raises InvalidInput (not_in_catalogue, iso_unreadable)."""
        iso = await self._find(path)
        if iso is None:
            raise InvalidInput(
                "This is no entry of the ISO catalogue.",
                code="not_in_catalogue",
                hint="Choose one of the catalogue, or upload the file first.",
                fields=[{"field": field, "message": "is not in the catalogue"}],
            )
        if iso.problem:
            raise InvalidInput(
                f"{iso.name}: {iso.problem}",
                code="iso_unreadable",
                title="This ISO cannot be used",
                hint="Upload the file again, or choose another one.",
                fields=[{"field": field, "message": "cannot be used"}],
            )
        return iso

    async def _find(self, path: str) -> Iso | None:
        if (iso := self._entries.get(path)) is not None and await asyncio.to_thread(_is_as, iso):
            return iso
        await self.scan()
        return self._entries.get(path)

    async def missing(self, paths: Iterable[str]) -> frozenset[str]:
        """Those of the paths at which there is no file."""
        asked = set(paths)
        return await asyncio.to_thread(lambda: frozenset(path for path in asked if not Path(path).is_file()))

    async def remove(self, path: str, refuse: Callable[[], Awaitable[None]]) -> None:
        """Delete the file of an entry. Raises NotFound, Conflict where it cannot be removed.

        `refuse` raises what speaks against it, and is asked when nobody can insert the file any more: who comes later
        does not find it, who came before is seen. Then it comes back.
        """
        if (iso := await self._find(path)) is None:
            raise NotFound("This is no entry of the ISO catalogue.", code="iso_not_found", hint="It may be gone.")
        try:
            aside = await asyncio.to_thread(_put_aside, Path(iso.path))
            try:
                await refuse()
            except BaseException:
                await asyncio.shield(asyncio.to_thread(_bring_back, aside))
                raise
            await asyncio.to_thread(aside.unlink, missing_ok=True)
        except OSError as error:
            raise Conflict(
                f"{iso.path} cannot be removed: {error.strerror}.",
                code="iso_kept",
                hint="The folder belongs to somebody else: ask the site's operator.",
            ) from error
        finally:
            await self.scan()

    def upload_folder(self) -> Path:
        """Where uploads go. Raises SiteError when it cannot be made."""
        try:
            self.folders[0].mkdir(parents=True, exist_ok=True, mode=0o755)
        except OSError as error:
            raise SiteError(
                f"{self.folders[0]} cannot be made: {error.strerror}.",
                hint="Set machines.iso_folders to folders that the portal can write to.",
            ) from error
        return self.folders[0]

    def _scan(self) -> dict[str, Iso]:
        found: dict[str, Iso] = {}
        for folder in self.folders:
            _bring_back_what_was_left(folder)
            try:
                names = sorted(entry.name for entry in os.scandir(folder))
            except OSError:
                continue  # not there (yet), or not ours to read
            for name in names:
                wanted = name.lower().endswith(ENDING) and not name.startswith(".") and _plain(name)
                if wanted and (iso := self._entry(folder / name)) is not None:
                    found[iso.path] = iso
        return found

    def _entry(self, file: Path) -> Iso | None:
        try:
            status = file.lstat()
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        iso = Iso(str(file), str(file.parent), status.st_size, status.st_mtime)
        before = self._entries.get(iso.path)
        if before is not None and (before.size, before.modified) == (iso.size, iso.modified) and not before.problem:
            return before
        try:
            facts = iso9660.read(file)
        except iso9660.NotAnIso as error:
            return msgspec.structs.replace(iso, problem=str(error))
        except OSError as error:
            return msgspec.structs.replace(iso, problem=f"It cannot be read: {error.strerror}.")
        return msgspec.structs.replace(iso, label=facts.label, boots=facts.boots)


def _put_aside(file: Path) -> Path:
    """Into a folder that is no part of the catalogue; where it is then."""
    aside = file.parent / ASIDE / file.name
    aside.parent.mkdir(mode=0o700, exist_ok=True)
    os.utime(aside.parent)  # since when it may be there
    return file.rename(aside)


def _bring_back(aside: Path) -> None:
    """To its place, if that is free."""
    place = aside.parent.parent / aside.name
    with contextlib.suppress(OSError):
        if not os.path.lexists(place):
            aside.rename(place)


def _bring_back_what_was_left(folder: Path) -> None:
    """A portal that was killed while it deleted a file has not deleted it."""
    try:
        if time.time() - (folder / ASIDE).stat().st_mtime < LEFT_SECONDS:
            return
        for aside in (folder / ASIDE).iterdir():
            _bring_back(aside)
        (folder / ASIDE).rmdir()
    except OSError:
        return  # there is none, or it is not ours


def _plain(name: str) -> bool:
    """Whether a file's name can be sent, stored and shown."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name.isprintable()


def _is_as(iso: Iso) -> bool:
    try:
        status = Path(iso.path).lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and (status.st_size, status.st_mtime) == (iso.size, iso.modified)
