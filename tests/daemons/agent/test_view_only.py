"""The filter for who may only look, before a real display."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from typing import Any

import pytest

from madang.doors import calls
from madang.doors.calls import DoorPlace
from madang.doors.view_only import ViewOnly
from madang.doors.wires import SocketWire
from tests.daemons.agent.desk import Desk, eventually
from tests.daemons.agent.rfb import Client
from tests.support.accounts import AS_ROOT, needs_readable_checkout

POINTER = (
    "import Xlib.display; p = Xlib.display.Display().screen().root.query_pointer(); print(p.root_x, p.root_y, sep=',')"
)
TEXT = "the owner's own words"
CAPS, NOTIFY, PROVIDE = 1 << 24, 1 << 27, 1 << 28


class Looking:
    """A connection whose user may only look."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._allowed = ViewOnly()

    def sendall(self, data: bytes) -> None:
        if kept := self._allowed(data):
            self._connection.sendall(kept)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


async def client(desk: Desk, *, looks: bool) -> Client:
    place = DoorPlace.local(desk.folder / "door.sock", desk.uid)
    wire = await calls.engine(place, desk.order.door_key, desk.session)
    assert isinstance(wire, SocketWire)
    return await asyncio.to_thread(Client, Looking(wire.socket) if looks else wire.socket)


def pointer(desk: Desk) -> str:
    if AS_ROOT:
        needs_readable_checkout({"user": desk.uid, "group": desk.gid, "extra_groups": []})
    return desk.run(sys.executable, "-c", POINTER).stdout.strip()


async def test_neither_pointer_nor_keys_nor_size_reach_the_desktop(desk: Desk) -> None:
    await desk.settled()
    acts, looks = await client(desk, looks=False), await client(desk, looks=True)
    acts.point(700, 500)
    await eventually(lambda: pointer(desk) == "700,500", 5, "the pointer does not move at all")
    looks.point(11, 12)
    looks.press(0xFFEB)
    looks.resize_without_answer(800, 600)
    await asyncio.sleep(0.5)
    assert pointer(desk) == "700,500"
    assert "1440x900" in desk.run("xdpyinfo").stdout
    # It still sees: a whole picture comes.
    assert await asyncio.to_thread(looks.next_flags, 2)
    looks.ask_for_picture()
    assert await asyncio.to_thread(looks.read, 1) == b"\0"


@pytest.mark.parametrize("asks", [False, True], ids=["silent", "with encodings"])
async def test_the_owners_clipboard_is_announced_but_never_told(desk: Desk, asks: bool) -> None:
    await desk.settled()
    looks, open_client = await client(desk, looks=True), await client(desk, looks=False)
    if asks:
        looks.set_encodings(0, -239)
    clip = desk.open("xclip", "-selection", "clipboard", "-i", stdin=-1)
    assert clip.stdin is not None
    clip.stdin.write(TEXT.encode())
    clip.stdin.close()
    await asyncio.to_thread(clip.wait, 5)
    # The request of a client that knows of the announcement.
    looks.say(struct.pack(">B3xiI", 6, -4, 1 << 25 | 1))
    # Who may act is told the old way: this shows that there is something to be told.
    assert TEXT in await asyncio.to_thread(open_client.next_cut_text)
    flags, deadline = [], time.monotonic() + 2
    while time.monotonic() < deadline:
        if (found := await asyncio.to_thread(looks.next_flags, 0.5)) is not None:
            flags.append(found)
    # With its caps the server says what it could do; then comes what it does.
    assert flags[0] & CAPS and flags[0] != 0xFFFFFFFF
    does = [found for found in flags if not found & CAPS]
    assert does and all(found & NOTIFY and not found & PROVIDE for found in does)
