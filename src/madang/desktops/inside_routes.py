"""HTTP of what is done inside a desktop: parses and calls the service, nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from litestar import Request, Response, get, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter
from litestar.response import Stream

from madang.desktops.inside import Inside, NativeDoor, understood
from madang.desktops.shapes import SessionId
from madang.identity.model import Visitor
from madang.identity.sign_on import address_of
from madang.kernel.errors import InvalidInput
from madang.kernel.problems import problems

Path = Annotated[
    str, Parameter(max_length=4096, description="Absolute, or from the home folder; empty: the usual one.")
]


class Entry(msgspec.Struct):
    """One entry of a folder: `kind` is file, folder, link or other; `modified` in seconds since the epoch."""

    name: str
    kind: str
    size: int
    modified: float


class Folder(msgspec.Struct):
    folder: str
    entries: list[Entry]
    truncated: bool


class Uploaded(msgspec.Struct):
    """Where it was put: under another name when that one was taken."""

    name: str
    path: str
    size: int


class Repaired(msgspec.Struct):
    did: list[str]


def routes(inside: Inside) -> Sequence[Any]:
    """Relative to the service's own routes."""
    return [*_looks(inside), *_files(inside), *_acts(inside)]


def _looks(inside: Inside) -> Sequence[Any]:
    @get(
        "/sessions/{session_id:str}/log",
        operation_id="desktopLog",
        summary="The last part of a desktop's log",
        media_type="text/plain",
        responses=problems(401, 404),
    )
    async def log(visitor: Visitor, session_id: SessionId) -> str:
        return await inside.log(visitor, session_id)

    @get(
        "/sessions/{session_id:str}/picture",
        operation_id="desktopPicture",
        summary="What a desktop's screen shows, small",
        responses={
            200: ResponseSpec(None, description="The picture", media_type="image/webp", generate_examples=False),
            304: ResponseSpec(None, description="As before", generate_examples=False),
            **problems(401, 404, 409),
        },
    )
    async def picture(
        visitor: Visitor,
        request: Request[Any, Any, Any],
        session_id: SessionId,
        width: Annotated[int, Parameter(ge=120, le=1920, description="In pixels.")] = 320,
    ) -> Response[Any]:
        found = await inside.picture(visitor, session_id, width)
        tag = f'"{found.tag}"'
        headers = {"etag": tag, "cache-control": "private, no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(None, status_code=304, headers=headers)
        return Response(found.body, media_type=found.kind, headers=headers)

    return log, picture


def _files(inside: Inside) -> Sequence[Any]:
    @get(
        "/sessions/{session_id:str}/files",
        operation_id="listFiles",
        summary="A folder of the desktop's person",
        responses=problems(401, 403, 404, 409, 422),
    )
    async def list_files(visitor: Visitor, session_id: SessionId, path: Path = "") -> Folder:
        found = await inside.list_files(visitor, session_id, path)
        with understood():
            return msgspec.convert(found, Folder, strict=False)

    @get(
        "/sessions/{session_id:str}/files/content",
        operation_id="downloadFile",
        summary="A file",
        responses={
            200: ResponseSpec(
                None, description="The file", media_type="application/octet-stream", generate_examples=False
            ),
            **problems(401, 403, 404, 409, 422),
        },
    )
    async def download(visitor: Visitor, session_id: SessionId, path: Path) -> Stream:
        stack = AsyncExitStack()
        found = await stack.enter_async_context(inside.download(visitor, session_id, path))

        async def parts() -> AsyncIterator[bytes]:
            async with stack:
                async for part in found:
                    yield bytes(part)

        headers = {
            "content-length": str(found.size),
            "content-disposition": f"attachment; filename*=UTF-8''{quote(found.name, safe='')}",
            "cache-control": "private, no-store",
        }
        return Stream(parts(), media_type="application/octet-stream", headers=headers)

    @put(
        "/sessions/{session_id:str}/files/content",
        operation_id="uploadFile",
        summary="Put a file into a folder; the body is the file",
        status_code=201,
        request_max_body_size=None,
        responses={
            201: ResponseSpec(Uploaded, description="It is there", generate_examples=False),
            **problems(401, 403, 404, 409, 422),
        },
    )
    async def upload(
        visitor: Visitor,
        request: Request[Any, Any, Any],
        session_id: SessionId,
        name: Annotated[str, Parameter(min_length=1, max_length=255, description="The file's name.")],
        folder: Path = "",
    ) -> Uploaded:
        size = _content_length(request)
        async with inside.upload(visitor, session_id, folder, name, size) as file:
            async for part in request.stream():
                if part:
                    await file.send(part)
            done = await file.finish()
            with understood():
                return msgspec.convert(done, Uploaded, strict=False)

    return list_files, download, upload


def _acts(inside: Inside) -> Sequence[Any]:
    @post(
        "/sessions/{session_id:str}/repair",
        operation_id="repairDesktop",
        summary="Bring back what died or hangs around the programs",
        status_code=200,
        responses=problems(401, 403, 404, 409),
    )
    async def repair(visitor: Visitor, session_id: SessionId) -> Repaired:
        return Repaired(await inside.repair(visitor, session_id))

    @post(
        "/sessions/{session_id:str}/native",
        operation_id="openForNativeClient",
        summary="Let a native VNC client in, once",
        status_code=200,
        responses=problems(401, 403, 404, 409),
    )
    async def native(visitor: Visitor, request: Request[Any, Any, Any], session_id: SessionId) -> NativeDoor:
        return await inside.native(visitor, session_id, address_of(request))

    return repair, native


def _content_length(request: Request[Any, Any, Any]) -> int:
    text = request.headers.get("content-length", "")
    if not text.isdecimal():
        raise InvalidInput("The request has to say how long its body is.", code="length_missing")
    return int(text)
