"""Sharing: links by which others look at a session or use it, and who looks."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Sequence

import msgspec

from madang.desktops.model import Session
from madang.desktops.service import Desktops
from madang.desktops.share import LONGEST_NAME, Pass, Share, signed
from madang.desktops.share_store import Shares
from madang.doors.open_doors import Mode
from madang.doors.watchers import Closing, Watcher, Watchers
from madang.identity.attempts import network_of
from madang.identity.cookies import digest, new_secret
from madang.identity.counting import Counting
from madang.identity.model import Actor, Visitor, actor_of
from madang.identity.records import new_id
from madang.identity.service import People
from madang.kernel import clock
from madang.kernel.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    MadangError,
    NotFound,
    NotSignedIn,
    TooManyAttempts,
)
from madang.kernel.ground import Ground
from madang.kernel.sockets import NO_LONGER_ALLOWED

LONGEST_TOKEN = 100
ATTEMPTS_SECONDS = 600.0
KEPT_SECONDS = 86_400.0  # so long after their end shares can still be found


class Rules(msgspec.Struct, frozen=True):
    """What the site allows: see [vnc] of docs/settings.md."""

    guests: bool
    seconds_most: float
    per_session: int
    attempts: int
    view_minutes_most: int
    view_ask_minutes: int


class Entered(msgspec.Struct, frozen=True):
    """Somebody showed a link: what it opens, and the cookie that lets them in."""

    share: Share
    session: Session
    cookie: str


class Sharing:
    """The shares of one service's sessions."""

    def __init__(self, ground: Ground, desktops: Desktops, watchers: Watchers, rules: Rules) -> None:
        self.rules = rules
        self.store = Shares(ground.database, desktops.service, desktops.audit)
        self.watchers = watchers
        self._ground = ground
        self._counting = Counting(ground.live)
        self._desktops = desktops
        self._people = People(ground)
        self._telling: set[asyncio.Task[None]] = set()
        watchers.changed.append(self._somebody_came_or_went)

    async def stop(self) -> None:
        for task in tuple(self._telling):
            task.cancel()
        await asyncio.gather(*self._telling, return_exceptions=True)

    # Links, made and taken back by the owner.

    async def create(
        self, visitor: Visitor, session_id: str, *, mode: Mode, seconds: float, label: str, guests: bool
    ) -> tuple[Share, str]:
        """A new link and its address, which is shown this once.

        Raises NotFound, Conflict, Forbidden `guests_not_allowed`, InvalidInput, LimitReached.
        """
        session = await self._desktops.get(visitor, session_id)
        refuse_over(session)
        if guests and not self.rules.guests:
            raise Forbidden(
                "This site lets nobody in who is not signed in.",
                code="guests_not_allowed",
                hint="Make a link for people of this site, or ask its operator (vnc.share_guests).",
            )
        if seconds > self.rules.seconds_most:
            message = f"must be at most {self.rules.seconds_most:g}"
            fields = [{"field": "expires_in_seconds", "message": message}]
            raise InvalidInput(f"expires_in_seconds {message}.", fields=fields)
        now, token = clock.now(), new_secret()
        share = Share(
            new_id(), session.service, session.id, "link", "active", mode, label, guests, None, None, now, now + seconds
        )
        await self.store.add(share, digest(token), actor_of(visitor), most=self.rules.per_session)
        await self._tell_owner(session)
        return share, f"{self._ground.settings.public_url}/shared#{token}"

    async def of(self, visitor: Visitor, session_id: str) -> Sequence[Share]:
        """The links to a session of theirs that hold. Raises NotFound."""
        session = await self._desktops.get(visitor, session_id)
        now = clock.now()
        return [share for share in await self.store.of_session(session.id, now) if share.via == "link"]

    async def revoke(self, visitor: Visitor, session_id: str, share_id: str) -> None:
        """Take a link back: whoever came by it is shut out at once, at every portal. Raises NotFound."""
        session = await self._desktops.get(visitor, session_id)
        share = await self.store.get(share_id)
        if share is None or share.session_id != session.id or share.via != "link" or share.state != "active":
            raise NotFound("There is no such link.", code="share_not_found", hint="It may have been taken back.")
        await self.store.change(share, "revoked", share.expires_at, actor_of(visitor))
        await self.close(share, "the link was taken back")
        await self._tell_owner(session)

    async def close(self, share: Share, reason: str) -> None:
        """Shut out, at every portal, whoever came by it."""
        await self.watchers.close(Closing(NO_LONGER_ALLOWED, reason, session=share.session_id, share=share.id))

    # Those who come by a link.

    async def enter(self, token: str, visitor: Visitor | None, name: str, address: str) -> Entered:
        """Show a link. Raises NotFound `share_invalid`, NotSignedIn `sign_in_needed`, TooManyAttempts."""
        share = await self.store.by_token(digest(token)) if len(token) <= LONGEST_TOKEN else None
        session = await self._desktops.store.get(share.session_id) if share and share.holds(clock.now()) else None
        if share is None or session is None or not await self.owner_stays(session):
            await self._refuse_many(address)
            raise NotFound(
                "This link is not good (any more).",
                code="share_invalid",
                title="The link does not lead anywhere",
                hint="Ask whoever gave it to you for a new one.",
            )
        if visitor is None and not self.guests_of(share):
            raise NotSignedIn("This link is for people of this site.", code="sign_in_needed", hint="Sign in first.")
        shown = visitor.person.display_name if visitor else name.strip()[:LONGEST_NAME]
        person = visitor.person.id if visitor else None
        one = Pass(share.id, share.session_id, shown, share.expires_at, person)
        by = actor_of(visitor) if visitor else Actor(None, f"guest {shown}".strip(), address)
        self._desktops.audit.record_by(by, "desktop.entered", session.id, detail=share.id)
        return Entered(share, session, signed(self._ground.secret, one))

    def guests_of(self, share: Share) -> bool:
        """Whether it lets people in who are not signed in; a site that stops to allow it means old links too."""
        return share.guests and self.rules.guests

    async def owner_stays(self, session: Session) -> bool:
        """Whether its owner may still sign in: who is shut out shares nothing any more."""
        try:
            return not (await self._people.get(session.person_id)).disabled
        except NotFound:
            return False

    async def holding(self, share_id: str, session_id: str) -> Share | None:
        """The share, if it is good for that session now."""
        share = await self.store.get(share_id)
        return share if share and share.session_id == session_id and share.holds(clock.now()) else None

    async def _refuse_many(self, address: str) -> None:
        """Count a wrong link. A good one is never refused: a whole class may come from one address."""
        network = hashlib.sha256(network_of(address).encode()).hexdigest()[:32]
        key = f"share:{self._desktops.service}:{network}"
        if await self._counting.count(key, ATTEMPTS_SECONDS) > self.rules.attempts:
            raise TooManyAttempts(
                "Too many links that are not good.", hint="Wait a while.", retry_after=ATTEMPTS_SECONDS
            )

    # Who looks.

    async def watching(self, visitor: Visitor, session_id: str) -> Sequence[Watcher]:
        """Everybody who looks at a session of theirs now, through any portal. Raises NotFound."""
        session = await self._desktops.get(visitor, session_id)
        return await self.watchers.watchers(session.id)

    def _somebody_came_or_went(self, session_id: str) -> None:
        task = asyncio.create_task(self._tell_watchers(session_id))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell_watchers(self, session_id: str) -> None:
        """An event for the owner's page."""
        with contextlib.suppress(MadangError):  # the page asks again when it is opened
            session = await self._desktops.store.get(session_id)
            if session is not None and not session.over:
                there = await self.watchers.watchers(session_id)
                data = {"session": session_id, "watchers": there}
                await self._desktops.tell_person("watchers", data, session.person_id)

    async def forget(self) -> str:
        """Remove what is long over."""
        count = await self.store.forget(clock.now() - KEPT_SECONDS)
        return f"{count} shares were out of date" if count else ""

    async def _tell_owner(self, session: Session) -> None:
        await self._desktops.tell_person("shares", {"session": session.id}, session.person_id)


def refuse_over(session: Session) -> None:
    if session.over or not session.wanted:
        raise Conflict("It is over." if session.over else "It is ending.", code="not_running")
