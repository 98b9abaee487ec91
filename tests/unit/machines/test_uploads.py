"""Uploads: in parts, gone on with, checked, and nothing is ever written over."""

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from madang.identity.audit import Audit
from madang.identity.model import Visitor
from madang.kernel.errors import Conflict, Forbidden, InvalidInput, LimitReached, MadangError, NotFound, SiteError
from madang.kernel.ground import Ground
from madang.machines.catalogue import Catalogue
from madang.machines.uploads import Uploads
from tests.unit.machines.discs import disc, put

DISC = disc()
SHA = hashlib.sha256(DISC).hexdigest()


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue([tmp_path / "isos"])


def made(ground: Ground, catalogue: Catalogue, **given: object) -> Uploads:
    limits = {"largest_bytes": 1 << 20, "per_person": 2, "keep_free_bytes": 0, "keep_seconds": 3600} | given
    return Uploads(ground.database, catalogue, Audit(ground), **limits)  # type: ignore[arg-type]


@pytest.fixture
def uploads(ground: Ground, catalogue: Catalogue) -> Uploads:
    return made(ground, catalogue)


async def parts(*data: bytes) -> AsyncIterator[bytes]:
    for part in data:
        yield part


async def broken(data: bytes) -> AsyncIterator[bytes]:
    yield data
    raise ConnectionResetError


async def test_a_file_in_parts_is_an_entry_once_it_is_whole(uploads: Uploads, catalogue: Catalogue, kim: Visitor):
    upload = await uploads.begin(kim, "tiny.iso", len(DISC), SHA)
    upload = await uploads.put(kim, upload.id, 0, parts(DISC[:1000], DISC[1000:5000]))
    assert upload.offset == 5000
    with pytest.raises(Conflict, match="5000 of"):
        await uploads.finish(kim, upload.id)
    assert (await uploads.put(kim, upload.id, 5000, parts(DISC[5000:]))).offset == len(DISC)
    path = Path(await uploads.finish(kim, upload.id))
    assert path.read_bytes() == DISC and path.stat().st_mode & 0o777 == 0o644
    assert [iso.name for iso in catalogue.all()] == ["tiny.iso"]
    assert await uploads.mine(kim) == [] and os.listdir(path.parent) == ["tiny.iso"]


async def test_a_broken_connection_is_gone_on_with_from_what_arrived(uploads: Uploads, kim: Visitor):
    upload = await uploads.begin(kim, "tiny.iso", len(DISC), SHA)
    with pytest.raises(ConnectionResetError):
        await uploads.put(kim, upload.id, 0, broken(DISC[:7000]))
    again = await uploads.begin(kim, "tiny.iso", len(DISC), SHA)
    assert (again.id, again.offset) == (upload.id, 7000)
    with pytest.raises(Conflict) as refused:
        await uploads.put(kim, upload.id, 0, parts(DISC))
    assert (refused.value.code, refused.value.extras["offset"]) == ("offset_differs", 7000)
    await uploads.put(kim, upload.id, 7000, parts(DISC[7000:]))
    await uploads.finish(kim, upload.id)


async def test_two_that_send_at_once_do_not_mix(uploads: Uploads, kim: Visitor):
    upload = await uploads.begin(kim, "tiny.iso", len(DISC), SHA)

    async def slow() -> AsyncIterator[bytes]:
        yield DISC[:100]
        with pytest.raises(Conflict) as refused:
            await uploads.put(kim, upload.id, 100, parts(b"other"))
        assert refused.value.code == "upload_busy"
        yield DISC[100:]

    assert (await uploads.put(kim, upload.id, 0, slow())).offset == len(DISC)


@pytest.mark.parametrize(
    ("data", "code"), [(bytes(len(DISC)), "checksum_wrong"), (b"not an image" * 9000, "not_an_iso")]
)
async def test_what_is_not_what_was_named_is_refused_and_gone(
    uploads: Uploads, catalogue: Catalogue, kim: Visitor, data: bytes, code: str
):
    sha = SHA if code == "checksum_wrong" else hashlib.sha256(data).hexdigest()
    upload = await uploads.begin(kim, "tiny.iso", len(data), sha)
    await uploads.put(kim, upload.id, 0, parts(data))
    with pytest.raises(InvalidInput) as refused:
        await uploads.finish(kim, upload.id)
    assert refused.value.code == code
    assert os.listdir(catalogue.folders[0]) == [] and await uploads.mine(kim) == []


async def test_more_than_was_said_is_refused(uploads: Uploads, kim: Visitor):
    upload = await uploads.begin(kim, "tiny.iso", 100, SHA)
    with pytest.raises(InvalidInput) as refused:
        await uploads.put(kim, upload.id, 0, parts(bytes(60), bytes(60)))
    assert refused.value.code == "too_large"


@pytest.mark.parametrize(
    "name",
    ["../x.iso", "/etc/x.iso", "x", ".x.iso", "x.iso\n", "a/b.iso", "x\0.iso", "\u202ex.iso", "y" * 300 + ".iso"],
)
async def test_a_name_is_a_plain_one(uploads: Uploads, kim: Visitor, name: str):
    with pytest.raises(InvalidInput):
        await uploads.begin(kim, name, 100, SHA)


async def test_nothing_is_written_over(uploads: Uploads, catalogue: Catalogue, kim: Visitor):
    upload = await uploads.begin(kim, "tiny.iso", len(DISC), SHA)
    await uploads.put(kim, upload.id, 0, parts(DISC))
    there = put(catalogue.folders[0] / "tiny.iso", label="OTHER")
    with pytest.raises(Conflict) as refused:
        await uploads.finish(kim, upload.id)
    assert refused.value.code == "iso_exists" and b"OTHER" in there.read_bytes()
    with pytest.raises(Conflict):
        await uploads.begin(kim, "tiny.iso", len(DISC) + 1, SHA)


async def test_limits(ground: Ground, catalogue: Catalogue, uploads: Uploads, kim: Visitor):
    for number in range(2):
        await uploads.begin(kim, f"{number}.iso", 100, SHA)
    cases: list[tuple[Uploads, int, type[MadangError]]] = [
        (uploads, 100, LimitReached),
        (uploads, 2 << 20, InvalidInput),
        (made(ground, catalogue, largest_bytes=0), 100, Forbidden),
        (made(ground, catalogue, keep_free_bytes=1 << 60), 100, SiteError),
    ]
    for site, size, error in cases:
        with pytest.raises(error):
            await site.begin(kim, "new.iso", size, SHA)


async def test_uploads_are_their_persons(uploads: Uploads, kim: Visitor, lee: Visitor):
    upload = await uploads.begin(kim, "tiny.iso", len(DISC), SHA)
    for asked in (
        uploads.put(lee, upload.id, 0, parts(DISC)),
        uploads.finish(lee, upload.id),
        uploads.drop(lee, upload.id),
    ):
        with pytest.raises(NotFound):
            await asked
    await uploads.drop(kim, upload.id)
    assert await uploads.mine(kim) == []


async def test_what_nobody_goes_on_with_is_removed(ground: Ground, catalogue: Catalogue, kim: Visitor):
    uploads = made(ground, catalogue, keep_seconds=-1)
    await uploads.begin(kim, "tiny.iso", len(DISC), SHA)
    await uploads.sweep()
    assert await uploads.mine(kim) == [] and os.listdir(catalogue.folders[0]) == []
