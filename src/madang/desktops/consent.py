"""Operators who ask a session's owner whether they may look at it: view-only, for some minutes, ended by either."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from madang.desktops.service import Desktops
from madang.desktops.share import Share
from madang.desktops.sharing import Sharing, refuse_over
from madang.identity.model import Visitor, actor_of
from madang.identity.records import new_id
from madang.kernel import clock
from madang.kernel.errors import Conflict, NotFound


class Consent:
    """The questions to look at one service's sessions, and the views that were allowed."""

    def __init__(self, desktops: Desktops, sharing: Sharing) -> None:
        self._desktops = desktops
        self._sharing = sharing
        self._store = sharing.store

    async def ask(self, visitor: Visitor, session_id: str) -> Share:
        """Ask its owner whether one may look; asked again, it is the same question. Raises NotFound, Conflict."""
        session = await self._desktops.managed(visitor, session_id)
        if session.pooled_until is not None:
            raise NotFound("There is no such desktop.", code="session_not_found")
        if session.person_id == visitor.person.id:
            raise Conflict("It is your own desktop.", code="own_desktop", hint="Open it.")
        refuse_over(session)
        now = clock.now()
        for share in await self._store.of_session(session.id, now):
            if share.via == "operator" and share.person_id == visitor.person.id:
                return share
        share = Share(
            new_id(), session.service, session.id, "operator", "asked", "view", "", False, visitor.person.id,
            visitor.person.display_name, now, now + self._sharing.rules.view_ask_minutes * 60,
        )  # fmt: skip
        await self._store.add(share, None, actor_of(visitor), most=self._sharing.rules.per_session)
        await self._tell(share, session.person_id)
        return share

    async def views(self, visitor: Visitor, session_id: str) -> Sequence[Share]:
        """Questions that wait, and views that were allowed: the owner's all, an operator's own. Raises NotFound."""
        session = await self._desktops.managed(visitor, session_id)
        found = [s for s in await self._store.of_session(session.id, clock.now()) if s.via == "operator"]
        owner = session.person_id == visitor.person.id
        return [share for share in found if owner or share.person_id == visitor.person.id]

    async def view(self, visitor: Visitor, session_id: str, share_id: str) -> Share:
        """One question, as the owner or whoever asked it sees it. Raises NotFound."""
        session = await self._desktops.managed(visitor, session_id)
        share = await self._store.get(share_id)
        mine = visitor.person.id in (session.person_id, share.person_id if share else None)
        if share is None or share.session_id != session.id or share.via != "operator" or not mine:
            raise NotFound("There is no such question.", code="view_not_found")
        return share

    async def answer(self, visitor: Visitor, session_id: str, share_id: str, *, allow: bool, minutes: int) -> Share:
        """The owner lets an operator look for some minutes, or does not. Raises NotFound, Conflict."""
        session = await self._desktops.get(visitor, session_id)
        share = await self.view(visitor, session_id, share_id)
        now = clock.now()
        changed = None
        if share.waits(now):
            until = now + min(minutes, self._sharing.rules.view_minutes_most) * 60
            state = ("active", until) if allow else ("refused", share.expires_at)
            changed = await self._store.change(share, *state, actor_of(visitor))  # type: ignore[arg-type]
        if changed is None:
            raise Conflict("This question does not wait any more.", code="view_over", hint="It may be asked again.")
        await self._tell(changed, session.person_id)
        return changed

    async def end_view(self, visitor: Visitor, session_id: str, share_id: str) -> None:
        """Owner or operator want no more of it: a question is withdrawn, a view closed. Raises NotFound."""
        share = await self.view(visitor, session_id, share_id)
        if share.state in ("asked", "active"):
            changed = await self._store.change(share, "revoked", share.expires_at, actor_of(visitor))
            await self._sharing.close(share, "the view was ended")
            session = await self._desktops.store.get(session_id)
            if changed is not None and session is not None:
                await self._tell(changed, session.person_id)

    async def view_of(self, visitor: Visitor, session_id: str) -> Share | None:
        """The view that an operator was allowed and that holds now."""
        if not visitor.may("desktops.manage"):
            return None
        now = clock.now()
        for share in await self._store.of_session(session_id, now):
            if share.via == "operator" and share.person_id == visitor.person.id and share.holds(now):
                return share
        return None

    async def _tell(self, share: Share, owner_id: str) -> None:
        for person in {owner_id, share.person_id or owner_id}:
            await self._desktops.tell_person("view", {"session": share.session_id, "view": shown_view(share)}, person)


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
