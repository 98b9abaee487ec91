"""Bytes both ways between two connections: where an engine's socket cannot be handed over, the agent carries them."""

from __future__ import annotations

import array
import asyncio
import contextlib
import socket
from pathlib import Path

from madang.desktops.agent.guest import Guest, Refusal
from madang.doors import handover
from madang.doors.wires import SocketWire, Wire

_PATIENCE_SECONDS = 5.0
_FROM_ENGINE_BYTES = 98_304
_TO_ENGINE_BYTES = 16_384
_PARTS_A_TURN = 8


class Desktop:
    """The verb `desktop`: the engine, as a socket or carried."""

    def __init__(self, folder: Path) -> None:
        self._engine = folder / "rfb.sock"

    async def __call__(self, guest: Guest) -> None:
        engine = await self.connect()
        try:
            if not guest.remote and isinstance(guest.wire, SocketWire):
                rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [engine.socket.fileno()]))
                guest.wire.socket.sendmsg([b'{"ok":true}\n'], [rights])
                return
            await guest.say()
            await carry(guest.wire, engine)
        finally:
            engine.close()

    async def connect(self) -> SocketWire:
        """A fresh connection to the engine. Raises Refusal."""
        engine = SocketWire(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await handover.connect(engine.socket, self._engine)
        except BaseException as error:
            engine.close()
            if isinstance(error, TimeoutError):
                raise Refusal("engine_busy", "The display does not answer.") from error
            if isinstance(error, OSError):
                raise Refusal("engine_lost", "The display is not there.", error.strerror or "") from error
            raise
        return engine


async def carry(client: Wire, engine: Wire) -> None:
    """Until one of them ends; both are still to be closed."""
    ways = [
        asyncio.create_task(_one_way(engine, client, _FROM_ENGINE_BYTES)),
        asyncio.create_task(_one_way(client, engine, _TO_ENGINE_BYTES)),
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        for way in ways:
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await way


async def _one_way(source: Wire, sink: Wire, size: int) -> None:
    buffer = bytearray(size)
    part = memoryview(buffer)
    parts = 0
    while count := source.receive_now(buffer) or await source.receive_into(buffer):
        await sink.send_all(part[:count])
        parts += 1
        if parts % _PARTS_A_TURN == 0:
            await asyncio.sleep(0)
