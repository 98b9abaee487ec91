"""HTTP of the ISO catalogue and of uploads to it: parses and calls the service, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, Response, delete, get, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter

from madang.identity.model import Visitor
from madang.kernel.clock import iso as moment
from madang.kernel.problems import problems
from madang.machines.media import IsoUse, Media
from madang.machines.shapes import NewUpload
from madang.machines.uploads import Upload, Uploads
from madang.machines.views import IsoUser, IsoView, UploadView

UploadId = Annotated[str, Parameter(max_length=20, description="Id of an upload.")]
Path = Annotated[str, Parameter(max_length=4096, description="`path` of an entry of the catalogue.")]


def routes(media: Media, uploads: Uploads) -> Sequence[Any]:
    return [*_catalogue(media), *_uploads(media, uploads)]


def _catalogue(media: Media) -> Sequence[Any]:
    @get("/isos", operation_id="listIsos", summary="The ISO files that may be inserted", responses=problems(401, 403))
    async def list_isos(visitor: Visitor) -> list[IsoView]:
        can_delete = visitor.may("machines.manage")
        return [_view(use, can_delete) for use in await media.catalogue(visitor)]

    @delete(
        "/isos",
        operation_id="deleteIso",
        summary="Delete an ISO file that no machine has in a drive (operators)",
        responses=problems(401, 403, 404, 409),
    )
    async def remove(visitor: Visitor, path: Path) -> None:
        await media.delete(visitor, path)

    return list_isos, remove


def _uploads(media: Media, uploads: Uploads) -> Sequence[Any]:
    @get(
        "/isos/uploads",
        operation_id="listUploads",
        summary="One's own uploads that are on their way",
        responses=problems(401),
    )
    async def list_uploads(visitor: Visitor) -> list[UploadView]:
        return [_upload(one) for one in await uploads.mine(visitor)]

    @post(
        "/isos/uploads",
        operation_id="beginUpload",
        summary="Begin to upload an ISO file, or go on with the same one",
        responses=problems(401, 403, 409, 422, 507),
    )
    async def begin(visitor: Visitor, data: NewUpload) -> UploadView:
        return _upload(await uploads.begin(visitor, data.name, data.size, data.sha256))

    @put(
        "/isos/uploads/{upload_id:str}",
        operation_id="uploadPart",
        summary="Send bytes of an upload, from where it is; the body is the bytes",
        request_max_body_size=None,
        responses={
            200: ResponseSpec(UploadView, description="How far it is now", generate_examples=False),
            **problems(401, 403, 404, 409, 422, 507),
        },
    )
    async def put_part(
        visitor: Visitor,
        request: Request[Any, Any, Any],
        upload_id: UploadId,
        offset: Annotated[int, Parameter(ge=0, le=1 << 60, description="So many bytes of it are there already.")],
    ) -> Response[UploadView]:
        return Response(_upload(await uploads.put(visitor, upload_id, offset, request.stream())))

    @post(
        "/isos/uploads/{upload_id:str}/finish",
        operation_id="finishUpload",
        summary="Check an upload, and make it an entry of the catalogue",
        status_code=200,
        responses=problems(401, 403, 404, 409, 422, 507),
    )
    async def finish(visitor: Visitor, upload_id: UploadId) -> IsoView:
        path = await uploads.finish(visitor, upload_id)
        await media.changed()
        can_delete = visitor.may("machines.manage")
        return next(_view(use, can_delete) for use in await media.catalogue(visitor) if use.iso.path == path)

    @delete(
        "/isos/uploads/{upload_id:str}",
        operation_id="dropUpload",
        summary="Give an upload up",
        responses=problems(401, 403, 404),
    )
    async def drop(visitor: Visitor, upload_id: UploadId) -> None:
        await uploads.drop(visitor, upload_id)

    return list_uploads, begin, put_part, finish, drop


def _view(use: IsoUse, can_delete: bool) -> IsoView:
    iso = use.iso
    return IsoView(
        path=iso.path,
        name=iso.name,
        folder=iso.folder,
        size=iso.size,
        modified_at=moment(iso.modified),
        label=iso.label,
        boots=list(iso.boots),
        readable=not iso.problem,
        used_by=[IsoUser(machine.id, machine.name) for machine in use.named],
        used_count=use.count,
        can_delete=can_delete and not use.count,
    )


def _upload(upload: Upload) -> UploadView:
    return UploadView(upload.id, upload.name, upload.size, upload.offset, upload.sha256, moment(upload.created_at))
