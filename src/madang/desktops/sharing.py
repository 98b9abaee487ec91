"""Sharing: links by which others look at a session or use it, and operators who ask to look."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

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

NO_LONGER_ALLOWED = 4003  # close code of a door
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
        session = await self._own(visitor, session_id)
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
        await self.watchers.close(Closing(NO_LONGER_ALLOWED, reason, session=share.session_id, share=share.id))

    # Those who come by a link.

    async def enter(self, token: str, visitor: Visitor | None, name: str, address: str) -> Entered:
        """Show a link. Raises NotFound `share_invalid`, NotSignedIn `sign_in_needed`, TooManyAttempts."""
        share = await self.store.by_token(digest(token)) if len(token) <= LONGEST_TOKEN else None
        session = await self._desktops.store.get(share.session_id) if share and share.holds(clock.now()) else None
        if share is None or session is None:
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

    # Operators who ask to look.

    async def ask(self, visitor: Visitor, session_id: str) -> Share:
        """Ask its owner whether one may look; asked again, it is the same question. Raises NotFound, Conflict."""
        session = await self._desktops.managed(visitor, session_id)
        if session.pooled_until is not None:
            raise NotFound("There is no such desktop.", code="session_not_found")
        if session.person_id == visitor.person.id:
            raise Conflict("It is your own desktop.", code="own_desktop", hint="Open it.")
        _refuse_over(session)
        now = clock.now()
        for share in await self.store.of_session(session.id, now):
            if share.via == "operator" and share.person_id == visitor.person.id:
                return share
        share = Share(
            new_id(), session.service, session.id, "operator", "asked", "view", "", False, visitor.person.id,
            visitor.person.display_name, now, now + self.rules.view_ask_minutes * 60,
        )  # fmt: skip
        await self.store.add(share, None, actor_of(visitor), most=self.rules.per_session)
        await self._tell_of_view(share, session.person_id)
        return share

    async def views(self, visitor: Visitor, session_id: str) -> Sequence[Share]:
        """Questions that wait, and views that were allowed: the owner's all, an operator's own. Raises NotFound."""
        session = await self._desktops.managed(visitor, session_id)
        found = [s for s in await self.store.of_session(session.id, clock.now()) if s.via == "operator"]
        owner = session.person_id == visitor.person.id
        return [share for share in found if owner or share.person_id == visitor.person.id]

    async def view(self, visitor: Visitor, session_id: str, share_id: str) -> Share:
        """One question, as the owner or whoever asked it sees it. Raises NotFound."""
        session = await self._desktops.managed(visitor, session_id)
        share = await self.store.get(share_id)
        mine = visitor.person.id in (session.person_id, share.person_id if share else None)
        if share is None or share.session_id != session.id or share.via != "operator" or not mine:
            raise NotFound("There is no such question.", code="view_not_found")
        return share

    async def answer(self, visitor: Visitor, session_id: str, share_id: str, *, allow: bool, minutes: int) -> Share:
        """The owner lets an operator look for some minutes, or does not. Raises NotFound, Conflict."""
        session = await self._own(visitor, session_id)
        share = await self.view(visitor, session_id, share_id)
        now = clock.now()
        changed = None
        if share.waits(now):
            until = now + min(minutes, self.rules.view_minutes_most) * 60
            state = ("active", until) if allow else ("refused", share.expires_at)
            changed = await self.store.change(share, *state, actor_of(visitor))  # type: ignore[arg-type]
        if changed is None:
            raise Conflict("This question does not wait any more.", code="view_over", hint="It may be asked again.")
        await self._tell_of_view(changed, session.person_id)
        return changed

    async def end_view(self, visitor: Visitor, session_id: str, share_id: str) -> None:
        """Owner or operator want no more of it: a question is withdrawn, a view closed. Raises NotFound."""
        share = await self.view(visitor, session_id, share_id)
        if share.state in ("asked", "active"):
            changed = await self.store.change(share, "revoked", share.expires_at, actor_of(visitor))
            await self.close(share, "the view was ended")
            session = await self._desktops.store.get(session_id)
            if changed is not None and session is not None:
                await self._tell_of_view(changed, session.person_id)

    async def view_of(self, visitor: Visitor, session_id: str) -> Share | None:
        """The view that an operator was allowed and that holds now."""
        if not visitor.may("desktops.manage"):
            return None
        now = clock.now()
        for share in await self.store.of_session(session_id, now):
            if share.via == "operator" and share.person_id == visitor.person.id and share.holds(now):
                return share
        return None

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
                await self._tell("watchers", {"session": session_id, "watchers": there}, session.person_id)

    async def forget(self) -> str:
        """Remove what is long over."""
        count = await self.store.forget(clock.now() - KEPT_SECONDS)
        return f"{count} shares were out of date" if count else ""

    async def _own(self, visitor: Visitor, session_id: str) -> Session:
        session = await self._desktops.get(visitor, session_id)
        _refuse_over(session)
        return session

    async def _tell_owner(self, session: Session) -> None:
        await self._tell("shares", {"session": session.id}, session.person_id)

    async def _tell_of_view(self, share: Share, owner_id: str) -> None:
        for person in {owner_id, share.person_id or owner_id}:
            await self._tell("view", {"session": share.session_id, "view": shown_view(share)}, person)

    async def _tell(self, what: str, data: Mapping[str, Any], person_id: str) -> None:
        await self._desktops.tell_person(what, data, person_id)


class ViewView(msgspec.Struct):
    """An operator's question whether to look: state asked, active, refused, revoked, or expired."""

    id: str
    session: str
    by: str
    state: str
    created_at: str
    expires_at: str


def shown_view(share: Share) -> ViewView:
    over = share.state in ("asked", "active") and clock.now() >= share.expires_at
    times = clock.iso(share.created_at), clock.iso(share.expires_at)
    return ViewView(share.id, share.session_id, share.person_name or "", "expired" if over else share.state, *times)


def _refuse_over(session: Session) -> None:
    if session.over or not session.wanted:
        raise Conflict("It is over." if session.over else "It is ending.", code="not_running")
