"""The session's door: a valid ticket in, a socket connected to the engine out (SCM_RIGHTS).

No byte of the desktop passes through here. The door is a Unix socket in the session's 0700 folder; a door across hosts
would be another listener that checks the same ticket and then has to carry the bytes itself.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import socket
from pathlib import Path

from madang.desktops.agent.log import log
from madang.doors import handover, tickets

_LONGEST_REQUEST = 1024
_PATIENCE_SECONDS = 5.0
_MOST_GUESTS = 64


class Door:
    def __init__(self, folder: Path, session: str, key: str) -> None:
        self._path = folder / "door.sock"
        self._engine = folder / "rfb.sock"
        self._session = session
        self._key = key
        self._memory = tickets.Memory()
        self._listener: socket.socket | None = None
        self._guests: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Listens. Raises OSError."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.setblocking(False)
        listener.bind(str(self._path))
        self._path.chmod(0o600)
        listener.listen(128)
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._welcome)

    def close(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        for guest in self._guests:
            guest.cancel()
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _welcome(self) -> None:
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if len(self._guests) >= _MOST_GUESTS:
            connection.close()
            return
        connection.setblocking(False)
        guest = asyncio.get_running_loop().create_task(self._serve(connection))
        self._guests.add(guest)
        guest.add_done_callback(self._guests.discard)

    async def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                line = await _read_line(connection)
            await self._answer(connection, line)

    async def _answer(self, connection: socket.socket, line: bytes) -> None:
        code = self._judge(line)
        if code is None:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as engine:
                engine.setblocking(False)
                try:
                    async with asyncio.timeout(_PATIENCE_SECONDS):
                        await handover.connect(engine, self._engine)
                except TimeoutError:
                    code = "engine_busy"
                except OSError:
                    code = "engine_lost"
                else:
                    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [engine.fileno()]))
                    connection.sendmsg([b'{"ok":true}\n'], [rights])
                    return
        log(f"door: refused, {code}")
        connection.send(json.dumps({"ok": False, "code": code}).encode() + b"\n")

    def _judge(self, line: bytes) -> str | None:
        """None for a ticket that opens the door, else why it does not."""
        try:
            ticket = json.loads(line)["ticket"]
            tickets.check(self._key, self._session, str(ticket), self._memory)
        except tickets.TicketError as error:
            return error.code
        except (ValueError, LookupError, TypeError, RecursionError):
            return "ticket_invalid"
        return None


async def _read_line(connection: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    line = b""
    while not line.endswith(b"\n") and len(line) <= _LONGEST_REQUEST:
        part = await loop.sock_recv(connection, _LONGEST_REQUEST)
        if not part:
            break
        line += part
    return line
