"""RFB 3.8 as a client of the session's own engine (RFC 6143; extensions: rfbproto)."""

from __future__ import annotations

import asyncio
import struct

from madang.desktops.agent.carry import Desktop
from madang.desktops.agent.log import log
from madang.doors.wires import Wire

VERSION = b"RFB 003.008\n"
_EXTENDED_DESKTOP_SIZE = -308
_DESKTOP_SIZE = -223
_RESIZE_SECONDS = 5.0


class EngineRefuses(ConnectionError):
    """The engine answers something else than it should."""


async def greet_engine(engine: Wire) -> None:
    """The client's half of the handshake that the engine expects, up to ClientInit: no security of its own."""
    await exactly(engine, 12)
    await engine.send_all(VERSION)
    await exactly(engine, (await exactly(engine, 1))[0])
    await engine.send_all(b"\x01")
    if await exactly(engine, 4) != bytes(4):
        raise EngineRefuses("the display refuses")


async def exactly(wire: Wire, size: int) -> bytes:
    """So many bytes. Raises ConnectionError when the other side ends before."""
    data = bytearray(size)
    room = memoryview(data)
    filled = 0
    while filled < size:
        count = await wire.receive_into(room[filled:])
        if not count:
            raise ConnectionError("the other side hung up")
        filled += count
    return bytes(data)


async def resize(desktop: Desktop, width: int, height: int) -> None:
    """Give the screen another size, as a viewer's SetDesktopSize does. Raises OSError, TimeoutError, Refusal."""
    async with asyncio.timeout(_RESIZE_SECONDS):
        engine = await desktop.connect()
        try:
            await greet_engine(engine)
            await engine.send_all(b"\x01")  # shared
            now = struct.unpack(">HH", await exactly(engine, 4))
            await exactly(engine, 16)
            await exactly(engine, struct.unpack(">I", await exactly(engine, 4))[0])
            if now == (width, height):
                return
            # The engine takes the message only from a client that says it knows of sizes.
            await engine.send_all(struct.pack(">BxHii", 2, 2, _EXTENDED_DESKTOP_SIZE, _DESKTOP_SIZE))
            await engine.send_all(struct.pack(">BBHHHH", 3, 1, 0, 0, 1, 1))
            screen = struct.pack(">IHHHHI", 0, 0, 0, width, height, 0)
            await engine.send_all(struct.pack(">BxHHBx", 251, width, height, 1) + screen)
            await _hear_of_size(engine, width, height)
        finally:
            engine.close()
    log(f"screen: {width}x{height}")


async def _hear_of_size(engine: Wire, width: int, height: int) -> None:
    """Read updates until one is of the size asked for, or the engine says why not."""
    while True:
        kind = (await exactly(engine, 1))[0]
        if kind != 0:
            raise EngineRefuses(f"message {kind} instead of the new size")
        _, count = struct.unpack(">BH", await exactly(engine, 3))
        for _ in range(count):
            reason, result, wide, high, encoding = struct.unpack(">HHHHi", await exactly(engine, 12))
            if encoding == _EXTENDED_DESKTOP_SIZE:
                await exactly(engine, 16 * (await exactly(engine, 4))[0])
                if reason == 1:  # the answer to a client's own wish
                    if result:
                        raise EngineRefuses(f"the display cannot be {width}x{height} ({result})")
                    return
            elif encoding == 0:
                await exactly(engine, wide * high * 4)
