"""The pump between a browser's WebSocket and an engine's socket, with back-pressure both ways.

Read size decides its cost: 256 KiB reads move about three times as many bytes per CPU-second as 64 KiB.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from enum import StrEnum

from madang.doors.counters import Counters
from madang.kernel.sockets import Closed, WebSocket

READ_BYTES = 262_144


class End(StrEnum):
    """Which side ended a connection."""

    BROWSER = "browser"
    ENGINE = "engine"


async def pump(web_socket: WebSocket, engine: socket.socket, counters: Counters) -> End:
    """Carry bytes until one side ends; closes the engine's socket, leaves the WebSocket's close to the caller."""
    reader, writer = await asyncio.open_unix_connection(sock=engine, limit=READ_BYTES)
    towards_browser = asyncio.create_task(_to_browser(reader, web_socket, counters))
    towards_engine = asyncio.create_task(_to_engine(web_socket, writer, counters))
    try:
        done, _ = await asyncio.wait((towards_browser, towards_engine), return_when=asyncio.FIRST_COMPLETED)
        ends = {task.result() for task in done}
        return End.BROWSER if End.BROWSER in ends else End.ENGINE
    finally:
        for task in (towards_browser, towards_engine):
            task.cancel()
        # A browser that takes nothing must not keep what the engine sent: cut, do not drain.
        writer.transport.abort()
        for task in (towards_browser, towards_engine):
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await task


async def _to_browser(reader: asyncio.StreamReader, web_socket: WebSocket, counters: Counters) -> End:
    try:
        while data := await reader.read(READ_BYTES):
            counters.to_browser(len(data))
            await web_socket.send_bytes(data)
    except Closed:
        return End.BROWSER
    except OSError:
        return End.ENGINE
    return End.ENGINE


async def _to_engine(web_socket: WebSocket, writer: asyncio.StreamWriter, counters: Counters) -> End:
    try:
        while True:
            data = await web_socket.receive()
            data = data if isinstance(data, bytes) else data.encode()
            counters.to_engine(len(data))
            writer.write(data)
            await writer.drain()
    except Closed:
        return End.BROWSER
    except OSError:
        return End.ENGINE
