"""What the door does beside opening the desktop, through both kinds of doors."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from madang.compute import processes
from madang.doors import calls
from madang.doors.calls import DoorPlace
from madang.doors.handover import DoorRefused, DoorUnreachable
from tests.daemons.agent.desk import Desk, Site, eventually
from tests.daemons.agent.node import NodeDesk, start_on_node

UPLOAD = 64 * 1024 * 1024


@pytest.fixture(params=["unix", "tls"])
async def desk(request: pytest.FixtureRequest, site: Site) -> Desk:
    if request.param == "unix":
        desk = await site.start(largest_upload_bytes=UPLOAD)
    else:
        desk = start_on_node(site)
    await desk.until("ready")
    return desk


@pytest.fixture
async def local_desk(site: Site) -> Desk:
    desk = await site.start(largest_upload_bytes=UPLOAD)
    await desk.until("ready")
    return desk


@pytest.fixture
def place_in_home(site: Site) -> Iterator[Path]:
    """A folder of the account's own, in its home."""
    folder = site.home / f"mdg-{os.getpid()}"
    folder.mkdir()
    os.chown(folder, site.uid, site.gid)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def place(desk: Desk) -> DoorPlace:
    return desk.place if isinstance(desk, NodeDesk) else DoorPlace.local(desk.folder / "door.sock", desk.uid)


def way(desk: Desk) -> tuple[DoorPlace, str, str]:
    return place(desk), desk.order.door_key, desk.session


async def ask(desk: Desk, verb: str, **arguments: Any) -> dict[str, Any]:
    return await calls.call(*way(desk), verb, arguments, 20)


async def refused(desk: Desk, verb: str, **arguments: Any) -> str:
    with pytest.raises(DoorRefused) as caught:
        await ask(desk, verb, **arguments)
    assert caught.value.title
    return caught.value.code


async def put(desk: Desk, folder: Path | str, name: str, data: bytes, size: int | None = None) -> dict[str, Any]:
    arguments = {"folder": str(folder), "name": name, "size": len(data) if size is None else size}
    async with calls.stream_put(*way(desk), "files.put", arguments) as upload:
        for start in range(0, len(data), 100_000):
            await upload.send(data[start : start + 100_000])
        return await upload.finish()


async def get(desk: Desk, path: Path | str) -> bytes:
    async with calls.stream_get(*way(desk), "files.get", {"path": str(path)}) as download:
        return b"".join([bytes(part) async for part in download])


# Files.


async def test_files_go_in_and_out_unharmed(desk: Desk, place_in_home: Path) -> None:
    data = os.urandom(3_000_001)
    answer = await put(desk, place_in_home, "보고서 1.pdf", data)
    path = place_in_home / "보고서 1.pdf"
    assert answer["path"] == str(path) and answer["name"] == path.name and answer["size"] == len(data)
    about = path.stat()
    assert path.read_bytes() == data and about.st_uid == desk.uid and about.st_mode & 0o777 == 0o644
    assert await get(desk, path) == data
    again = await put(desk, place_in_home, "보고서 1.pdf", b"other")
    assert again["name"] == "보고서 1 (2).pdf" and path.read_bytes() == data
    assert (await put(desk, place_in_home, "empty", b""))["size"] == 0
    assert await get(desk, place_in_home / "empty") == b""
    listing = await ask(desk, "files.list", path=place_in_home.name)
    assert listing["folder"] == str(place_in_home) and not listing["truncated"]
    assert {entry["name"] for entry in listing["entries"]} == {"보고서 1.pdf", "보고서 1 (2).pdf", "empty"}
    assert listing["entries"][0].keys() == {"name", "kind", "size", "modified"}


async def test_what_a_folder_holds(local_desk: Desk, place_in_home: Path) -> None:
    (place_in_home / "b").mkdir()
    (place_in_home / "a").write_text("12345")
    (place_in_home / "link").symlink_to("/etc/passwd")
    os.mkfifo(place_in_home / "pipe")
    (place_in_home / os.fsdecode(b"bad-\xff")).touch()
    listing = await ask(local_desk, "files.list", path=str(place_in_home))
    found = {entry["name"]: entry["kind"] for entry in listing["entries"]}
    assert found == {"b": "folder", "a": "file", "link": "link", "pipe": "other", "bad-\ufffd": "other"}
    assert [entry["size"] for entry in listing["entries"] if entry["name"] == "a"] == [5]
    home = await ask(local_desk, "files.list")
    assert home["folder"] in (str(local_desk.home / "Desktop"), str(local_desk.home))
    for number in range(2100):
        (place_in_home / "b" / str(number)).touch()
    many = await ask(local_desk, "files.list", path=str(place_in_home / "b"))
    assert many["truncated"] and len(many["entries"]) == 2000


async def test_what_files_are_refused(local_desk: Desk, place_in_home: Path) -> None:
    desk = local_desk
    os.mkfifo(place_in_home / "pipe")
    (place_in_home / "loop").symlink_to("loop")
    (place_in_home / "a").touch()
    assert await refused(desk, "files.get", path=str(place_in_home / "pipe")) == "not_a_file"
    assert await refused(desk, "files.get", path="/dev/zero") == "not_a_file"
    assert await refused(desk, "files.get", path=str(place_in_home)) == "not_a_file"
    assert await refused(desk, "files.get", path=str(place_in_home / "loop")) == "path_invalid"
    assert await refused(desk, "files.get", path="nowhere") == "file_not_found"
    assert await refused(desk, "files.get", path="a\0b") == "path_invalid"
    assert await refused(desk, "files.get", path=7) == "request_invalid"
    assert await refused(desk, "files.list", path="nowhere") == "file_not_found"
    assert await refused(desk, "files.list", path=str(place_in_home / "a")) == "not_a_folder"
    for name in ("", ".", "..", "a/b", "../x", "a\0b", "a\nb", "x" * 256):
        assert await refused(desk, "files.put", folder="", name=name, size=1) == "name_invalid", name
    assert await refused(desk, "files.put", folder="", name="a", size=-1) == "request_invalid"
    assert await refused(desk, "files.put", folder="", name="a", size=UPLOAD + 1) == "too_large"
    assert await refused(desk, "files.put", folder="nowhere", name="a", size=1) == "file_not_found"
    if os.geteuid() == 0:
        assert await refused(desk, "files.get", path="/etc/shadow") == "file_denied"
        assert await refused(desk, "files.list", path="/root") == "file_denied"
        assert await refused(desk, "files.put", folder="/etc", name="a", size=1) == "file_denied"


async def test_no_uploads_where_the_site_takes_none(site: Site) -> None:
    desk = await site.start()
    await desk.until("ready")
    assert await refused(desk, "files.put", folder="", name="a", size=1) == "uploads_off"


async def test_an_upload_that_is_cut_off_leaves_nothing(desk: Desk, place_in_home: Path) -> None:
    arguments = {"folder": str(place_in_home), "name": "a", "size": 1_000_000}
    async with calls.stream_put(*way(desk), "files.put", arguments) as upload:
        await upload.send(bytes(500_000))
    await asyncio.sleep(0.3)
    assert list(place_in_home.iterdir()) == []
    if os.geteuid() == 0:
        handles = [os.readlink(handle) for handle in Path(f"/proc/{desk.worker}/fd").iterdir()]
        assert not any(str(place_in_home) in handle for handle in handles)


async def test_a_name_that_is_almost_too_long_still_finds_another(local_desk: Desk, place_in_home: Path) -> None:
    name = "가" * 83 + ".pdf"  # 253 bytes
    await put(local_desk, place_in_home, name, b"1")
    second = await put(local_desk, place_in_home, name, b"2")
    assert second["name"].endswith(" (2).pdf") and len(second["name"].encode()) <= 255


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.parametrize("door", ["unix", "tls"])
async def test_a_disk_that_fills_up_on_the_way(site: Site, place_in_home: Path, door: str) -> None:
    changes = {"largest_upload_bytes": UPLOAD, "minimum_free_bytes": 0}
    desk = await site.start(**changes) if door == "unix" else start_on_node(site, **changes)
    await desk.until("ready")
    with SmallDisk(place_in_home / "disk", site) as disk:
        with pytest.raises(DoorRefused) as caught:
            await put(desk, disk, "large", bytes(3_000_000))
        assert caught.value.code == "disk_full"
        # There is room when it begins, and somebody else takes it meanwhile.
        arguments = {"folder": str(disk), "name": "large", "size": 1_500_000}
        with pytest.raises(DoorRefused) as caught:
            async with calls.stream_put(*way(desk), "files.put", arguments) as upload:
                await upload.send(bytes(300_000))
                (disk / "other").write_bytes(bytes(1_000_000))
                for _ in range(12):
                    await upload.send(bytes(100_000))
                await upload.finish()
        assert caught.value.code == "disk_full" and caught.value.hint
        assert [entry.name for entry in disk.iterdir()] == ["other"]


class SmallDisk:
    def __init__(self, at: Path, site: Site) -> None:
        self.at, self.site = at, site

    def __enter__(self) -> Path:
        self.at.mkdir()
        options = f"size=2M,uid={self.site.uid},gid={self.site.gid},mode=0700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(self.at)], check=True)
        return self.at

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", str(self.at)], check=True)


async def test_a_download_is_sent_no_faster_than_it_is_taken(desk: Desk, place_in_home: Path) -> None:
    path = place_in_home / "large"
    path.write_bytes(os.urandom(1 << 20) * 48)
    os.chown(path, desk.uid, desk.gid)
    before = processes.look(desk.worker)
    async with calls.stream_get(*way(desk), "files.get", {"path": str(path)}) as download:
        digest = hashlib.sha256()
        async for part in download:
            if digest.digest() == hashlib.sha256().digest():
                await asyncio.sleep(1)
                now = processes.look(desk.worker)
                assert before and now and (now.rss - before.rss) * 4096 < 6e6
            digest.update(part)
    assert digest.digest() == hashlib.sha256(path.read_bytes()).digest()


async def test_a_download_that_is_cut_off_is_not_taken_for_whole(desk: Desk, place_in_home: Path) -> None:
    path = place_in_home / "large"
    path.write_bytes(bytes(30_000_000))
    with pytest.raises(DoorUnreachable):
        async with calls.stream_get(*way(desk), "files.get", {"path": str(path)}) as download:
            async for _ in download:
                os.truncate(path, 10)
    with pytest.raises(DoorUnreachable):
        async with calls.stream_get(*way(desk), "files.get", {"path": str(path)}) as download:
            assert download.size == 10
            desk.kill(desk.worker)
            await asyncio.sleep(0.2)
            path.unlink()
            async for _ in download:
                pass
            raise DoorUnreachable("ten bytes may have been on their way already")


# Pictures.


async def test_a_picture_of_the_screen(desk: Desk) -> None:
    await desk.settled()
    answer, body = await calls.fetch(*way(desk), "picture", {"width": 320}, most_bytes=200_000)
    image = Image.open(io.BytesIO(body))
    assert answer["type"] == image.get_format_mimetype() == "image/webp"
    assert image.size == (320, 200)
    assert len(image.convert("RGB").getcolors(70_000) or range(1000)) > 50  # there is something to be seen
    began = time.monotonic()
    several = [calls.fetch(*way(desk), "picture", {"width": 320}, most_bytes=200_000) for _ in range(20)]
    assert {body for _, body in await asyncio.gather(*several)} == {body}
    assert time.monotonic() - began < 2
    assert await refused(desk, "picture", width=5) == "request_invalid"


async def test_pictures_cost_the_agent_nothing(local_desk: Desk) -> None:
    await local_desk.settled()
    await calls.fetch(*way(local_desk), "picture", {"width": 320}, most_bytes=200_000)
    before = processes.look(local_desk.worker)
    for width in range(100, 110):
        await calls.fetch(*way(local_desk), "picture", {"width": width}, most_bytes=200_000)
    after = processes.look(local_desk.worker)
    assert before and after
    cost = (after.cpu_ticks - before.cpu_ticks) * processes.TICK / 10
    assert cost <= 0.05
    assert (after.rss - before.rss) * 4 < 2000


async def test_no_picture_of_a_stopped_display(local_desk: Desk) -> None:
    server = local_desk.pid_of("Xvnc")
    local_desk.kill(server, signal.SIGSTOP)
    with pytest.raises(DoorRefused) as caught:
        await calls.fetch(*way(local_desk), "picture", {"width": 300}, most_bytes=200_000, timeout_seconds=20)
    assert caught.value.code == "picture_failed"
    local_desk.kill(server, signal.SIGCONT)
    await calls.fetch(*way(local_desk), "picture", {"width": 300}, most_bytes=200_000)
    assert not any("picture" in name for name in local_desk.processes().values())


# Repair.


async def test_nothing_to_repair(desk: Desk) -> None:
    await desk.settled()
    before = desk.processes()
    assert (await ask(desk, "repair"))["did"] == []
    assert desk.processes().keys() == before.keys()


async def test_a_stopped_display_goes_on(local_desk: Desk) -> None:
    desk = local_desk
    await desk.settled()
    desk.kill(desk.pid_of("Xvnc"), signal.SIGSTOP)
    desk.kill(desk.pid_of("xfwm4"), signal.SIGSTOP)
    assert (await ask(desk, "repair"))["did"] == ["display", "window_manager"]
    seen = len(desk.reports)
    await desk.site.portal.wait(
        desk.session, lambda report: bool(report["pulse"] and report["pulse"]["idle_seconds"] is not None), since=seen
    )


async def test_dead_pieces_come_back_and_programs_stay(site: Site) -> None:
    with site.autostarting("terminal", "xfce4-terminal", "--disable-server", "-x", "sleep", "600"):
        desk = await site.start()
        await desk.until("ready")
        await eventually(lambda: "sleep" in desk.processes().values(), 15, "no terminal")
        await desk.settled()
    kept, manager = desk.pid_of("sleep"), desk.pid_of("xfce4-session")
    words = {"xfwm4": "window_manager", "xfce4-panel": "panel", "xfdesktop": "desktop", "xfsettingsd": "settings"}
    for name in words:
        # Killed until the session manager gives up on it.
        for _ in range(12):
            if pid := next((pid for pid, found in desk.processes().items() if found == name), None):
                desk.kill(pid)
            await asyncio.sleep(0.15)
    missing = [name for name in words if name not in desk.processes().values()]
    assert missing
    did = (await ask(desk, "repair"))["did"]
    assert set(did) >= {words[name] for name in missing}
    assert set(words) <= set(desk.processes().values())
    assert desk.pid_of("xfce4-session") == manager and desk.pid_of("sleep") == kept
    await desk.settled()
    assert (await ask(desk, "repair"))["did"] == []
    assert sorted(name for name in desk.processes().values() if name in words) == sorted(words)
    await desk.end()
    await desk.assert_nothing_left()


@pytest.mark.parametrize(
    ("name", "word"), [("xfce4-panel", "panel"), ("xfdesktop", "desktop"), ("xfwm4", "window_manager")]
)
async def test_a_piece_that_does_not_answer_is_started_anew(local_desk: Desk, name: str, word: str) -> None:
    desk = local_desk
    await desk.settled()
    hung = desk.pid_of(name)
    tracer = hang(hung)
    try:
        assert (await ask(desk, "repair"))["did"] == [word]
    finally:
        tracer.kill()
        tracer.wait()
    assert desk.pid_of(name) != hung
    await desk.settled()
    assert (await ask(desk, "repair"))["did"] == []


def hang(pid: int) -> Any:
    """Holds a process without stopping it by a signal: as a debugger does (state t)."""
    script = (
        "import ctypes, sys, time\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"assert libc.ptrace(0x4206, {pid}, 0, 0) == 0, ctypes.get_errno()\n"  # PTRACE_SEIZE
        f"assert libc.ptrace(0x4207, {pid}, 0, 0) == 0, ctypes.get_errno()\n"  # PTRACE_INTERRUPT
        "print('held', flush=True)\n"
        "time.sleep(60)\n"
    )
    tracer = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert tracer.stdout is not None and tracer.stdout.readline() == b"held\n"
    return tracer


async def test_jobs_that_somebody_stopped_in_a_terminal_stay_stopped(site: Site) -> None:
    spawn = "import pty; pty.spawn(['sleep', '601'])"
    with site.autostarting("shell", "/usr/bin/python3", "-c", spawn):
        desk = await site.start()
        await desk.until("ready")
        await eventually(lambda: "sleep" in desk.processes().values(), 15, "no shell")
        await desk.settled()
    stopped = desk.pid_of("sleep")
    parent = processes.look(stopped).parent  # type: ignore[union-attr]
    for pid in (stopped, parent):
        desk.kill(pid, signal.SIGSTOP)
        await eventually(lambda pid=pid: processes.look(pid).state == "T", 5, "it does not stop")  # type: ignore[misc, union-attr]
    assert (await ask(desk, "repair"))["did"] == ["programs"]
    now = processes.look(stopped)
    assert now is not None and now.state == "T"


# Instructions.


async def test_a_portal_without_a_link_instructs_through_the_door(desk: Desk) -> None:
    await desk.site.portal.stop()
    with pytest.raises(DoorRefused) as caught:
        await ask(desk, "instruct", instruction={"do": "dance"})
    assert caught.value.code == "request_invalid"
    await ask(desk, "instruct", instruction={"do": "time", "ends_at": time.time() + 0.5})
    await eventually(lambda: "Xvnc" not in desk.processes().values(), 10, "it goes on")
    await desk.site.portal.start()
    assert (await desk.until("ended"))["end_reason"] == "time_limit"
    await desk.until_gone()


async def test_many_guests_at_once(desk: Desk) -> None:
    answers = await asyncio.gather(*(ask(desk, "files.list", path="/") for _ in range(60)))
    # A desktop that is just starting makes files in its home: what is there may differ from answer to answer.
    assert len(answers) == 60 and all(isinstance(answer["entries"], list) for answer in answers)
