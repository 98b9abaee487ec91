"""ISO files that vanish, that are no ISO files, or that somebody deletes in the moment they are inserted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.daemons.machines.portal.house import MachineClient, media
from tests.support.libvirt import PrivateLibvirt
from tests.support.waiting import eventually
from tests.unit.machines.discs import disc, put

ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda file: file.touch(), "iso_unreadable"),
    "text": (lambda file: file.write_text("This is no ISO.\n" * 5000), "iso_unreadable"),
    "cut off": (lambda file: file.write_bytes(disc()[: 16 * 2048 + 100]), "iso_unreadable"),
    "a disk image": (lambda file: file.write_bytes(b"QFI\xfb" + bytes(100_000)), "iso_unreadable"),
    "a folder": (lambda file: file.mkdir(), "not_in_catalogue"),
    "a pipe": (os.mkfifo, "not_in_catalogue"),
    "a link to another file": (lambda file: file.symlink_to("/etc/passwd"), "not_in_catalogue"),
    "a link to nothing": (lambda file: file.symlink_to("/nothing"), "not_in_catalogue"),
    "a link to itself": (lambda file: file.symlink_to(file), "not_in_catalogue"),
    "another name of a file that is none": (lambda file: os.link(_text(file), file), "iso_unreadable"),
    "not ours to read": (lambda file: _closed(file), "iso_unreadable"),
}


def _text(file: Path) -> Path:
    other = file.with_name("notes.txt")
    other.write_text("not an ISO")
    return other


def _closed(file: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    put(file)
    file.chmod(0)


@pytest.fixture
def odd(libvirtd: PrivateLibvirt) -> Iterator[Path]:
    file = libvirtd.isos / "odd.iso"
    yield file
    for each in (file, libvirtd.isos / "notes.txt"):
        if each.is_dir() and not each.is_symlink():
            each.rmdir()
        else:
            each.unlink(missing_ok=True)


@pytest.mark.parametrize("what", list(ODD))
def test_what_is_no_iso_is_refused_wherever_it_is_asked_for(kim: MachineClient, odd: Path, what: str) -> None:
    make, code = ODD[what]
    machine = kim.make()["id"]
    make(odd)
    refused = kim.refused(machine, "media/attach", 422, code, iso_path=str(odd))
    assert refused["hint"]
    made = kim.post("/api/vms", json={"name": "other", "iso_path": str(odd)})
    assert (made.status_code, made.json()["code"]) == (422, code)
    listed = [iso for iso in kim.get("/api/isos").json() if iso["name"] == "odd.iso"]
    assert [not iso["readable"] for iso in listed] == ([True] if code == "iso_unreadable" else [])
    assert len(kim.get("/api/vms").json()) == 1 and media(kim.machine(machine)) == [None, None]


@pytest.mark.parametrize("what", ["a folder", "a pipe", "a link to another file", "empty", "text"])
def test_an_entry_that_became_something_else_is_refused(kim: MachineClient, some_iso: Path, what: str) -> None:
    machine = kim.make()["id"]
    eventually(lambda: [iso for iso in kim.get("/api/isos").json() if iso["path"] == str(some_iso)], 10, "not listed")
    some_iso.unlink()
    try:
        ODD[what][0](some_iso)
        kim.refused(machine, "media/attach", 422, ODD[what][1], iso_path=str(some_iso))
    finally:
        if some_iso.is_dir() and not some_iso.is_symlink():
            some_iso.rmdir()


def test_paths_that_only_look_like_an_entry(kim: MachineClient, libvirtd: PrivateLibvirt, some_iso: Path) -> None:
    machine = kim.make()["id"]
    (libvirtd.folder / "beside").symlink_to(libvirtd.isos)
    for path in (
        f"{libvirtd.isos}/./some.iso", f"{libvirtd.isos}//some.iso", f"{some_iso}/", f"{some_iso}\0", f" {some_iso}",
        f"{libvirtd.isos}/../isos/some.iso", f"{libvirtd.folder}/beside/some.iso", f"file://{some_iso}",
        f"{some_iso}\n", "SOME.ISO", str(some_iso).replace("some", "s%6fme"), "x" * 4096,
    ):  # fmt: skip
        kim.refused(machine, "media/attach", 422, "not_in_catalogue", iso_path=path)
    (libvirtd.folder / "beside").unlink()
    assert kim.post(f"/api/vms/{machine}/media/attach", json={"iso_path": "x" * 4097}).status_code == 422
    kim.change(machine, "media/attach", iso_path=str(some_iso))


def test_an_iso_that_is_deleted_below_a_machine_that_runs(kim: MachineClient, some_iso: Path) -> None:
    machine = kim.make(iso_path=str(some_iso))["id"]
    kim.act(machine, "start")
    began = kim.until_state(machine, "running")["started_at"]
    some_iso.unlink()
    said = kim.wait(machine, lambda one: "medium_missing" in [each["code"] for each in one["suggestions"]])
    assert said["current_media"][0]["missing"] and (said["state"], said["started_at"]) == ("running", began)
    kim.change(machine, "boot-order", boot_order="cdrom")
    kim.act(machine, "force_off")
    kim.refused(machine, "action", 422, "iso_missing", action="start")
    kim.change(machine, "media/detach")
    kim.refused(machine, "action", 409, "no_medium", action="start")
    assert "medium_missing" not in kim.codes(machine)


def test_an_iso_is_inserted_or_deleted_but_not_both(
    kim: MachineClient, park: MachineClient, libvirtd: PrivateLibvirt
) -> None:
    """An operator deletes it in the very moment in which somebody inserts it."""
    machine = kim.make()["id"]
    seen = set()
    with ThreadPoolExecutor(2) as both:
        for number in range(12):
            iso = put(libvirtd.isos / f"race{number}.iso")
            inserting = both.submit(kim.post, f"/api/vms/{machine}/media/attach", json={"iso_path": str(iso)})
            deleting = both.submit(park.delete, "/api/isos", params={"path": str(iso)})
            inserted, deleted = inserting.result(), deleting.result()
            assert inserted.status_code in (200, 422) and deleted.status_code in (204, 409), (inserted, deleted)
            assert (inserted.status_code, deleted.status_code) != (200, 204), "a drive without its file"
            assert iso.exists() == (deleted.status_code == 409)
            if inserted.status_code == 200:
                assert media(inserted.json())[0] == iso.name
                kim.change(machine, "media/detach")
            seen.add((inserted.status_code, deleted.status_code))
            iso.unlink(missing_ok=True)
    assert not (libvirtd.isos / ".going").exists() or not list((libvirtd.isos / ".going").iterdir())
    assert seen
