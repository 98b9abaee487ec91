"""HTTP of sharing: links, those who come by them, who watches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.params import Parameter

from madang.desktops.service import forbid_control_characters
from madang.desktops.shapes import SessionId
from madang.desktops.share import Share, set_cookie
from madang.desktops.sharing import Sharing
from madang.doors.watchers import Watcher
from madang.identity.model import Visitor
from madang.identity.sign_on import SignOn, address_of, headers_of
from madang.kernel import clock, origins
from madang.kernel.clock import iso
from madang.kernel.errors import NotSignedIn
from madang.kernel.problems import problems
from madang.kernel.settings import Settings

ShareId = Annotated[str, Parameter(max_length=32, description="Id of a link.")]


class NewShare(msgspec.Struct, forbid_unknown_fields=True):
    """A link: for looking, or for using the desktop too; `guests`: also for people who cannot sign in here."""

    mode: Literal["view", "control"]
    expires_in_seconds: Annotated[int, msgspec.Meta(ge=60, le=31_536_000)]
    label: Annotated[str, msgspec.Meta(max_length=80)] = ""
    guests: bool = False


class ShareView(msgspec.Struct):
    """A link that holds, and how many look by it now."""

    id: str
    mode: str
    label: str
    guests: bool
    created_at: str
    expires_at: str
    watching: int


class MadeShare(ShareView):
    """`link` is shown this once."""

    link: str


class Shown(msgspec.Struct, forbid_unknown_fields=True):
    """What stands behind # in a link; `name`: what a guest wants to be called."""

    token: Annotated[str, msgspec.Meta(max_length=200)]
    name: Annotated[str, msgspec.Meta(max_length=80)] = ""


class SharedSession(msgspec.Struct):
    id: str
    name: str
    owner_name: str
    state: str
    width: int
    height: int


class Opened(msgspec.Struct):
    """What a link opens; the answer's cookie lets its browser in at /vncproxy/<id>."""

    session: SharedSession
    mode: str
    expires_at: str


def share_routes(sharing: Sharing, sign_on: SignOn, settings: Settings) -> Sequence[Any]:
    """Relative to the service's own routes."""
    return [*_links(sharing), _shared(sharing, sign_on, settings)]


def _links(sharing: Sharing) -> Sequence[Any]:
    @get(
        "/sessions/{session_id:str}/shares",
        operation_id="listShares",
        summary="The links to a desktop that hold",
        responses=problems(401, 404),
    )
    async def list_shares(visitor: Visitor, session_id: SessionId) -> list[ShareView]:
        found = await sharing.of(visitor, session_id)
        there = Counter(watcher.share for watcher in await sharing.watching(visitor, session_id))
        return [ShareView(*_values(share), there[share.id]) for share in found]

    @post(
        "/sessions/{session_id:str}/shares",
        operation_id="shareDesktop",
        summary="Make a link by which others look at a desktop, or use it",
        responses=problems(401, 403, 404, 409, 422),
    )
    async def share(visitor: Visitor, session_id: SessionId, data: NewShare) -> MadeShare:
        forbid_control_characters("label", data.label)
        made, link = await sharing.create(
            visitor, session_id, mode=data.mode, seconds=data.expires_in_seconds, label=data.label.strip(),
            guests=data.guests,
        )  # fmt: skip
        return MadeShare(*_values(made), 0, link)

    @delete(
        "/sessions/{session_id:str}/shares/{share_id:str}",
        operation_id="unshareDesktop",
        summary="Take a link back; whoever came by it is shut out at once",
        responses=problems(401, 404),
    )
    async def revoke(visitor: Visitor, session_id: SessionId, share_id: ShareId) -> None:
        await sharing.revoke(visitor, session_id, share_id)

    @get(
        "/sessions/{session_id:str}/watchers",
        operation_id="listWatchers",
        summary="Who looks at a desktop now, through any portal",
        responses=problems(401, 404),
    )
    async def watchers(visitor: Visitor, session_id: SessionId) -> list[Watcher]:
        return list(await sharing.watching(visitor, session_id))

    return list_shares, share, revoke, watchers


def _values(share: Share) -> tuple[str, str, str, bool, str, str]:
    return share.id, share.mode, share.label, share.guests, iso(share.created_at), iso(share.expires_at)


def _shared(sharing: Sharing, sign_on: SignOn, settings: Settings) -> Any:
    @post(
        "/shared",
        operation_id="openShared",
        summary="Show a link's token; the answer sets the cookie that lets its browser in",
        status_code=200,
        responses=problems(401, 403, 404, 422, 429, 503),
        security=[],
    )
    async def shared(request: Request[Any, Any, Any], data: Shown) -> Response[Opened]:
        headers, address = headers_of(request), address_of(request)
        # There may be no sign-in whose token could prove it: only a page of this site may set the cookie.
        origins.check(headers, settings, required=True)
        forbid_control_characters("name", data.name)
        try:
            visitor = await sign_on.visitor(headers, method="GET", address=address)
        except NotSignedIn:
            visitor = None
        entered = await sharing.enter(data.token, visitor, data.name, address)
        session, share = entered.session, entered.share
        cookie = set_cookie(session.id, entered.cookie, share.expires_at - clock.now(), secure=sign_on.secure)
        shown = SharedSession(
            session.id, session.name, session.person_name, session.state.value, session.width, session.height
        )
        return Response(Opened(shown, share.mode, iso(share.expires_at)), headers={"set-cookie": cookie})

    return shared
