"""HTTP of desktops: parses and calls the service, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, patch, post
from litestar.di import Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter

from madang.desktops.service import Desktops, Wish, forbid_control_characters
from madang.desktops.views import SessionView
from madang.identity.model import Visitor
from madang.identity.sign_on import SignOn, address_of
from madang.kernel.ground import Missing
from madang.kernel.http import Problem

Name = Annotated[str, msgspec.Meta(max_length=80, description="What the desktop is called.")]
Notes = Annotated[str, msgspec.Meta(max_length=2000, description="Whatever its person wants to remember of it.")]
SessionId = Annotated[str, Parameter(max_length=20, description="Id of a session.")]
WholeNumber = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]


class NewSession(msgspec.Struct, forbid_unknown_fields=True):
    """A desktop that somebody asks for; what is left out takes the site's default."""

    name: Name = ""
    notes: Notes = ""
    preset: Annotated[str, msgspec.Meta(max_length=20)] | None = None
    width: WholeNumber | None = None
    height: WholeNumber | None = None
    time_limit_seconds: WholeNumber | None = None


class Description(msgspec.Struct, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    name: Name | None = None
    notes: Notes | None = None


class Choice(msgspec.Struct):
    """What a number may be."""

    min: int
    max: int
    default: int


class Size(msgspec.Struct):
    width: int
    height: int


class MissingPart(msgspec.Struct):
    """Something that the engine needs, and the command that brings it."""

    what: str
    command: str


class Options(msgspec.Struct):
    """What the form for a new desktop offers."""

    width: Choice
    height: Choice
    sizes: list[Size]
    time_limit_seconds: Choice
    sessions_per_person: int
    ready: bool
    missing: list[MissingPart]


SIZES = ((1280, 720), (1440, 900), (1920, 1080), (2560, 1440), (3840, 2160))


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """The errors that an operation documents."""
    words = {
        401: "Not signed in",
        403: "Not allowed",
        404: "Not there, or not yours",
        409: "Does not fit",
        422: "Wrong",
    }
    return {
        status: ResponseSpec(Problem, description=words[status], generate_examples=False, media_type=PROBLEM)
        for status in statuses
    }


PROBLEM = "application/problem+json"


def router(
    desktops: Desktops, sign_on: SignOn, missing: Callable[[], Sequence[Missing]], further: Sequence[Any] = ()
) -> Router:
    """The routes of one service under /api/<service>; `further` are those of other rooms, relative to it."""
    return Router(
        f"/api/{desktops.service}",
        route_handlers=[*_lists(desktops, missing), *_one(desktops), *_changes(desktops), *further],
        dependencies={"visitor": Provide(sign_on.provide)},
        tags=[desktops.service],
    )


def _lists(desktops: Desktops, missing: Callable[[], Sequence[Missing]]) -> Sequence[Any]:
    @get("/options", operation_id="desktopOptions", summary="What a new desktop may be", responses=problems(401))
    async def options(visitor: Visitor) -> Options:
        limits, lacking = desktops.limits, missing()
        return Options(
            width=Choice(320, limits.largest_width, limits.width),
            height=Choice(240, limits.largest_height, limits.height),
            sizes=[Size(w, h) for w, h in SIZES if w <= limits.largest_width and h <= limits.largest_height],
            time_limit_seconds=Choice(60, limits.longest_time_limit_seconds, limits.time_limit_seconds),
            sessions_per_person=limits.sessions_per_person,
            ready=not lacking,
            missing=[MissingPart(item.what, item.command) for item in lacking],
        )

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

    return options, list_sessions


def _one(desktops: Desktops) -> Sequence[Any]:
    @get("/sessions/{session_id:str}", operation_id="getDesktop", summary="One desktop", responses=problems(401, 404))
    async def get_one(visitor: Visitor, session_id: SessionId) -> SessionView:
        return await desktops.shown(await desktops.get(visitor, session_id))

    return (get_one,)


def _changes(desktops: Desktops) -> Sequence[Any]:
    @post(
        "/sessions", operation_id="createDesktop", summary="Ask for a desktop", responses=problems(401, 403, 409, 422)
    )
    async def create(visitor: Visitor, request: Request[Any, Any, Any], data: NewSession) -> SessionView:
        forbid_control_characters("name", data.name)
        wish = Wish(data.name, data.notes, data.preset, data.width, data.height, data.time_limit_seconds)
        return await desktops.shown(await desktops.create(visitor, wish, address_of(request)))

    @patch(
        "/sessions/{session_id:str}",
        operation_id="describeDesktop",
        summary="Change a desktop's name or notes",
        responses=problems(401, 403, 404, 422),
    )
    async def describe(visitor: Visitor, session_id: SessionId, data: Description) -> SessionView:
        forbid_control_characters("name", data.name or "")
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
