"""The use cases of desktops: the only room that changes a session."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from madang.compute.launcher import Launcher
from madang.compute.order import Stage
from madang.desktops.model import Session, State
from madang.desktops.pulses import Pulses
from madang.desktops.store import Sessions, Stale
from madang.desktops.views import EncodedViews, SessionView, join, view
from madang.identity.audit import Audit
from madang.identity.model import Visitor
from madang.kernel import clock
from madang.kernel.errors import Conflict, InvalidInput, NotFound, Unavailable
from madang.kernel.ground import Ground
from madang.kernel.settings import SiteSettings, as_root

ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ID_LENGTH = 12
TRIES = 5


class Limits(msgspec.Struct, frozen=True):
    """What a person may ask for."""

    width: int
    height: int
    largest_width: int
    largest_height: int
    time_limit_seconds: int
    longest_time_limit_seconds: int
    sessions_per_person: int
    retention_seconds: float


class Wish(msgspec.Struct, frozen=True):
    """A desktop that somebody asks for; what is None takes the site's default."""

    name: str = ""
    width: int | None = None
    height: int | None = None
    time_limit_seconds: int | None = None


class Desktops:
    """The desktops of one service."""

    def __init__(self, ground: Ground, service: str, limits: Limits, launcher: Launcher, audit: Audit) -> None:
        self.service = service
        self.limits = limits
        self.store = Sessions(ground.database, service)
        self.pulses = Pulses(ground.live, service)
        self._ground = ground
        self._launcher = launcher
        self._audit = audit
        self._encoded = EncodedViews()
        # Set by whoever carries sessions on: called with the id of one that wants a look now.
        self.wake: Callable[[str], None] = lambda _session: None
        # Called with the id of a session that has just come to its end.
        self.after_end: list[Callable[[str], None]] = []

    async def create(self, visitor: Visitor, wish: Wish, address: str) -> Session:
        """Store a new desktop; the loop launches it. Raises LimitReached, InvalidInput, Unavailable."""
        if text := self._ground.settings[SiteSettings].maintenance:
            raise Unavailable(text, code="maintenance", title="The site is being maintained")
        now = clock.now()
        limits = self.limits
        session = Session(
            id="".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH)),
            service=self.service,
            person_id=visitor.person.id,
            person_name=visitor.person.name,
            account=visitor.person.account if as_root() else None,
            name=wish.name.strip(),
            state=State.REQUESTED,
            width=within("width", wish.width, limits.width, 320, limits.largest_width),
            height=within("height", wish.height, limits.height, 240, limits.largest_height),
            time_limit_seconds=within(
                "time_limit_seconds",
                wish.time_limit_seconds,
                limits.time_limit_seconds,
                60,
                limits.longest_time_limit_seconds,
            ),
            created_at=now,
            stages=(Stage("request", now),),
        )
        session = await self.store.add(session, most=limits.sessions_per_person)
        await self._audit.record(
            "desktop.create", person=visitor.person, object=session.id, address=address, outcome="done"
        )
        await self.tell(session)
        self.wake(session.id)
        return session

    async def get(self, visitor: Visitor, session_id: str) -> Session:
        """The session if it is theirs. Raises NotFound, also when it is somebody else's."""
        session = await self.store.get(session_id)
        if session is None or session.person_id != visitor.person.id:
            raise NotFound(
                f"There is no desktop {session_id!r} of yours.",
                code="session_not_found",
                hint="It may have been removed.",
            )
        return session

    async def list(self, visitor: Visitor, *, everybody: bool, ended: bool, limit: int, offset: int) -> bytes:
        """Sessions as JSON, newest first. With `ended`, also those that ended within the retention."""
        since = clock.now() - self.limits.retention_seconds if ended else float("inf")
        person = None if everybody and visitor.may("desktops.see_all") else visitor.person.id
        wanted = list(await self.store.versions(person_id=person, ended_since=since, limit=limit, offset=offset))
        bodies = self._encoded.known(wanted)
        if missing := [key for key, _version in wanted if key not in bodies]:
            bodies |= self._encoded.keep(await self.store.many(missing))
        return join(wanted, bodies, await self.pulses.encoded())

    async def shown(self, session: Session) -> SessionView:
        return view(session, await self.pulses.get(session.id) if not session.over else None)

    async def rename(self, visitor: Visitor, session_id: str, name: str) -> Session:
        if not name.strip():
            raise InvalidInput("A name has at least one character.", fields=[{"field": "name", "message": "is empty"}])
        for _ in range(TRIES):
            session = await self.get(visitor, session_id)
            try:
                return await self.change(session, name=name.strip())
            except Stale:
                continue
        raise Conflict("The desktop was changed by somebody else at the same time.", hint="Try again.")

    async def end(self, visitor: Visitor, session_id: str, address: str) -> Session | None:
        """Ask for the end of a session. One that is over is forgotten, and None is given."""
        for _ in range(TRIES):
            session = await self.get(visitor, session_id)
            if session.over:
                await self.forget(ids=[session.id])
                return None
            if not session.wanted:
                return session
            try:
                changed = await self.want_end(session, "asked")
            except Stale:
                continue
            await self._audit.record(
                "desktop.end", person=visitor.person, object=session.id, address=address, outcome="done"
            )
            return changed
        raise Conflict("The desktop was changed by somebody else at the same time.", hint="Try again.")

    async def want_end(self, session: Session, reason: str) -> Session:
        """Record that a session is to end, and why. Raises Stale."""
        now = clock.now()
        changed = await self.change(session, wanted=False, state=State.ENDING, ending_at=now, end_reason=reason)
        self.wake(session.id)
        return changed

    async def log(self, visitor: Visitor, session_id: str, most_bytes: int) -> str:
        """The last part of a session's log."""
        session = await self.get(visitor, session_id)
        return await asyncio.to_thread(_tail, self._launcher.log_file(session.id), most_bytes)

    async def change(self, session: Session, **values: Any) -> Session:
        """Store a change and tell everybody who may see it. Raises Stale."""
        changed = await self.store.change(session, **values)
        if changed.over:
            await self.pulses.delete(changed.id)
            for after_end in self.after_end:
                after_end(changed.id)
        await self.tell(changed)
        return changed

    async def tell(self, session: Session) -> None:
        """An event with the session as it is now."""
        shown = await self.shown(session)
        await self._ground.events.publish(f"{self.service}.session", {"session": shown}, person=session.person_id)

    def heard(self, person_id: str) -> bool:
        """Whether anybody listens to changes of this person's sessions."""
        return self._ground.events.heard(f"{self.service}.session", person_id)

    async def forget(self, *, ids: Sequence[str] = (), ended_before: float = 0.0) -> None:
        """Remove sessions that are over with what is kept beside them, and tell their people."""
        for session_id, person_id in await self.store.forget(ids=ids, ended_before=ended_before):
            self._launcher.log_file(session_id).unlink(missing_ok=True)
            await self._ground.events.publish(f"{self.service}.session.gone", {"id": session_id}, person=person_id)


def within(field: str, value: int | None, default: int, least: int, most: int) -> int:
    """The value, or the default. Raises InvalidInput that names the field."""
    if value is None:
        return min(max(default, least), most)
    if not least <= value <= most:
        message = f"must be from {least} to {most}"
        raise InvalidInput(f"{field} {message}.", fields=[{"field": field, "message": message}])
    return value


def forbid_control_characters(field: str, value: str) -> None:
    """Raise InvalidInput for text that cannot be stored or shown as one line."""
    if any(ord(character) < 32 or 0xD800 <= ord(character) <= 0xDFFF or ord(character) == 127 for character in value):
        message = "holds characters that cannot be shown"
        raise InvalidInput(f"{field} {message}.", fields=[{"field": field, "message": message}])


def _tail(file: Path, most_bytes: int) -> str:
    try:
        with file.open("rb") as log:
            size = log.seek(0, 2)
            log.seek(max(0, size - most_bytes))
            return log.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
