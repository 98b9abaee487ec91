"""Disk images as files of this host, by qemu-img. What is made appears under its name when it is complete."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path

import msgspec

from madang.kernel import commands
from madang.kernel.errors import CommandFailed, InvalidInput, MadangError, SiteError
from madang.machines.hosts import failures, files, qcow2
from madang.machines.hosts.domain_xml import checked_path
from madang.machines.hosts.shapes import DiskInfo, Limits, Progress

_SECTOR = 512
_MOST_BYTES = 2**60
# Copies take as long as they take; whoever waits can cancel.
_ENDLESS = 30 * 86400.0
_LOOK_SECONDS = 0.25


class _Info(msgspec.Struct, rename="kebab"):
    virtual_size: int
    format: str
    actual_size: int = 0
    backing_filename: str | None = None
    full_backing_filename: str | None = None


class Images:
    """Raises, besides what is said below, NotFound (disk_missing), Conflict (disk_in_use) and NoSpace."""

    def __init__(self, limits: Limits, account: str | None = None) -> None:
        """`account`: the Unix account that libvirt runs as; images are its own."""
        self._limits = limits
        self._account = account

    async def info(self, path: str, form: str | None = None) -> DiskInfo:
        """Also of an image that somebody writes to. Only its first file is looked at."""
        # A program would take longer for this than most of what it is asked for.
        if form == "qcow2" and (read := await asyncio.to_thread(qcow2.read, checked_path(path))) is not None:
            return read
        wanted = ["-f", form] if form else []
        done = await self._run(path, "info", "-U", *wanted, "--output=json", checked_path(path))
        found = msgspec.json.decode(done, type=_Info)
        return DiskInfo(
            path=path,
            virtual_bytes=found.virtual_size,
            real_bytes=found.actual_size,
            format=found.format,
            backing=found.full_backing_filename or found.backing_filename,
        )

    async def create(self, path: str, size_bytes: int) -> DiskInfo:
        """An empty qcow2. Raises Conflict (disk_exists), InvalidInput (bad_size)."""
        async with self._new(path) as part:
            await self._run(path, "create", "-q", "-f", "qcow2", part, str(whole_sectors(size_bytes)))
        return await self.info(path, "qcow2")

    async def clone(self, source: str, form: str, path: str) -> DiskInfo:
        """A linked clone: it holds only what differs from the source."""
        async with self._new(path) as part:
            await self._run(path, "create", "-q", "-f", "qcow2", "-F", form, "-b", checked_path(source), part)
        return await self.info(path, "qcow2")

    async def copy(
        self,
        source: str,
        form: str,
        path: str,
        progress: Progress,
        stage: str = "copying",
        replace: bool = False,
        to: str = "qcow2",
    ) -> DiskInfo:
        """All of an image, its bases included, in one file of the format `to`. Cancelling it leaves no file."""
        before = await self.info(source, form)
        async with self._new(path, replace) as part:
            work = self._run(source, "convert", "-q", "-f", form, "-O", to, checked_path(source), part, endless=True)
            await self._watch(work, part, before, progress, stage)
            await asyncio.to_thread(_flush, part)
        return await self.info(path, to)

    async def flatten(self, path: str, progress: Progress) -> None:
        """Takes everything from its base into it. When it is cut off, it still has its base and all it needs."""
        before = await self.info(path, "qcow2")
        if before.backing is None:
            return
        work = self._run(path, "rebase", "-q", "-f", "qcow2", "-b", "", checked_path(path), endless=True)
        await self._watch(work, path, before, progress, "flattening")

    async def grow(self, path: str, form: str, size_bytes: int) -> DiskInfo:
        """Raises InvalidInput (shrink_refused, bad_size)."""
        wanted = grown(await self.info(path, form), size_bytes)
        await self._run(path, "resize", "-q", "-f", form, checked_path(path), str(wanted))
        return await self.info(path, form)

    async def verify(self, path: str, progress: Progress) -> DiskInfo:
        """Reads a qcow2 to its end. Raises SiteError (backup_damaged)."""
        found = await self.info(path, "qcow2")
        progress(None, "checking")
        # 3: some clusters are allocated and not used, which costs room and nothing else.
        done = await self._command(("check", "-q", "-f", "qcow2", path), _ENDLESS, accept=(0, 1, 2, 3, 63))
        if done.status not in (0, 3):
            raise _damaged(path, done.stderr or done.stdout)
        # Every byte is read and goes nowhere.
        nowhere = f"driver=null-co,size={found.virtual_bytes}"
        try:
            await self._run(path, "convert", "-n", "-f", "qcow2", "--target-image-opts", path, nowhere, endless=True)
        except CommandFailed as error:
            raise _damaged(path, error.detail) from error
        progress(1.0, "checking")
        return found

    async def _run(self, about: str, *arguments: str, endless: bool = False) -> bytes:
        timeout = _ENDLESS if endless else self._limits.command
        try:
            done = await self._command(arguments, timeout)
        except CommandFailed as error:
            raise _meant(error, about) from error
        return done.stdout.encode()

    async def _command(
        self, arguments: Sequence[str], timeout: float, accept: Sequence[int] = (0,)
    ) -> commands.Completed:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}  # we read what it says
        return await commands.run(
            ("qemu-img", *arguments), timeout=timeout, environment=environment, accept=accept, account=self._account,
            tied=True,
        )  # fmt: skip

    async def _watch(self, work: Awaitable[bytes], path: str, source: DiskInfo, progress: Progress, stage: str) -> None:
        """Tells how far a copy is, by what its file has got. A cancellation ends it."""
        task = asyncio.ensure_future(work)
        whole = max(source.real_bytes, 1)
        progress(0.0, stage)
        try:
            while not (await asyncio.wait([task], timeout=_LOOK_SECONDS))[0]:
                progress(min(_real_bytes(path) / whole, 0.99), stage)
            task.result()
        finally:
            task.cancel()
            await asyncio.wait([task])
        progress(1.0, stage)

    @contextlib.asynccontextmanager
    async def _new(self, path: str, replace: bool = False) -> AsyncIterator[str]:
        """A name to write to; what is there becomes `path` when all went well. Raises Conflict (disk_exists)."""
        checked_path(path)
        part = Path(f"{path}.{secrets.token_hex(4)}.part")
        if not replace and os.path.lexists(path):
            raise failures.disk_exists(path)
        # Whoever was at it before was killed: one file is made by one at a time.
        files.remove_parts(path)
        try:
            yield str(part)
            part.chmod(0o600)
            if replace:
                part.replace(path)
            else:
                os.link(part, path)  # unlike a rename, it replaces nothing
        except FileExistsError as error:
            raise failures.disk_exists(path) from error
        except OSError as error:
            raise SiteError(f"{path}: {error.strerror}.", code="disk_not_made") from error
        finally:
            part.unlink(missing_ok=True)


def whole_sectors(size_bytes: int) -> int:
    """Raises InvalidInput (bad_size)."""
    if not 0 < size_bytes <= _MOST_BYTES:
        raise InvalidInput(f"A disk cannot have {size_bytes} bytes.", code="bad_size", hint="Choose at least 1 MB.")
    return -(-size_bytes // _SECTOR) * _SECTOR


def grown(disk: DiskInfo, size_bytes: int) -> int:
    """The new size of a disk. Raises InvalidInput (shrink_refused, bad_size)."""
    wanted = whole_sectors(size_bytes)
    if wanted < disk.virtual_bytes:
        raise InvalidInput(
            f"The disk has {disk.virtual_bytes} bytes; it cannot become smaller.",
            code="shrink_refused",
            title="A disk cannot shrink",
            hint="What is at its end would be lost. Copy what you need to a smaller disk instead.",
        )
    return wanted


def _real_bytes(path: str) -> int:
    try:
        return Path(path).stat().st_blocks * _SECTOR
    except OSError:
        return 0


def _flush(path: str) -> None:
    with Path(path).open("rb") as file:
        os.fsync(file.fileno())


def _damaged(path: str, why: str) -> SiteError:
    return SiteError(
        f"{path} is damaged: {why.strip()}",
        code="backup_damaged",
        title="The backup is damaged",
        hint="Use another backup, and have the disk that it is on looked at.",
    )


def _meant(error: CommandFailed, path: str) -> MadangError:
    said = error.detail
    if re.search(r"Could not open '?" + re.escape(path), said) and "No such file" in said:
        return failures.disk_missing(path)
    if "lock" in said and "Is another process using" in said:
        return failures.disk_in_use(path)
    if "No space left" in said:
        return failures.no_space(f"There is no room for what is to be made of {path}.")
    return error
