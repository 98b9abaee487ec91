"""Calls through a door, whose other side misbehaves in all ways it can; on both event loops and both kinds of doors."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from madang.desktops.agent import certificate
from madang.doors import calls, tickets
from madang.doors.calls import DoorPlace
from madang.doors.handover import DoorError, DoorForeign, DoorRefused, DoorUnreachable

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")
KEY, SESSION = tickets.new_key(), "s1"
OK = b'{"ok":true}\n'
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy(), uvloop.EventLoopPolicy()], ids=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    return request.param


@pytest.fixture(scope="module")
def pems() -> tuple[bytes, str]:
    key, end, pem = certificate._pems(("localhost",)).partition(certificate._KEY_END)
    return key + end + pem, hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).hexdigest()


@pytest.fixture(params=["unix", "tls"])
async def serve(
    request: pytest.FixtureRequest, tmp_path: Path, pems: tuple[bytes, str]
) -> AsyncIterator[Callable[[Serve], Awaitable[DoorPlace]]]:
    """Opens a door that answers so."""
    servers = []

    async def open_door(answer: Serve) -> DoorPlace:
        async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                await answer(reader, writer)
            writer.close()

        if request.param == "unix":
            servers.append(await asyncio.start_unix_server(guarded, tmp_path / "door"))
            return DoorPlace.local(tmp_path / "door", os.geteuid())
        (tmp_path / "pem").write_bytes(pems[0])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "pem")
        servers.append(await asyncio.start_server(guarded, "127.0.0.1", ssl=context))
        return DoorPlace.remote("127.0.0.1", servers[-1].sockets[0].getsockname()[1], pems[1])

    yield open_door
    for server in servers:
        server.close()


def says(*parts: bytes, pause: float = 0.0) -> Serve:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return answer


async def call(place: DoorPlace, **more: float) -> dict[str, object]:
    return await calls.call(place, KEY, SESSION, "verb", {"a": 1}, **more)


async def test_what_is_asked_and_answered(serve: Callable[[Serve], Awaitable[DoorPlace]]) -> None:
    heard = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(json.loads(await reader.readline()))
        writer.write(b'{"ok":true,"b":[1,')
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"2]}\n")
        await writer.drain()

    assert (await call(await serve(answer)))["b"] == [1, 2]
    assert heard[0]["do"] == "verb" and heard[0]["a"] == 1
    tickets.check(KEY, SESSION, heard[0]["ticket"], tickets.Memory())


async def test_a_refusal_keeps_its_words(serve: Callable[[Serve], Awaitable[DoorPlace]]) -> None:
    words = {"ok": False, "code": "disk_full", "title": "Full.", "detail": "x" * 5000, "hint": None}
    with pytest.raises(DoorRefused) as caught:
        await call(await serve(says(json.dumps(words).encode() + b"\n")))
    error = caught.value
    assert (error.code, error.title, len(error.detail), error.hint) == ("disk_full", "Full.", 1000, "")


@pytest.mark.parametrize("said", [b"", b"\n", b"{}", b"null\n", b"[]\n", b"nonsense\n", b"[" * 9000 + b"\n", b"\xff\n"])
async def test_nonsense_is_an_unreachable_door(serve: Callable[[Serve], Awaitable[DoorPlace]], said: bytes) -> None:
    with pytest.raises(DoorUnreachable):
        await call(await serve(says(said)))


async def test_silence_ends_in_time(serve: Callable[[Serve], Awaitable[DoorPlace]]) -> None:
    place = await serve(says(pause=5))

    with pytest.raises(DoorUnreachable):
        await call(place, timeout_seconds=0.2)
    with pytest.raises(DoorUnreachable):
        await calls.fetch(place, KEY, SESSION, "log", most_bytes=10, timeout_seconds=0.2)


async def test_somebody_else_is_told_nothing(serve: Callable[[Serve], Awaitable[DoorPlace]]) -> None:
    heard = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())

    place = await serve(listen)
    other = replace(place, uid=place.uid + 1) if place.path else replace(place, fingerprint="0" * 64)
    with pytest.raises(DoorForeign):
        await call(other)
    await asyncio.sleep(0.05)
    assert heard in ([], [b""])


async def test_bytes_after_the_answer(serve: Callable[[Serve], Awaitable[DoorPlace]]) -> None:
    data = os.urandom(700_000)
    place = await serve(says(b'{"ok":true,"size":700000,"type":"t"}\n' + data[:5], data[5:]))
    answer, body = await calls.fetch(place, KEY, SESSION, "picture", most_bytes=700_000)
    assert body == data and answer["type"] == "t"
    with pytest.raises(DoorUnreachable):
        await calls.fetch(place, KEY, SESSION, "picture", most_bytes=699_999)


@pytest.mark.parametrize("size", [b'"9"', b"-1", b"true", b"null", b"1e99"])
async def test_a_size_that_is_none(serve: Callable[[Serve], Awaitable[DoorPlace]], size: bytes) -> None:
    with pytest.raises(DoorUnreachable):
        await calls.fetch(await serve(says(b'{"ok":true,"size":' + size + b"}\n")), KEY, SESSION, "log", most_bytes=99)


async def test_less_than_was_said(serve: Callable[[Serve], Awaitable[DoorPlace]]) -> None:
    with pytest.raises(DoorUnreachable):
        await calls.fetch(await serve(says(b'{"ok":true,"size":9}\n12345678')), KEY, SESSION, "log", most_bytes=99)


async def test_a_stalled_download_ends(serve: Callable[[Serve], Awaitable[DoorPlace]]) -> None:
    place = await serve(says(b'{"ok":true,"size":9}\n1234', pause=5))
    with pytest.raises(DoorUnreachable):
        async with calls.stream_get(place, KEY, SESSION, "files.get", {}, stall_seconds=0.2) as download:
            async for _ in download:
                pass


async def test_an_upload(serve: Callable[[Serve], Awaitable[DoorPlace]]) -> None:
    got = bytearray()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = json.loads(await reader.readline())["size"]
        writer.write(OK)
        while len(got) < size:
            got.extend(await reader.read(65536))
        writer.write(b'{"ok":true,"name":"n","size":%d}\n' % size)
        await writer.drain()

    data = os.urandom(2_000_000)
    place = await serve(take)
    async with calls.stream_put(place, KEY, SESSION, "files.put", {"size": len(data)}) as upload:
        for start in range(0, len(data), 300_000):
            await upload.send(data[start : start + 300_000])
        assert (await upload.finish())["size"] == len(data)
    assert bytes(got) == data


@pytest.mark.parametrize("reads_on", [True, False])
async def test_an_upload_that_the_agent_gives_up(
    serve: Callable[[Serve], Awaitable[DoorPlace]], reads_on: bool
) -> None:
    async def give_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(OK)
        await reader.readexactly(100_000)
        writer.write(b'{"ok":false,"code":"disk_full"}\n')
        await writer.drain()
        while reads_on and await reader.read(65536):
            pass
        await asyncio.sleep(2)

    place = await serve(give_up)
    with pytest.raises(DoorRefused) as caught:
        async with asyncio.timeout(2), calls.stream_put(place, KEY, SESSION, "put", {"size": 1 << 30}) as upload:
            while True:
                await upload.send(bytes(100_000))
    assert caught.value.code == "disk_full"


async def test_an_upload_that_nobody_takes(serve: Callable[[Serve], Awaitable[DoorPlace]]) -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(OK)
        await asyncio.sleep(3)

    with pytest.raises(DoorUnreachable):
        async with calls.stream_put(await serve(stall), KEY, SESSION, "put", {}, stall_seconds=0.3) as upload:
            while True:
                await upload.send(bytes(4_000_000))


async def test_nothing_is_left_open(serve: Callable[[Serve], Awaitable[DoorPlace]]) -> None:
    place = await serve(says(OK))
    before, tasks = len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())
    for _ in range(10):
        await call(place)
        with contextlib.suppress(DoorError):
            await call(replace(place, uid=-5, fingerprint="0" * 64))
    await asyncio.sleep(0.1)
    assert len(os.listdir("/proc/self/fd")) <= before + 2
    assert len(asyncio.all_tasks()) <= tasks + 2
