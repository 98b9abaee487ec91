"""HTTP of the end of a desktop: extending it, keeping an idle one, ending it with a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Request, post

from madang.desktops.lifetime import Lifetime
from madang.desktops.service import Desktops, forbid_control_characters
from madang.desktops.shapes import SessionId
from madang.desktops.views import SessionView
from madang.identity.model import Visitor
from madang.identity.sign_on import address_of
from madang.kernel.problems import problems


class MoreTime(msgspec.Struct, forbid_unknown_fields=True):
    """How many seconds are added to its end."""

    seconds: Annotated[int, msgspec.Meta(ge=60, le=31_536_000)]


class LastWords(msgspec.Struct, forbid_unknown_fields=True):
    """What its person is told."""

    message: Annotated[str, msgspec.Meta(max_length=500)] = ""


def lifetime_routes(desktops: Desktops, lifetime: Lifetime) -> Sequence[Any]:
    @post(
        "/sessions/{session_id:str}/extend",
        operation_id="extendDesktop",
        summary="Let a desktop end later",
        status_code=200,
        responses=problems(401, 404, 409, 422, 503),
    )
    async def extend(
        visitor: Visitor, request: Request[Any, Any, Any], session_id: SessionId, data: MoreTime
    ) -> SessionView:
        changed = await lifetime.extend(visitor, session_id, data.seconds, address_of(request))
        return await desktops.shown(changed)

    @post(
        "/sessions/{session_id:str}/keep",
        operation_id="keepDesktop",
        summary="Put off the stop of an idle desktop",
        status_code=200,
        responses=problems(401, 404, 409),
    )
    async def keep(visitor: Visitor, session_id: SessionId) -> SessionView:
        return await desktops.shown(await lifetime.keep(visitor, session_id))

    @post(
        "/sessions/{session_id:str}/end",
        operation_id="endDesktopWithMessage",
        summary="End a desktop; operators end anybody's, with a message to its person",
        status_code=202,
        responses=problems(401, 404, 422),
    )
    async def end(
        visitor: Visitor, request: Request[Any, Any, Any], session_id: SessionId, data: LastWords
    ) -> SessionView:
        forbid_control_characters("message", data.message)
        ending = await desktops.end_with_message(visitor, session_id, data.message.strip(), address_of(request))
        return await desktops.shown(ending)

    return extend, keep, end
