"""HTTP of desktops: parses and calls the service, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, patch, post
from litestar.di import Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter

from madang.desktops.measures import MeasuresView
from madang.desktops.service import Desktops, Wish, forbid_control_characters
from madang.desktops.shapes import SessionId
from madang.desktops.views import SessionView
from madang.identity.model import Visitor
from madang.identity.sign_on import SignOn, address_of
from madang.kernel.problems import problems

Name = Annotated[str, msgspec.Meta(max_length=80, description="What the desktop is called.")]
Notes = Annotated[str, msgspec.Meta(max_length=2000, description="Whatever its person wants to remember of it.")]
LINES = "\r\n\t"
WholeNumber = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]


class NewSession(msgspec.Struct, forbid_unknown_fields=True):
    """A desktop that somebody asks for; what is left out takes the site's default."""

    name: Name = ""
    notes: Notes = ""
    preset: Annotated[str, msgspec.Meta(max_length=20)] | None = None
    width: WholeNumber | None = None
    height: WholeNumber | None = None
    time_limit_seconds: WholeNumber | None = None
    count: Annotated[int, msgspec.Meta(ge=1, le=10, description="So many at once.")] = 1


class Description(msgspec.Struct, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    name: Name | None = None
    notes: Notes | None = None


def router(desktops: Desktops, sign_on: SignOn, further: Sequence[Any]) -> Router:
    """The routes of one service under /api/<service>; `further` are those of other rooms, relative to it."""
    return Router(
        f"/api/{desktops.service}",
        route_handlers=[*_lists(desktops), *_one(desktops), *_changes(desktops), *further],
        dependencies={"visitor": Provide(sign_on.provide)},
        tags=[desktops.service],
    )


def _lists(desktops: Desktops) -> Sequence[Any]:
    @get(
        "/sessions",
        operation_id="listDesktops",
        summary="Desktops, newest first",
        responses={
            200: ResponseSpec(list[SessionView], description="Desktops", generate_examples=False),
            **problems(401),
        },
    )
    async def list_sessions(
        visitor: Visitor,
        ended: Annotated[bool, Parameter(description="Also those that ended lately.")] = True,
        everybody: Annotated[bool, Parameter(query="all", description="Of all people (operators).")] = False,
        limit: Annotated[int, Parameter(ge=1, le=5000, description="At most so many.")] = 1000,
        offset: Annotated[int, Parameter(ge=0, le=1_000_000_000, description="Leave out so many.")] = 0,
    ) -> Response[Any]:
        body = await desktops.list(visitor, everybody=everybody, ended=ended, limit=limit, offset=offset)
        return Response(body, media_type="application/json")

    return (list_sessions,)


def _one(desktops: Desktops) -> Sequence[Any]:
    @get("/sessions/{session_id:str}", operation_id="getDesktop", summary="One desktop", responses=problems(401, 404))
    async def get_one(visitor: Visitor, session_id: SessionId) -> SessionView:
        return await desktops.shown(await desktops.get(visitor, session_id))

    @get(
        "/sessions/{session_id:str}/measures",
        operation_id="desktopMeasures",
        summary="CPU and memory of the last hour, a point a minute",
        responses=problems(401, 404),
    )
    async def measures(visitor: Visitor, session_id: SessionId) -> MeasuresView:
        return await desktops.measures.get((await desktops.get(visitor, session_id)).id)

    return get_one, measures


def _changes(desktops: Desktops) -> Sequence[Any]:
    @post(
        "/sessions",
        operation_id="createDesktop",
        summary="Ask for a desktop, or for several: a list then of those that could be had",
        responses=problems(401, 403, 404, 409, 422, 503),
    )
    async def create(
        visitor: Visitor, request: Request[Any, Any, Any], data: NewSession
    ) -> SessionView | list[SessionView]:
        forbid_control_characters("name", data.name)
        forbid_control_characters("notes", data.notes, but=LINES)
        wish = Wish(data.name, data.notes, data.preset, data.width, data.height, data.time_limit_seconds)
        if data.count == 1:
            return await desktops.shown(await desktops.create(visitor, wish, address_of(request)))
        made = await desktops.create_several(visitor, wish, data.count, address_of(request))
        return [await desktops.shown(session) for session in made]

    @patch(
        "/sessions/{session_id:str}",
        operation_id="describeDesktop",
        summary="Change a desktop's name or notes",
        responses=problems(401, 403, 404, 422),
    )
    async def describe(visitor: Visitor, session_id: SessionId, data: Description) -> SessionView:
        forbid_control_characters("name", data.name or "")
        forbid_control_characters("notes", data.notes or "", but=LINES)
        changed = await desktops.describe(visitor, session_id, name=data.name, notes=data.notes)
        return await desktops.shown(changed)

    @delete(
        "/sessions/{session_id:str}",
        operation_id="endDesktop",
        summary="End a desktop; one that is over is removed from the list",
        status_code=202,
        responses={
            204: ResponseSpec(None, description="It was over and is removed", generate_examples=False),
            **problems(401, 403, 404),
        },
    )
    async def end(visitor: Visitor, request: Request[Any, Any, Any], session_id: SessionId) -> Response[Any]:
        ending = await desktops.end(visitor, session_id, address_of(request))
        if ending is None:
            return Response(None, status_code=204)
        return Response(await desktops.shown(ending), status_code=202)

    return create, describe, end
