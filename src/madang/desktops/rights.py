"""By what right somebody is let through a session's door: as its owner, as an operator who may look, or by a link."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from madang.desktops.consent import Consent
from madang.desktops.model import Session
from madang.desktops.service import Desktops
from madang.desktops.share import Pass, Share, find_cookie, opened
from madang.desktops.sharing import Sharing
from madang.doors.open_doors import Mode, Via
from madang.identity.model import Visitor
from madang.identity.service import People
from madang.identity.sign_on import SignOn
from madang.kernel import clock, origins
from madang.kernel.errors import NotFound, NotSignedIn
from madang.kernel.ground import Ground


class Right(msgspec.Struct, frozen=True):
    """`still` asks the database again; `until`: it ends then by itself (epoch s; None: not by time)."""

    session: Session
    name: str
    mode: Mode
    via: Via
    still: Callable[[], Awaitable[bool]]
    person: str | None = None
    sign_in: str | None = None
    share: str | None = None
    until: float | None = None


class Rights:
    """The rights to one service's doors."""

    def __init__(self, ground: Ground, desktops: Desktops, sign_on: SignOn, sharing: Sharing, consent: Consent) -> None:
        self._ground = ground
        self._desktops = desktops
        self._sign_on = sign_on
        self._sharing = sharing
        self._consent = consent
        self._people = People(ground)

    async def of(self, headers: Mapping[str, str], session_id: str) -> Right:
        """The best right that a request has. Raises NotSignedIn, NotFound, Forbidden."""
        visitor, refused = await self._visitor(headers)
        if visitor is not None and (right := await self._of_visitor(visitor, session_id)) is not None:
            return right
        if (right := await self._by_link(headers, visitor, session_id)) is not None:
            return right
        if refused is not None:
            raise refused
        raise NotFound(f"There is no desktop {session_id!r} of yours.", code="session_not_found")

    async def _visitor(self, headers: Mapping[str, str]) -> tuple[Visitor | None, NotSignedIn | None]:
        try:
            return await self._sign_on.socket_visitor(headers), None
        except NotSignedIn as error:
            return None, error

    async def _of_visitor(self, visitor: Visitor, session_id: str) -> Right | None:
        session = await self._desktops.store.get(session_id)
        if session is None or session.pooled_until is not None:
            return None
        person, name = visitor.person.id, visitor.person.display_name

        async def still() -> bool:
            return await self._sign_on.still(visitor)

        if session.person_id == person:
            return Right(session, name, "control", "owner", still, person, visitor.sign_in)
        if (share := await self._consent.view_of(visitor, session_id)) is None:
            return None
        holding = self._while_holding(share, visitor)

        async def looks() -> bool:
            return await holding() and "desktops.manage" in (await self._people.get(person)).permissions

        return Right(session, name, "view", "operator", looks, person, visitor.sign_in, share.id, share.expires_at)

    async def _by_link(self, headers: Mapping[str, str], visitor: Visitor | None, session_id: str) -> Right | None:
        value = find_cookie(headers, session_id)
        one = opened(self._ground.secret, value, session_id, clock.now()) if value else None
        share = await self._sharing.holding(one.share, session_id) if one else None
        session = await self._desktops.store.get(session_id) if share else None
        if one is not None:  # a cookie, which other sites' pages could have sent
            origins.check(headers, self._ground.settings, required=True)
        if one is None or share is None or session is None or not self._fits(one, share, visitor):
            return None
        if not await self._sharing.owner_stays(session):
            return None
        guest = one.person is None
        holding = self._while_holding(share, None if guest else visitor)

        async def still() -> bool:
            return await holding() and await self._sharing.owner_stays(session)

        sign_in = visitor.sign_in if visitor and not guest else None
        return Right(session, one.name, share.mode, "link", still, one.person, sign_in, share.id, share.expires_at)

    def _fits(self, one: Pass, share: Share, visitor: Visitor | None) -> bool:
        """A guest needs a link for guests; who came as a person has to be signed in as that person still."""
        if one.person is None:
            return self._sharing.guests_of(share)
        return visitor is not None and visitor.person.id == one.person

    def _while_holding(self, share: Share, visitor: Visitor | None) -> Callable[[], Awaitable[bool]]:
        async def still() -> bool:
            if visitor is not None and not await self._sign_on.still(visitor):
                return False
            found = await self._sharing.holding(share.id, share.session_id)
            return found is not None and (visitor is not None or self._sharing.guests_of(found))

        return still
