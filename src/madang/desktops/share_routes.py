"""HTTP of sharing: links, those who come by them, who watches, operators who ask to look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.params import Parameter

from madang.desktops.service import forbid_control_characters
from madang.desktops.shapes import SessionId, problems
from madang.desktops.share import Share, set_cookie
from madang.desktops.sharing import Sharing, ViewView, shown_view
from madang.doors.watchers import Watcher
from madang.identity.model import Visitor
from madang.identity.sign_on import SignOn, address_of, headers_of
from madang.kernel import clock, origins
from madang.kernel.clock import iso
from madang.kernel.errors import NotSignedIn
from madang.kernel.settings import Settings

ShareId = Annotated[str, Parameter(max_length=32, description="Id of a link or of a question to look.")]


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


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """Whether an operator may look, and for how long at most."""

    allow: bool
    minutes: Annotated[int, msgspec.Meta(ge=1, le=1440)] = 15


def share_routes(sharing: Sharing, sign_on: SignOn, settings: Settings) -> Sequence[Any]:
    """Relative to the service's own routes."""
    return [*_links(sharing), _shared(sharing, sign_on, settings), *_views(sharing)]


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


def _views(sharing: Sharing) -> Sequence[Any]:
    path = "/sessions/{session_id:str}/views"

    @post(path, operation_id="askToLook", summary="Ask a desktop's person whether one may look (operators)",
          responses=problems(401, 404, 409))  # fmt: skip
    async def ask(visitor: Visitor, session_id: SessionId) -> ViewView:
        return shown_view(await sharing.ask(visitor, session_id))

    @get(path, operation_id="listViews", summary="Operators who ask to look, or may",
         responses=problems(401, 404))  # fmt: skip
    async def views(visitor: Visitor, session_id: SessionId) -> list[ViewView]:
        return [shown_view(share) for share in await sharing.views(visitor, session_id)]

    @get(path + "/{view_id:str}", operation_id="getView", summary="How a question to look stands",
         responses=problems(401, 404))  # fmt: skip
    async def view(visitor: Visitor, session_id: SessionId, view_id: ShareId) -> ViewView:
        return shown_view(await sharing.view(visitor, session_id, view_id))

    @post(path + "/{view_id:str}/answer", operation_id="answerView", summary="Let an operator look for a while, or not",
          status_code=200, responses=problems(401, 404, 409, 422))  # fmt: skip
    async def answer(visitor: Visitor, session_id: SessionId, view_id: ShareId, data: Answer) -> ViewView:
        share = await sharing.answer(visitor, session_id, view_id, allow=data.allow, minutes=data.minutes)
        return shown_view(share)

    @delete(path + "/{view_id:str}", operation_id="endView", summary="Withdraw a question, or end a view at once",
            responses=problems(401, 404))  # fmt: skip
    async def end(visitor: Visitor, session_id: SessionId, view_id: ShareId) -> None:
        await sharing.end_view(visitor, session_id, view_id)

    return ask, views, view, answer, end
