"""What a session's owner does inside it, through its agent's door: files, picture, log, repair, native clients."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec

from madang.desktops.model import Session
from madang.desktops.reach import NotReady, Reach, place_of
from madang.desktops.service import Desktops
from madang.doors import calls
from madang.doors.calls import Download, Upload
from madang.doors.handover import DoorError, DoorRefused
from madang.identity.model import Visitor
from madang.kernel.clock import iso
from madang.kernel.errors import Conflict, Forbidden, InvalidInput, MadangError, NotFound, Unavailable

LOG_BYTES = 262_144
PICTURE_BYTES = 4_000_000
PICTURE_WIDTHS = (120, 1920)
LONGEST_PATH = 4096
PICTURES_KEPT = 500
PICTURES_BYTES = 64_000_000  # of all together: an agent may send any
# The agent's codes that are something else than "does not fit what is there now".
_KINDS: dict[str, type[MadangError]] = {
    "file_not_found": NotFound,
    "file_denied": Forbidden,
    "uploads_off": Forbidden,
    "native_off": Forbidden,
    "name_invalid": InvalidInput,
    "path_invalid": InvalidInput,
    "not_a_file": InvalidInput,
    "not_a_folder": InvalidInput,
    "too_large": InvalidInput,
    "engine_lost": Unavailable,
    "engine_busy": Unavailable,
    "door_busy": Unavailable,
    "display_silent": Unavailable,
}


class Picture(msgspec.Struct, frozen=True):
    """A shrunken screenshot; `tag` changes with what it shows."""

    body: bytes
    kind: str
    tag: str


class NativeDoor(msgspec.Struct, frozen=True):
    """Where a native VNC client connects to (VeNCrypt X509Vnc), once, with this password."""

    host: str
    port: int
    password: str
    fingerprint: str
    certificate: str
    expires_at: str


class Inside:
    """The inside of one service's sessions; everything here is for their owner alone."""

    def __init__(
        self,
        desktops: Desktops,
        reach: Reach,
        *,
        largest_upload_bytes: int,
        picture_seconds: float,
        repair_seconds: float,
        native_seconds: float,
    ) -> None:
        """A picture is kept `picture_seconds`; a native client has `native_seconds` to connect."""
        self.largest_upload_bytes = largest_upload_bytes
        self._desktops = desktops
        self._reach = reach
        self._picture_seconds = picture_seconds
        self._repair_seconds = repair_seconds
        self._native_seconds = native_seconds
        self._pictures: dict[tuple[str, int], tuple[float, Picture]] = {}
        self._taking: dict[tuple[str, int], asyncio.Task[Picture]] = {}

    async def log(self, visitor: Visitor, session_id: str) -> str:
        """The last part of what the agent and the session's programs printed."""
        session = await self._desktops.get(visitor, session_id)
        launcher = self._desktops.launchers.get(session.launcher)
        if launcher is None:
            return ""
        if launcher.queues and session.has_door:
            with contextlib.suppress(DoorError, NotReady, Unavailable):
                place, key = place_of(session)
                _, body = await calls.fetch(
                    place, key, session.id, "log", most_bytes=LOG_BYTES, timeout_seconds=self._reach.door_seconds
                )
                return body.decode(errors="replace")
        return await asyncio.to_thread(_tail, launcher.log_file(session.id), LOG_BYTES)

    async def picture(self, visitor: Visitor, session_id: str, width: int) -> Picture:
        """What its screen shows, not older than a few seconds. Raises NotReady, Unavailable."""
        session = await self._with_door(visitor, session_id)
        key = (session.id, min(max(width, PICTURE_WIDTHS[0]), PICTURE_WIDTHS[1]))
        taken, kept = self._pictures.get(key, (0.0, None))
        if kept is not None and time.monotonic() - taken < self._picture_seconds:
            return kept
        # Several pages that ask at once wait for one picture.
        if key not in self._taking:
            self._taking[key] = asyncio.create_task(self._take_picture(session, key))
        return await asyncio.shield(self._taking[key])

    async def _take_picture(self, session: Session, key: tuple[str, int]) -> Picture:
        try:
            place, door_key = place_of(session)
            with _words():
                answer, body = await calls.fetch(
                    place,
                    door_key,
                    session.id,
                    "picture",
                    {"width": key[1]},
                    most_bytes=PICTURE_BYTES,
                    timeout_seconds=self._reach.door_seconds,
                )
            kind = "image/png" if answer.get("type") == "image/png" else "image/webp"
            picture = Picture(body, kind, hashlib.sha256(body).hexdigest()[:32])
            self._keep(key, picture)
            return picture
        finally:
            del self._taking[key]

    def _keep(self, key: tuple[str, int], picture: Picture) -> None:
        self._pictures.pop(key, None)
        held = sum(len(kept.body) for _, kept in self._pictures.values())
        if len(self._pictures) >= PICTURES_KEPT or held + len(picture.body) > PICTURES_BYTES:
            self._pictures.clear()
        self._pictures[key] = (time.monotonic(), picture)

    async def list_files(self, visitor: Visitor, session_id: str, path: str) -> dict[str, Any]:
        """A folder's entries, as the person's own account sees them."""
        session = await self._with_door(visitor, session_id)
        with _words():
            return await self._reach.ask(session, "files.list", {"path": _checked_path(path)})

    @contextlib.asynccontextmanager
    async def download(self, visitor: Visitor, session_id: str, path: str) -> AsyncIterator[Download]:
        """A file, part by part."""
        session = await self._with_door(visitor, session_id)
        place, key = place_of(session)
        with _words():
            async with calls.stream_get(place, key, session.id, "files.get", {"path": _checked_path(path)}) as download:
                yield download

    @contextlib.asynccontextmanager
    async def upload(
        self, visitor: Visitor, session_id: str, folder: str, name: str, size: int
    ) -> AsyncIterator[Upload]:
        """Room for a file of this many bytes; what is already there is never written over."""
        session = await self._with_door(visitor, session_id)
        if not self.largest_upload_bytes:
            raise Forbidden("This site takes no files.", code="uploads_off")
        if size > self.largest_upload_bytes:
            raise InvalidInput(
                f"{size} bytes are more than {self.largest_upload_bytes}.",
                code="too_large",
                title="The file is too large",
                hint="Copy it by other means, or ask the site's operator for a higher limit.",
                most=self.largest_upload_bytes,
            )
        place, key = place_of(session)
        arguments = {"folder": _checked_path(folder), "name": name, "size": size}
        with _words():
            async with calls.stream_put(place, key, session.id, "files.put", arguments) as upload:
                yield upload

    async def repair(self, visitor: Visitor, session_id: str) -> list[str]:
        """Bring back what died or hangs of the desktop around the programs; says what was done."""
        session = await self._with_door(visitor, session_id)
        with _words():
            answer = await self._reach.ask(session, "repair", {}, seconds=self._repair_seconds)
        with understood():
            return msgspec.convert(answer.get("did", ()), list[str])

    async def native(self, visitor: Visitor, session_id: str, address: str) -> NativeDoor:
        """Open it once for a native client. Raises Forbidden where its preset does not allow that."""
        session = await self._with_door(visitor, session_id)
        if session.terms is None or not session.terms.native:
            raise Forbidden(
                "Its preset does not let native clients in.",
                code="native_off",
                hint="An operator can allow it in the preset; then start a new desktop.",
            )
        with _words():
            answer = await self._reach.ask(session, "native", {"seconds": round(self._native_seconds)})
        await self._desktops.audit.record(
            "desktop.native", person=visitor.person, object=session.id, address=address, outcome="done"
        )
        host = session.host or session.node or "localhost"
        with understood():
            return msgspec.convert({**answer, "host": host, "expires_at": iso(float(answer["expires_at"]))}, NativeDoor)

    def forget(self, session_id: str) -> None:
        for key in [key for key in self._pictures if key[0] == session_id]:
            del self._pictures[key]

    async def _with_door(self, visitor: Visitor, session_id: str) -> Session:
        session = await self._desktops.get(visitor, session_id)
        if not session.has_door or not session.wanted:
            raise NotReady(
                "It is over." if session.over else "It is not ready.",
                hint="Start a new one." if session.over else "Try again in a moment.",
                state=session.state.value,
            )
        return session


@contextlib.contextmanager
def _words() -> Iterator[None]:
    """What an agent refuses, and doors that do not open, as errors of the API."""
    try:
        yield
    except DoorRefused as error:
        kind = _KINDS.get(error.code, Conflict)
        raise kind(error.detail, code=error.code, title=error.title or None, hint=error.hint) from error
    except DoorError as error:
        raise Unavailable(
            "Its agent does not answer.", code=error.code, hint="Try again in a moment.", retry_after=2
        ) from error


@contextlib.contextmanager
def understood() -> Iterator[None]:
    """Around what is made of an agent's answer: it may say anything."""
    try:
        yield
    except (msgspec.ValidationError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise Unavailable("Its agent's answer makes no sense.", code="door_nonsense") from error


def _checked_path(path: str) -> str:
    if len(path) > LONGEST_PATH or "\0" in path:
        raise InvalidInput("This is not a path.", code="path_invalid", fields=[{"field": "path", "message": "no path"}])
    return path


def _tail(file: Path, most_bytes: int) -> str:
    try:
        with file.open("rb") as log:
            size = log.seek(0, 2)
            log.seek(max(0, size - most_bytes))
            return log.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
