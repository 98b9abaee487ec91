"""What the portal believes of a door: nothing the kernel has not said."""

from __future__ import annotations

import array
import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from madang.doors import handover
from tests.support.waiting import eventually

Answer = Callable[[socket.socket, bytes], None]
UID = os.geteuid()


@asynccontextmanager
async def door(path: Path, answer: Answer) -> AsyncIterator[Path]:
    """A door in a thread: it answers one request as it is told."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            answer(connection, connection.recv(4096))

    serving = asyncio.create_task(asyncio.to_thread(serve))
    try:
        yield path
    finally:
        await asyncio.wait_for(serving, 10)
        listener.close()


def hand(connection: socket.socket, line: bytes, *descriptors: int) -> None:
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    connection.sendmsg([line], ancillary)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def assert_closed(before: int) -> None:
    """What is a stranger's is closed elsewhere, a moment later. (So may be what an earlier test left.)"""
    eventually(lambda: open_descriptors() <= before, 5, lambda: f"{open_descriptors()} instead of {before}")


async def test_takes_the_socket_and_sends_the_ticket(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    requests = []

    def answer(connection: socket.socket, request: bytes) -> None:
        requests.append(json.loads(request))
        hand(connection, b'{"ok":true}\n', theirs.fileno())

    async with door(tmp_path / "d", answer) as path:
        taken = await handover.take(path, "a.b.c", UID)
    with taken, ours, theirs:
        assert requests == [{"ticket": "a.b.c"}]
        assert taken.getblocking() is False
        assert os.get_inheritable(taken.fileno()) is False
        ours.send(b"hello")
        assert taken.recv(10) == b"hello"


async def test_refusal_has_its_code(tmp_path: Path) -> None:
    async with door(tmp_path / "d", lambda c, _: hand(c, b'{"ok":false,"code":"ticket_expired"}\n')) as path:
        with pytest.raises(handover.DoorRefused) as caught:
            await handover.take(path, "t", UID)
    assert caught.value.code == "ticket_expired"


async def test_a_door_of_somebody_else_gets_no_ticket(tmp_path: Path) -> None:
    heard = []
    async with door(tmp_path / "d", lambda _, request: heard.append(request)) as path:
        with pytest.raises(handover.DoorForeign):
            await handover.take(path, "t", UID + 1)
    assert heard == [b""]


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"hello\n", b"[]\n", b'{"ok":1}\n', b'{"ok":true}\n', b'{"ok":true}', b"x" * 10_000]
)
async def test_an_answer_that_makes_no_sense(tmp_path: Path, line: bytes) -> None:
    before = open_descriptors()
    async with door(tmp_path / "d", lambda c, _: hand(c, line) if line else None) as path:
        with pytest.raises(handover.DoorError):
            await handover.take(path, "t", UID)
    assert_closed(before)


async def test_two_sockets_are_one_too_many(tmp_path: Path) -> None:
    before = open_descriptors()
    one, two = socket.socketpair()
    with one, two:

        def answer(connection: socket.socket, _: bytes) -> None:
            hand(connection, b'{"ok":true}\n', one.fileno(), two.fileno())

        async with door(tmp_path / "d", answer) as path:
            with pytest.raises(handover.DoorError):
                await handover.take(path, "t", UID)
    assert_closed(before)


@pytest.mark.parametrize("kind", ["file", "tcp", "datagram", "unconnected"])
async def test_what_is_no_connected_unix_stream_is_refused(tmp_path: Path, kind: str) -> None:
    before = open_descriptors()
    with (tmp_path / "file").open("w") as file, socket.socket() as tcp, socket.socket(socket.AF_UNIX) as alone:
        pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        wrong = {"file": file, "tcp": tcp, "datagram": pair[0], "unconnected": alone}[kind]

        def answer(connection: socket.socket, _: bytes) -> None:
            hand(connection, b'{"ok":true}\n', wrong.fileno())

        async with door(tmp_path / "d", answer) as path:
            with pytest.raises(handover.DoorError):
                await handover.take(path, "t", UID)
        for one in pair:
            one.close()
    assert_closed(before)


async def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(handover.DoorUnreachable):
        await handover.take(tmp_path / "d", "t", UID)


async def test_silence_ends_in_time_and_blocks_nobody(tmp_path: Path) -> None:
    ticks = []

    async def tick() -> None:
        while True:
            ticks.append(time.monotonic())
            await asyncio.sleep(0.01)

    ticking = asyncio.create_task(tick())
    before = open_descriptors()
    async with door(tmp_path / "d", lambda c, _: time.sleep(0.6)) as path:
        began = time.monotonic()
        with pytest.raises(handover.DoorUnreachable):
            await handover.take(path, "t", UID, timeout_seconds=0.3)
        assert 0.25 < time.monotonic() - began < 0.55
    ticking.cancel()
    assert len(ticks) > 10
    assert_closed(before)


async def test_works_on_uvloop(tmp_path: Path) -> None:
    uvloop = pytest.importorskip("uvloop")
    ours, theirs = socket.socketpair()

    async def through() -> bytes:
        def answer(connection: socket.socket, _: bytes) -> None:
            hand(connection, b'{"ok":true}\n', theirs.fileno())

        async with door(tmp_path / "d", answer) as path:
            with await handover.take(path, "t", UID) as taken:
                ours.send(b"hello")
                return await asyncio.get_running_loop().sock_recv(taken, 10)

    def run() -> bytes:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return bytes(runner.run(through()))

    assert await asyncio.to_thread(run) == b"hello"
    ours.close()
    theirs.close()
