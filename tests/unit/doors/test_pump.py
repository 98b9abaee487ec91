"""The pump between a WebSocket and an engine's socket (a real socket pair), on both event loops."""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator

import pytest
import uvloop

from madang.desktops.agent import certificate
from madang.doors.pump import End, _to_browser, pump
from madang.doors.view_only import ViewOnly
from madang.doors.wires import TlsWire, client_context
from madang.kernel.sockets import WebSocket

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")
SECONDS = 10.0
# Far above the buffers on the way (streams, kernel), far below what a browser that does not read would let pile up.
MOST_HELD = 4 * 1024 * 1024


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy(), uvloop.EventLoopPolicy()], ids=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    return request.param


class Counted:
    """Stands in for the door's counters."""

    def __init__(self) -> None:
        self.sent = self.received = 0

    def to_browser(self, size: int) -> None:
        self.sent += size

    def to_engine(self, size: int) -> None:
        self.received += size


class Browser:
    """The far side of the WebSocket: what it sends, what it got, whether it takes anything."""

    def __init__(self) -> None:
        self.got = bytearray()
        self.messages: asyncio.Queue[dict] = asyncio.Queue()
        self.endless: bytes | None = None  # sent again and again, as fast as it is taken
        self.taken = 0
        self.takes = asyncio.Event()
        self.takes.set()
        self.gone = False
        self.web_socket = WebSocket({"headers": []}, self._receive, self._send)
        self.web_socket.open = True

    def say(self, data: bytes) -> None:
        self.messages.put_nowait({"type": "websocket.receive", "bytes": data})

    def say_without_end(self, data: bytes) -> None:
        self.endless = data
        self.say(data)  # wakes a pump that is waiting already

    def leave(self) -> None:
        self.messages.put_nowait({"type": "websocket.disconnect", "code": 1001})

    async def _receive(self) -> dict:
        if self.endless is not None and self.messages.empty():
            await asyncio.sleep(0)
            self.taken += len(self.endless)
            return {"type": "websocket.receive", "bytes": self.endless}
        return await self.messages.get()

    async def _send(self, message: dict) -> None:
        await self.takes.wait()
        if self.gone:
            raise OSError("gone")
        self.got += message["bytes"]


class Door:
    """A pump at work. `far` is the engine's own end."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.far.setblocking(False)
        self.browser = Browser()
        self.counted = Counted()
        self.task = asyncio.create_task(pump(self.browser.web_socket, self.near, self.counted))

    async def end(self) -> End:
        async with asyncio.timeout(SECONDS):
            return await self.task

    async def read(self, size: int) -> bytes:
        data = b""
        async with asyncio.timeout(SECONDS):
            while len(data) < size:
                data += await asyncio.get_running_loop().sock_recv(self.far, size - len(data))
        return data

    async def until_browser_got(self, size: int) -> None:
        async with asyncio.timeout(SECONDS):
            while len(self.browser.got) < size:
                await asyncio.sleep(0.001)

    async def engine_sees_the_end(self) -> bool:
        async with asyncio.timeout(SECONDS):
            with contextlib.suppress(ConnectionResetError):
                while await asyncio.get_running_loop().sock_recv(self.far, 65536):
                    pass
        return True


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    made = Door()
    yield made
    made.task.cancel()
    await asyncio.gather(made.task, return_exceptions=True)
    made.far.close()
    made.near.close()


async def test_bytes_go_both_ways_unchanged_and_in_order(door: Door):
    towards_browser, towards_engine = os.urandom(3_000_000), os.urandom(3_000_000)

    async def from_browser() -> None:
        for begin in range(0, len(towards_engine), 10_007):
            door.browser.say(towards_engine[begin : begin + 10_007])
            await asyncio.sleep(0)

    sending = asyncio.create_task(from_browser())
    engine = asyncio.create_task(asyncio.get_running_loop().sock_sendall(door.far, towards_browser))
    assert await door.read(len(towards_engine)) == towards_engine
    await door.until_browser_got(len(towards_browser))
    await asyncio.gather(sending, engine)
    assert bytes(door.browser.got) == towards_browser
    assert (door.counted.sent, door.counted.received) == (len(towards_browser), len(towards_engine))


async def test_a_text_message_is_carried_as_its_bytes(door: Door):
    door.browser.messages.put_nowait({"type": "websocket.receive", "text": "안녕"})
    assert await door.read(6) == "안녕".encode()


async def test_when_the_engine_ends_what_it_said_before_still_arrives(door: Door):
    last = os.urandom(100_000)
    await asyncio.get_running_loop().sock_sendall(door.far, last)
    door.far.close()
    assert await door.end() is End.ENGINE
    assert bytes(door.browser.got) == last


async def test_when_the_browser_leaves_the_engine_sees_the_end(door: Door):
    door.browser.say(b"last")
    assert await door.read(4) == b"last"
    door.browser.leave()
    assert await door.end() is End.BROWSER
    assert await door.engine_sees_the_end()


async def test_a_browser_that_is_gone_is_noticed_by_sending(door: Door):
    door.browser.gone = True
    await asyncio.get_running_loop().sock_sendall(door.far, b"frame")
    assert await door.end() is End.BROWSER
    assert await door.engine_sees_the_end()


async def test_an_engine_that_is_gone_is_noticed_by_sending(door: Door):
    door.far.shutdown(socket.SHUT_RD)
    door.browser.say_without_end(b"x" * 65536)
    assert await door.end() is End.ENGINE


async def test_both_ends_gone_at_once_is_one_end(door: Door):
    door.browser.leave()
    door.far.close()
    assert await door.end() in (End.BROWSER, End.ENGINE)


async def written_until_it_holds(door: Door) -> int:
    """What the engine can write before it has to wait: all that is held on the way."""
    loop, written, part = asyncio.get_running_loop(), 0, b"x" * 65536
    while written < 16 * MOST_HELD:
        try:
            written += door.far.send(part)
        except BlockingIOError:
            begin = loop.time()
            while loop.time() - begin < 0.2:
                await asyncio.sleep(0.01)
                with contextlib.suppress(BlockingIOError):
                    written += door.far.send(part)
                    break
            else:
                return written
    return written


async def test_a_browser_that_does_not_read_makes_the_engine_wait_and_loses_nothing(door: Door):
    door.browser.takes.clear()
    written = await written_until_it_holds(door)
    assert written < MOST_HELD
    door.browser.takes.set()
    await door.until_browser_got(written)
    assert len(door.browser.got) == written


async def test_an_engine_that_does_not_read_makes_the_browser_wait(door: Door):
    door.browser.say_without_end(b"x" * 65536)
    held = -1
    while held != door.browser.taken:
        held = door.browser.taken
        await asyncio.sleep(0.2)
    assert 0 < held < MOST_HELD
    door.browser.endless = None
    assert len(await door.read(held - 65536)) == held - 65536


async def test_a_browser_that_does_not_read_does_not_keep_the_pump_from_ending(door: Door):
    door.browser.takes.clear()
    await written_until_it_holds(door)
    door.browser.leave()
    assert await door.end() is End.BROWSER
    assert await door.engine_sees_the_end()


async def test_who_cancels_the_pump_closes_the_engines_socket(door: Door):
    door.browser.takes.clear()
    await written_until_it_holds(door)
    door.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await door.end()
    assert await door.engine_sees_the_end()


async def test_nothing_is_left_open_or_running_after_many_connections():
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    async def one(number: int) -> None:
        door = Door()
        await asyncio.sleep(0)
        if number % 3 == 0:
            door.browser.leave()
        elif number % 3 == 1:
            door.far.close()
        else:
            door.task.cancel()
        await asyncio.gather(door.task, return_exceptions=True)
        door.far.close()

    await one(0)
    await asyncio.sleep(0.01)
    before, tasks = descriptors(), len(asyncio.all_tasks())
    for number in range(60):
        await one(number)
    await asyncio.sleep(0.01)
    assert descriptors() <= before + 2
    assert len(asyncio.all_tasks()) == tasks


class Hole(bytearray):
    """Takes everything, keeps nothing."""

    def __iadd__(self, more: object) -> "Hole":
        return self


class NeverPauses:
    """An engine that always has something to say, until it is gone."""

    def __init__(self, parts: int) -> None:
        self.left = parts

    def receive_now(self, buffer: bytearray) -> int:
        if not self.left:
            raise OSError("gone")
        self.left -= 1
        return len(buffer)


async def test_an_engine_that_never_pauses_does_not_keep_others_waiting(event_loop_policy):
    browser, turns = Browser(), 0
    browser.got = Hole()
    carrying = asyncio.create_task(_to_browser(NeverPauses(400), browser.web_socket, Counted()))
    while not carrying.done():
        await asyncio.sleep(0)
        turns += 1
    assert await carrying is End.ENGINE
    assert turns >= 50


async def test_a_browser_that_says_what_it_may_not_is_let_go(event_loop_policy):
    near, far = socket.socketpair()
    far.setblocking(False)
    browser = Browser()
    carrying = asyncio.create_task(pump(browser.web_socket, near, Counted(), ViewOnly()))
    browser.say(b"RFB 003.008\n\x01\x00")
    browser.say(b"\x05\x00\x00\x01\x00\x01")  # the pointer: goes nowhere
    browser.say(b"\x03\x00" + bytes(8))
    async with asyncio.timeout(SECONDS):
        said = b""
        while not said.endswith(b"\x03\x00" + bytes(8)):
            said += await asyncio.get_running_loop().sock_recv(far, 4096)
        assert said.startswith(b"RFB 003.008\n\x01\x01\x02")
        browser.say(b"\x99")
        assert await carrying is End.FILTER
        assert await asyncio.get_running_loop().sock_recv(far, 10) == b""
    far.close()


async def test_a_large_frame_is_filtered_with_others_turns_in_between(event_loop_policy):
    near, far = socket.socketpair()
    browser, turns = Browser(), 0
    carrying = asyncio.create_task(pump(browser.web_socket, near, Counted(), ViewOnly()))
    browser.say(b"RFB 003.008\n\x01\x00" + b"\x05\x00\x00\x01\x00\x01" * 200_000 + b"\x99")
    while not carrying.done():
        await asyncio.sleep(0)
        turns += 1
    assert await carrying is End.FILTER
    assert turns > 50
    far.close()


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    key, end, pem = certificate._pems(("localhost",)).partition(certificate._KEY_END)
    return certificate._context(key + end, pem), client_context()


async def test_through_tls(event_loop_policy, contexts):
    near, far = socket.socketpair()
    agent, portal = TlsWire(far, contexts[0], server=True), TlsWire(near, contexts[1])
    await asyncio.wait_for(asyncio.gather(agent.handshake(), portal.handshake()), SECONDS)
    browser, counted = Browser(), Counted()
    carrying = asyncio.create_task(pump(browser.web_socket, portal, counted))
    data = os.urandom(3_000_000)
    browser.takes.clear()  # does not read for a while
    sending = asyncio.create_task(agent.send_all(data))
    await asyncio.sleep(0.2)
    assert not sending.done()
    browser.takes.set()
    async with asyncio.timeout(SECONDS):
        await sending
        while len(browser.got) < len(data):
            await asyncio.sleep(0.001)
        assert bytes(browser.got) == data and counted.sent == len(data)
        browser.say(data)
        got = bytearray()
        room = bytearray(100_000)
        while len(got) < len(data):
            got += room[: await agent.receive_into(room)]
        assert got == data
        agent.close()
        assert await carrying is End.ENGINE
    assert portal.socket.fileno() == -1
