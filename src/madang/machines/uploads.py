"""ISO files on their way: sent in parts, gone on with after a broken connection, checked before they are entries.

How far an upload is, its file says, so that whatever is killed, what arrived is kept. The last check is the SHA-256
that was named at the beginning.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import RowMapping, delete, insert, select, update

from madang.identity.audit import Audit
from madang.identity.model import Visitor
from madang.kernel import clock
from madang.kernel.database import Database, retried
from madang.kernel.errors import Conflict, Forbidden, InvalidInput, LimitReached, NoSpace, NotFound, SiteError
from madang.kernel.ids import short_id
from madang.machines import iso9660
from madang.machines.catalogue import ENDING, Catalogue
from madang.machines.tables import uploads

NAME_LONGEST = 200


class Upload(msgspec.Struct, frozen=True):
    """One upload; `offset` is how many bytes of it are here."""

    id: str
    person_id: str
    name: str
    size: int
    sha256: str
    created_at: float
    used_at: float
    offset: int = 0


class Uploads:
    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        audit: Audit,
        *,
        largest_bytes: int,
        per_person: int,
        keep_free_bytes: int,
        keep_seconds: float,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._audit = audit
        self._largest_bytes = largest_bytes
        self._per_person = per_person
        self._keep_free_bytes = keep_free_bytes
        self._keep_seconds = keep_seconds

    async def mine(self, visitor: Visitor) -> Sequence[Upload]:
        """Those of a person that are on their way, newest first."""
        chosen = select(uploads).where(uploads.c.person_id == visitor.person.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(chosen.order_by(uploads.c.created_at.desc()))).mappings()
            return [self._upload(row) for row in rows]

    async def get(self, visitor: Visitor, upload_id: str) -> Upload:
        """Raises NotFound, also when it is somebody else's."""
        found = next((one for one in await self.mine(visitor) if one.id == upload_id), None)
        if found is None:
            raise NotFound("There is no such upload of yours.", code="upload_not_found", hint="Begin it anew.")
        return found

    async def begin(self, visitor: Visitor, name: str, size: int, sha256: str) -> Upload:
        """A new upload, or the one of the same file that was begun before.

        Raises Forbidden, InvalidInput, Conflict (iso_exists), LimitReached, SiteError.
        """
        if not visitor.may("machines.use"):
            raise Forbidden("Your roles do not include machines.", hint="Ask an administrator.")
        _refuse_name(name)
        self._refuse_size(size)
        for one in await self.mine(visitor):
            if (one.name, one.size, one.sha256) == (name, size, sha256):
                return one
        folder = await asyncio.to_thread(self._catalogue.upload_folder)
        await asyncio.to_thread(self._refuse_taken, folder, name)
        await asyncio.to_thread(self._refuse_full, folder, size)
        now = clock.now()
        upload = Upload(short_id(14), visitor.person.id, name, size, sha256, now, now)
        await self._add(upload)
        await asyncio.to_thread(self._file(upload.id).touch, 0o600)
        return upload

    async def put(self, visitor: Visitor, upload_id: str, offset: int, parts: AsyncIterator[bytes]) -> Upload:
        """Take bytes from `offset` on. What arrived is kept, whatever happens to the rest.

        Raises NotFound, Conflict (offset_differs, upload_busy), InvalidInput (too_large), NoSpace (pool_full).
        """
        upload = await self.get(visitor, upload_id)
        await self._touch(upload_id)
        with self._held(upload) as descriptor:
            here = os.fstat(descriptor).st_size
            if offset != here:
                raise Conflict(
                    f"{here} bytes of it are here; yours begin at {offset}.",
                    code="offset_differs",
                    hint="Go on from what is here.",
                    offset=here,
                )
            async for part in parts:
                if here + len(part) > upload.size:
                    raise InvalidInput(f"It is longer than the {upload.size} bytes it was to have.", code="too_large")
                here += await asyncio.to_thread(_write, descriptor, part, here)
        return await self.get(visitor, upload_id)

    async def finish(self, visitor: Visitor, upload_id: str) -> str:
        """Check it and make it an entry of the catalogue; gives its path.

        Raises NotFound, Conflict (upload_incomplete, upload_busy, iso_exists), InvalidInput (checksum_wrong,
        not_an_iso): then it is gone, and has to be sent anew.
        """
        upload = await self.get(visitor, upload_id)
        file, target = self._file(upload.id), self._catalogue.folders[0] / upload.name
        with self._held(upload) as descriptor:
            here = os.fstat(descriptor).st_size
            if here != upload.size:
                raise Conflict(
                    f"{here} of {upload.size} bytes are here.",
                    code="upload_incomplete",
                    hint="Send the rest.",
                    offset=here,
                )
            try:
                await asyncio.to_thread(_check, file, upload.sha256)
            except InvalidInput:
                await self._forget(upload.id)
                await asyncio.to_thread(file.unlink, missing_ok=True)
                raise
            await asyncio.to_thread(_publish, file, target)
        await self._forget(upload.id)
        await self._audit.record(
            "iso.upload", person=visitor.person, object=upload.name, address=visitor.address, outcome="done"
        )
        await self._catalogue.scan()
        return str(target)

    async def drop(self, visitor: Visitor, upload_id: str) -> None:
        """Give an upload up. Raises NotFound."""
        upload = await self.get(visitor, upload_id)
        await self._forget(upload.id)
        await asyncio.to_thread(self._file(upload.id).unlink, missing_ok=True)

    async def sweep(self) -> None:
        """Remove those that nobody went on with, and files of none."""
        for upload_id in await self._forget_old(clock.now() - self._keep_seconds):
            await asyncio.to_thread(self._file(upload_id).unlink, missing_ok=True)

    def _file(self, upload_id: str) -> Path:
        return self._catalogue.folders[0] / f".{upload_id}.part"

    def _upload(self, row: RowMapping) -> Upload:
        try:
            offset = self._file(row["id"]).stat().st_size
        except OSError:
            offset = 0
        return Upload(**dict(row), offset=offset)

    @contextlib.contextmanager
    def _held(self, upload: Upload) -> Iterator[int]:
        """Its file, for one at a time in whichever process. Raises Conflict (upload_busy), SiteError."""
        try:
            descriptor = os.open(self._file(upload.id), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SiteError(f"The folder of uploads cannot be written: {error.strerror}.") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise Conflict(
                    "A part of it is just being sent.", code="upload_busy", hint="Wait a moment, and go on."
                ) from error
            yield descriptor
        finally:
            os.close(descriptor)

    def _refuse_size(self, size: int) -> None:
        if not self._largest_bytes:
            raise Forbidden("This site takes no uploads.", code="uploads_off")
        if size > self._largest_bytes:
            raise InvalidInput(
                f"{size} bytes are more than {self._largest_bytes}.",
                code="too_large",
                title="The file is too large",
                hint="Ask the site's operator for a higher limit, or to put the file into the catalogue's folder.",
                most=self._largest_bytes,
            )

    def _refuse_taken(self, folder: Path, name: str) -> None:
        if (folder / name).exists() or (folder / name).is_symlink():
            raise Conflict(f"There is a {name} already.", code="iso_exists", hint="Give the file another name.")

    def _refuse_full(self, folder: Path, size: int) -> None:
        free = shutil.disk_usage(folder).free
        if size + self._keep_free_bytes > free:
            raise NoSpace(
                f"{free} bytes are free in {folder}.",
                code="pool_full",
                hint="Delete ISO files that nobody needs, or ask the site's operator for room.",
            )

    @retried
    async def _add(self, upload: Upload) -> None:
        row = {name: value for name, value in msgspec.structs.asdict(upload).items() if name != "offset"}
        mine = select(uploads.c.id).where(uploads.c.person_id == upload.person_id)
        async with self._database.write() as connection:
            if len((await connection.execute(mine)).all()) >= self._per_person:
                raise LimitReached(
                    f"{self._per_person} of your uploads are on their way.",
                    code="too_many_uploads",
                    hint="Finish one of them, or give it up.",
                )
            await connection.execute(insert(uploads).values(**row))

    @retried
    async def _touch(self, upload_id: str) -> None:
        async with self._database.write() as connection:
            await connection.execute(update(uploads).where(uploads.c.id == upload_id).values(used_at=clock.now()))

    @retried
    async def _forget(self, upload_id: str) -> None:
        async with self._database.write() as connection:
            await connection.execute(delete(uploads).where(uploads.c.id == upload_id))

    @retried
    async def _forget_old(self, before: float) -> Sequence[str]:
        async with self._database.write() as connection:
            old: Any = delete(uploads).where(uploads.c.used_at < before).returning(uploads.c.id)
            return list((await connection.execute(old)).scalars())


def _refuse_name(name: str) -> None:
    """Raise InvalidInput for what is no plain name of an ISO file."""
    message = ""
    if not name.lower().endswith(ENDING) or name.startswith("."):
        message = "must end with .iso, and not begin with a dot"
    elif "/" in name or not name.isprintable() or len(name.encode(errors="replace")) > NAME_LONGEST:
        message = "must be a plain file name"
    if message:
        raise InvalidInput(f"The name {message}.", fields=[{"field": "name", "message": message}])


def _write(descriptor: int, part: bytes, offset: int) -> int:
    try:
        view = memoryview(part)
        while view:
            count = os.pwrite(descriptor, view, offset)
            view, offset = view[count:], offset + count
    except OSError as error:
        raise NoSpace(
            f"It cannot be kept: {error.strerror}.",
            code="pool_full",
            hint="What arrived is kept: go on when there is room.",
        ) from error
    return len(part)


def _check(file: Path, sha256: str) -> None:
    with file.open("rb") as source:
        found = hashlib.file_digest(source, "sha256").hexdigest()
    if found != sha256:
        raise InvalidInput(
            f"Its SHA-256 is {found}, and was to be {sha256}.",
            code="checksum_wrong",
            title="The file did not arrive as it is",
            hint="Send it anew.",
        )
    try:
        iso9660.read(file)
    except iso9660.NotAnIso as error:
        raise InvalidInput(
            str(error), code="not_an_iso", title="This is no ISO file", hint="Choose the image of a CD or DVD."
        ) from error


def _publish(file: Path, target: Path) -> None:
    """Under its name, which nothing is ever written over."""
    try:
        file.chmod(0o644)
        os.link(file, target)
    except FileExistsError as error:
        raise Conflict(
            f"There is a {target.name} already.", code="iso_exists", hint="Delete that one, and finish this again."
        ) from error
    except OSError as error:
        raise SiteError(f"{target} cannot be made: {error.strerror}.") from error
    file.unlink()
