"""The pump between a browser's WebSocket and an engine's socket, with back-pressure both ways.

Copies decide its cost. Each connection reads into one buffer that it keeps, and the WebSocket's frame is made straight
from it: about three times as many bytes per CPU-second as with asyncio's streams (`python -m bench door`).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from enum import StrEnum

from madang.doors import view_only
from madang.doors.counters import Counters
from madang.doors.wires import SocketWire, Wire
from madang.kernel.sockets import Closed, WebSocket

# A frame of this size is still in the processor's cache when it is sent.
READ_BYTES = 98_304
PARTS_A_TURN = 8
# Taking messages apart costs time: a large frame is filtered in pieces, with others' turns in between.
FILTERED_BYTES = 16_384

# What of a browser's bytes goes on to the engine; raises view_only.Refused.
Filter = Callable[[bytes], bytes]


class End(StrEnum):
    """Which side ended a connection."""

    BROWSER = "browser"
    ENGINE = "engine"
    FILTER = "filter"  # the browser said what it may not say


async def pump(
    web_socket: WebSocket, engine: socket.socket | Wire, counters: Counters, allowed: Filter | None = None
) -> End:
    """Carry bytes until one side ends; closes the engine's connection, leaves the WebSocket's close to the caller.

    `allowed` lets through what a browser may say: `ViewOnly()` for one that may only look.
    """
    engine = engine if isinstance(engine, Wire) else SocketWire(engine)
    towards_browser = asyncio.create_task(_to_browser(engine, web_socket, counters))
    towards_engine = asyncio.create_task(_to_engine(web_socket, engine, counters, allowed))
    try:
        done, _ = await asyncio.wait((towards_browser, towards_engine), return_when=asyncio.FIRST_COMPLETED)
        ends = {task.result() for task in done}
        return next((end for end in (End.FILTER, End.BROWSER) if end in ends), End.ENGINE)
    finally:
        for task in (towards_browser, towards_engine):
            task.cancel()
        for task in (towards_browser, towards_engine):
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await task
        # Only now: while a task waits for the socket, the event loop knows it by its number.
        engine.close()


async def _to_browser(engine: Wire, web_socket: WebSocket, counters: Counters) -> End:
    buffer = bytearray(READ_BYTES)
    part = memoryview(buffer)
    parts = 0
    try:
        # What is there already costs no turn of the event loop.
        while count := engine.receive_now(buffer) or await engine.receive_into(buffer):
            counters.to_browser(count)
            # The server has made its frame of it when this returns, so the buffer is free again.
            await web_socket.send_bytes(part[:count])
            parts += 1
            if parts % PARTS_A_TURN == 0:  # an engine that never pauses must not keep everybody else waiting
                await asyncio.sleep(0)
    except Closed:
        return End.BROWSER
    except OSError:
        return End.ENGINE
    return End.ENGINE


async def _to_engine(web_socket: WebSocket, engine: Wire, counters: Counters, allowed: Filter | None) -> End:
    try:
        while True:
            data = await web_socket.receive()
            data = data if isinstance(data, bytes) else data.encode()
            counters.to_engine(len(data))
            if allowed is None:
                await engine.send_all(data)
            else:
                await _send_allowed(engine, data, allowed)
    except Closed:
        return End.BROWSER
    except view_only.Refused:
        return End.FILTER
    except OSError:
        return End.ENGINE


async def _send_allowed(engine: Wire, data: bytes, allowed: Filter) -> None:
    for start in range(0, len(data), FILTERED_BYTES):
        if start:
            await asyncio.sleep(0)
        if kept := allowed(data[start : start + FILTERED_BYTES]):
            await engine.send_all(kept)
