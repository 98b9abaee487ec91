"""What somebody untrusted can do at the other end of a Unix socket: nothing to anybody else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from madang.doors import handover
from madang.doors.strangers import StrangersWire
from tests.unit.doors.test_handover import UID, assert_closed, door, hand, open_descriptors

LINGER_SECONDS = 3
QUICK_SECONDS = 1.0


@pytest.fixture
def lingering() -> Iterator[Callable[[], socket.socket]]:
    """Makes sockets whose last close() blocks for some seconds: the other side takes nothing any more."""
    kept: list[socket.socket] = []

    def make() -> socket.socket:
        listener, client = socket.socket(), socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        listener.listen(1)
        client.connect(listener.getsockname())
        kept.extend((listener, listener.accept()[0]))
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                client.send(bytes(65536))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, LINGER_SECONDS))
        return client

    yield make
    for one in kept:
        one.close()


async def longest_pause(work: Callable[[], Awaitable[object]]) -> float:
    """How long the event loop stood still while this was done, and for a moment after it."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            begun = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - begun)

    watching = asyncio.create_task(watch())
    await work()
    await asyncio.sleep(0.3)
    watching.cancel()
    return longest


def give_away(connection: socket.socket, line: bytes, one: socket.socket) -> None:
    """Ours is closed then: whoever gets it closes it last."""
    hand(connection, line, one.fileno())
    one.close()


@pytest.mark.parametrize("line", [b'{"ok":false}\n', b'{"ok":true}\n', b"nonsense\n"])
async def test_a_socket_that_lingers(tmp_path: Path, line: bytes, lingering: Callable[[], socket.socket]) -> None:
    before = open_descriptors()
    tcp = lingering()
    async with door(tmp_path / "d", lambda c, _: give_away(c, line, tcp)) as path:

        async def go() -> None:
            with pytest.raises(handover.DoorError):
                await handover.take(path, "t", UID)

        assert await longest_pause(go) < QUICK_SECONDS
    assert_closed(before + 2)  # what the fixture keeps


async def test_a_socket_that_lingers_in_the_queue_of_another(
    tmp_path: Path, lingering: Callable[[], socket.socket]
) -> None:
    tcp = lingering()
    one, two = socket.socketpair()
    give_away(one, b"x", tcp)
    one.close()
    async with door(tmp_path / "d", lambda c, _: give_away(c, b'{"ok":false}\n', two)) as path:

        async def go() -> None:
            with pytest.raises(handover.DoorError):
                await handover.take(path, "t", UID)

        assert await longest_pause(go) < QUICK_SECONDS


async def test_a_socket_that_lingers_comes_from_the_engine(lingering: Callable[[], socket.socket]) -> None:
    ours, theirs = socket.socketpair()
    wire = StrangersWire(ours)
    give_away(theirs, b"RFB 003.008\n", lingering())

    async def go() -> None:
        with pytest.raises(ConnectionAbortedError):
            await wire.receive_into(bytearray(100))
        wire.close()

    assert await longest_pause(go) < QUICK_SECONDS
    theirs.close()


async def test_a_socket_that_lingers_was_not_read_when_we_hang_up(lingering: Callable[[], socket.socket]) -> None:
    ours, theirs = socket.socketpair()
    wire = StrangersWire(ours)
    give_away(theirs, b"x", lingering())

    async def go() -> None:
        wire.close()
        wire.close()

    assert await longest_pause(go) < QUICK_SECONDS
    theirs.close()


async def test_descriptors_without_end(tmp_path: Path) -> None:
    before = open_descriptors()
    most = 0

    def flood(connection: socket.socket, _: bytes) -> None:
        nonlocal most
        with contextlib.suppress(OSError):
            for _ in range(1000):
                hand(connection, b"x", *[connection.fileno()] * 200)
                most = max(most, open_descriptors())

    async with door(tmp_path / "d", flood) as path:
        with pytest.raises(handover.DoorForeign):
            await handover.take(path, "t", UID)
    assert most < before + 250
    assert_closed(before)


async def test_who_shares_a_socket_makes_it_block(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    engine, other_end = socket.socketpair()
    async with door(tmp_path / "d", lambda c, _: hand(c, b'{"ok":true}\n', engine.fileno())) as path:
        wire = StrangersWire(await handover.take(path, "t", UID))
    os.set_blocking(engine.fileno(), True)
    buffer = bytearray(100)
    other_end.send(b"first")

    async def go() -> None:
        assert await wire.receive_into(buffer) == 5
        assert wire.receive_now(buffer) == 0
        sending = asyncio.create_task(wire.send_all(bytes(10_000_000)))
        await asyncio.sleep(0.1)
        assert not sending.done()
        sending.cancel()
        await asyncio.wait((sending,))

    assert await asyncio.wait_for(longest_pause(go), 10) < QUICK_SECONDS
    wire.close()
    for one in (ours, theirs, engine, other_end):
        one.close()


async def test_carries_both_ways() -> None:
    ours, theirs = socket.socketpair()
    wire = StrangersWire(ours)
    data = os.urandom(3_000_000)

    def echo() -> bytes:
        got = b""
        while len(got) < len(data):
            got += theirs.recv(65536)
        theirs.sendall(got)
        theirs.close()
        return got

    echoing = asyncio.create_task(asyncio.to_thread(echo))
    await wire.send_all(data)
    back = bytearray()
    part = bytearray(65536)
    while count := await wire.receive_into(part):
        back += part[:count]
    assert await echoing == back == data
    wire.close()
