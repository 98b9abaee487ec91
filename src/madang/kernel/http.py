"""HTTP: the Litestar application out of the slices' parts, errors as problem details, security headers, health.

/health says that the process is alive, /ready whether it can serve and if not why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Litestar, MediaType, Request, Response, get
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from madang import __version__
from madang.kernel import metrics
from madang.kernel.edge import Edge
from madang.kernel.errors import InvalidInput, MadangError
from madang.kernel.ground import Ground, Parts
from madang.kernel.log import logger
from madang.kernel.settings import HttpSettings

log = logger("http")


class Problem(msgspec.Struct):
    """RFC 9457 problem details as every error of this API has them."""

    title: str
    status: int
    code: str
    detail: str = ""
    hint: str = ""
    type: str = "about:blank"
    instance: str = ""


class Health(msgspec.Struct):
    """The process is alive."""

    alive: bool
    version: str


class Readiness(msgspec.Struct):
    """Whether the process can serve; if not, why."""

    ready: bool
    reasons: list[str]


class JsonRequest(Request[Any, Any, Any]):
    """A request whose JSON body is refused as any other wrong input, however it is broken.

    The decoder tells of bytes that are no UTF-8, and of nesting without end, by errors that Litestar takes for bugs.
    """

    async def json(self) -> Any:
        try:
            return await super().json()
        except (UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput("The body is not JSON in UTF-8, or nested too deep.") from error


def build_app(ground: Ground, parts: Sequence[Parts]) -> Edge:
    """The application of one process."""

    async def start() -> None:
        await ground.start()
        for part in parts:
            await part.start()
        for loop in loops:
            loop.start(ground.leases)

    async def stop() -> None:
        for loop in loops:
            await loop.stop()
        for part in reversed(parts):
            await part.stop()
        await ground.stop()

    loops = [loop for part in parts for loop in part.loops]
    app = Litestar(
        route_handlers=[
            health,
            _ready_route(ground, parts),
            prometheus,
            *(route for part in parts for route in part.routes),
        ],
        exception_handlers={MadangError: known_error, HTTPException: framework_error, Exception: bug},
        openapi_config=OpenAPIConfig(
            title="Madang",
            version=__version__,
            description="Errors are RFC 9457 problem details with a stable `code` and a `hint`.",
            # The framework answers for all below its own path, so that is the one file.
            path="/api/openapi.json",
            render_plugins=[JsonRenderPlugin(path="/", media_type=MediaType.JSON)],
        ),
        on_startup=[start],
        on_shutdown=[stop],
        request_max_body_size=ground.settings[HttpSettings].largest_body_bytes,
        request_class=JsonRequest,
        logging_config=None,
    )
    sockets = {beginning: handler for part in parts for beginning, handler in part.sockets.items()}
    return Edge(app, sockets, leaving=lambda: ground.leaving)


@get("/health", operation_id="health", summary="Whether the process is alive", tags=["ground"], sync_to_thread=False)
def health() -> Health:
    return Health(alive=True, version=__version__)


@get("/metrics", include_in_schema=False, sync_to_thread=False)
def prometheus() -> Response[bytes]:
    body, kind = metrics.exposition()
    return Response(body, headers={"content-type": kind})


def _ready_route(ground: Ground, parts: Sequence[Parts]) -> Any:
    @get("/ready", operation_id="ready", summary="Whether the process can serve, and if not why", tags=["ground"])
    async def ready() -> Response[Readiness]:
        reasons = [reason for part in parts for reason in await part.reasons_not_ready()]
        if ground.leaving:
            reasons.append("This portal is about to stop.")
        try:
            await ground.database.answers()
        except MadangError as error:
            reasons.append(f"{error.title}: {error.detail}")
        return Response(Readiness(ready=not reasons, reasons=reasons), status_code=503 if reasons else 200)

    return ready


def problem_response(error: MadangError, path: str) -> Response[Any]:
    headers = {"retry-after": str(max(1, round(error.retry_after)))} if error.retry_after is not None else {}
    return Response(
        error.problem(path), status_code=error.status, media_type="application/problem+json", headers=headers
    )


def known_error(request: Request[Any, Any, Any], error: MadangError) -> Response[Any]:
    if error.status >= 500:
        log.warning("request failed", code=error.code, detail=error.detail, path=request.url.path)
    return problem_response(error, request.url.path)


def framework_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """What the framework refuses before a slice sees it, in the same form as everything else."""
    if isinstance(error, ValidationException) or error.status_code == 400:
        return problem_response(_invalid(error), request.url.path)
    titles = {404: "There is nothing here", 405: "This cannot be done here", 413: "This is too large"}
    shown = MadangError(title=titles.get(error.status_code, str(error.detail)[:200]), code=f"http_{error.status_code}")
    body = shown.problem(request.url.path) | {"status": error.status_code}
    return Response(
        body, status_code=error.status_code, media_type="application/problem+json", headers=error.headers or {}
    )


def _invalid(error: HTTPException) -> InvalidInput:
    extra = error.extra if isinstance(error.extra, list) else []
    fields = [{"field": str(item.get("key", "")), "message": str(item.get("message", ""))} for item in extra]
    said = "; ".join(f"{item['field']}: {item['message']}".removeprefix(": ") for item in fields)
    return InvalidInput(said or str(error.detail)[:300], fields=fields)


def bug(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    metrics.bugs.labels("http").inc()
    log.error("request failed unexpectedly", path=request.url.path, exc_info=error)
    shown = MadangError(
        "The portal met an error that it did not expect; it is in its log.",
        hint="Try again; if it stays, tell the site's operator what you did.",
    )
    return problem_response(shown, request.url.path)
