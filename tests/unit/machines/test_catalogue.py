"""The catalogue: plain files in the folders that were named, and nothing else."""

import os
from pathlib import Path

import pytest

from madang.kernel.errors import Conflict, InvalidInput, NotFound
from madang.machines.catalogue import Catalogue
from tests.unit.machines.discs import put


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "isos"


@pytest.fixture
async def catalogue(folder: Path) -> Catalogue:
    put(folder / "debian.iso", label="DEBIAN", platforms=(0, 0xEF))
    made = Catalogue([folder, folder.parent / "not there"])
    await made.scan()
    return made


async def nothing_against() -> None:
    """Delete it."""


async def test_an_entry_says_what_it_is(catalogue: Catalogue, folder: Path):
    (iso,) = catalogue.all()
    assert (iso.path, iso.name, iso.label, iso.boots) == (
        str(folder / "debian.iso"),
        "debian.iso",
        "DEBIAN",
        ("bios", "uefi"),
    )
    assert await catalogue.usable(iso.path) == iso


async def test_what_is_no_entry_is_refused_however_it_is_written(catalogue: Catalogue, folder: Path, tmp_path: Path):
    secret = put(tmp_path / "secret.iso")
    (folder / "link.iso").symlink_to(secret)
    (folder / "folder.iso").mkdir()
    os.mkfifo(folder / "pipe.iso")
    put(folder / ".hidden.iso")
    put(folder / "notes.txt")
    put(folder / "below" / "deep.iso")
    put(folder / "two\nlines.iso")
    for path in (
        str(secret),
        f"{folder}/../secret.iso",
        f"{folder}/./debian.iso",
        f"{folder}//debian.iso",
        "debian.iso",
        str(folder / "link.iso"),
        str(folder / "folder.iso"),
        str(folder / "pipe.iso"),
        str(folder / ".hidden.iso"),
        str(folder / "notes.txt"),
        str(folder / "below" / "deep.iso"),
        str(folder / "two\nlines.iso"),
        "",
        "/etc/passwd",
        f"{folder}/debian.iso\0",
    ):
        with pytest.raises(InvalidInput) as refused:
            await catalogue.usable(path)
        assert refused.value.code == "not_in_catalogue", path
    assert [iso.name for iso in catalogue.all()] == ["debian.iso"]


async def test_a_file_that_is_no_iso_is_an_entry_that_cannot_be_used(catalogue: Catalogue, folder: Path):
    (folder / "broken.iso").write_bytes(b"not an image")
    with pytest.raises(InvalidInput) as refused:
        await catalogue.usable(str(folder / "broken.iso"))
    assert refused.value.code == "iso_unreadable"
    put(folder / "broken.iso")
    assert (await catalogue.usable(str(folder / "broken.iso"))).label == "TINY"


async def test_a_file_that_was_replaced_by_a_link_is_no_entry_any_more(catalogue: Catalogue, folder: Path):
    (folder / "debian.iso").unlink()
    (folder / "debian.iso").symlink_to("/etc/passwd")
    with pytest.raises(InvalidInput):
        await catalogue.usable(str(folder / "debian.iso"))


async def test_a_scan_says_whether_anything_is_different(catalogue: Catalogue, folder: Path):
    assert not await catalogue.scan()
    put(folder / "new.iso")
    assert await catalogue.scan()
    (folder / "new.iso").unlink()
    assert await catalogue.scan() and not await catalogue.scan()


async def test_only_entries_are_removed(catalogue: Catalogue, folder: Path, tmp_path: Path):
    secret = put(tmp_path / "secret.iso")
    with pytest.raises(NotFound):
        await catalogue.remove(str(secret), nothing_against)
    assert secret.exists()
    await catalogue.remove(str(folder / "debian.iso"), nothing_against)
    assert catalogue.all() == []


async def test_files_that_are_gone_are_missing(catalogue: Catalogue, folder: Path):
    here, gone = str(folder / "debian.iso"), str(folder / "gone.iso")
    assert await catalogue.missing([here, gone]) == {gone}


async def test_what_speaks_against_a_deletion_is_asked_when_nobody_can_insert_the_file_any_more(
    catalogue: Catalogue, folder: Path
):
    async def refuse() -> None:
        with pytest.raises(InvalidInput):
            await catalogue.usable(str(folder / "debian.iso"))
        raise Conflict("It is in a machine.", code="iso_in_use")

    with pytest.raises(Conflict, match="in a machine"):
        await catalogue.remove(str(folder / "debian.iso"), refuse)
    assert [iso.name for iso in catalogue.all()] == ["debian.iso"], "it is back"


async def test_a_deletion_that_was_cut_off_has_not_been(catalogue: Catalogue, folder: Path):
    (folder / ".going").mkdir()
    (folder / "debian.iso").rename(folder / ".going/debian.iso")
    await catalogue.scan()
    assert not catalogue.all(), "somebody may be at it"
    os.utime(folder / ".going", (1, 1))
    await catalogue.scan()
    assert [iso.name for iso in catalogue.all()] == ["debian.iso"] and not (folder / ".going").exists()
