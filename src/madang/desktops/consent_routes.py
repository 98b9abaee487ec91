"""HTTP of operators who ask to look at somebody's desktop, and of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import delete, get, post
from litestar.params import Parameter

from madang.desktops.consent import Consent, ViewView, shown_view
from madang.desktops.shapes import SessionId
from madang.identity.model import Visitor
from madang.kernel.problems import problems

ViewId = Annotated[str, Parameter(max_length=32, description="Id of a question to look.")]


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """Whether an operator may look, and for how long at most."""

    allow: bool
    minutes: Annotated[int, msgspec.Meta(ge=1, le=1440)] = 15


def consent_routes(consent: Consent) -> Sequence[Any]:
    """Relative to the service's own routes."""
    path = "/sessions/{session_id:str}/views"

    @post(path, operation_id="askToLook", summary="Ask a desktop's person whether one may look (operators)",
          responses=problems(401, 404, 409))  # fmt: skip
    async def ask(visitor: Visitor, session_id: SessionId) -> ViewView:
        return shown_view(await consent.ask(visitor, session_id))

    @get(path, operation_id="listViews", summary="Operators who ask to look, or may",
         responses=problems(401, 404))  # fmt: skip
    async def views(visitor: Visitor, session_id: SessionId) -> list[ViewView]:
        return [shown_view(share) for share in await consent.views(visitor, session_id)]

    @get(path + "/{view_id:str}", operation_id="getView", summary="How a question to look stands",
         responses=problems(401, 404))  # fmt: skip
    async def view(visitor: Visitor, session_id: SessionId, view_id: ViewId) -> ViewView:
        return shown_view(await consent.view(visitor, session_id, view_id))

    @post(path + "/{view_id:str}/answer", operation_id="answerView", summary="Let an operator look for a while, or not",
          status_code=200, responses=problems(401, 404, 409, 422))  # fmt: skip
    async def answer(visitor: Visitor, session_id: SessionId, view_id: ViewId, data: Answer) -> ViewView:
        share = await consent.answer(visitor, session_id, view_id, allow=data.allow, minutes=data.minutes)
        return shown_view(share)

    @delete(path + "/{view_id:str}", operation_id="endView", summary="Withdraw a question, or end a view at once",
            responses=problems(401, 404))  # fmt: skip
    async def end(visitor: Visitor, session_id: SessionId, view_id: ViewId) -> None:
        await consent.end_view(visitor, session_id, view_id)

    return ask, views, view, answer, end
