"""The portal's side of a local door: a ticket in, the engine's connected socket out.

The door is a Unix socket in a folder that belongs to somebody untrusted, so nothing is believed before the kernel has
said whose process is at the other end (SO_PEERCRED), both of the door and of the socket that comes out of it.

    DoorError
    ├── DoorUnreachable   nobody listens, or no answer in time
    ├── DoorForeign       somebody else is behind the door or the socket: another user, another certificate
    └── DoorRefused       the agent said no; code says why (ticket_expired, engine_lost, ...), the rest is for people
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import os
import socket
import struct
from pathlib import Path
from typing import Any

_LONGEST_ANSWER = 4096
_MOST_DESCRIPTORS = 4
_BUSY_SECONDS = 0.02
_CREDENTIALS = struct.Struct("3i")


class DoorError(Exception):
    """The door of a session did not open."""

    code = "door_error"


class DoorUnreachable(DoorError):
    code = "door_unreachable"


class DoorForeign(DoorError):
    code = "door_foreign"


class DoorRefused(DoorError):
    def __init__(self, code: str, title: str = "", detail: str = "", hint: str = "") -> None:
        super().__init__(f"the agent refused: {code}" + (f" ({detail or title})" if detail or title else ""))
        self.code = code
        self.title = title
        self.detail = detail
        self.hint = hint


_LONGEST_CODE = 64
_LONGEST_WORDS = 1000


def refusal(answer: dict[str, Any]) -> DoorRefused:
    """What an agent's refusal says; an agent may say anything, so what is too long is cut."""
    words = (str(answer.get(name) or "")[:_LONGEST_WORDS] for name in ("title", "detail", "hint"))
    return DoorRefused(str(answer.get("code") or "refused")[:_LONGEST_CODE], *words)


def peer_uid(connection: socket.socket) -> int:
    """The user whose process is at the other end of a Unix socket."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(raw)[1])


async def take(door: Path, ticket: str, uid: int, *, timeout_seconds: float = 5.0) -> socket.socket:
    """Goes through a door and returns the engine's socket: connected, non-blocking, owned by the caller.

    uid is the session's account; door, socket and engine must all be its. Raises a DoorError.
    """
    loop = asyncio.get_running_loop()
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        async with asyncio.timeout(timeout_seconds):
            await connect(connection, door)
            if (found := peer_uid(connection)) != uid:
                raise DoorForeign(f"the door belongs to uid {found}, not {uid}")
            await loop.sock_sendall(connection, json.dumps({"ticket": ticket}).encode() + b"\n")
            line, passed = await _answer(connection)
    except TimeoutError as error:
        raise DoorUnreachable(f"no answer in {timeout_seconds} s") from error
    except OSError as error:
        raise DoorUnreachable(error.strerror or str(error)) from error
    finally:
        connection.close()
    return _judged(line, passed, uid)


async def connect(connection: socket.socket, path: Path) -> None:
    """Connects a non-blocking Unix socket, waiting while whoever listens has too many waiting. Raises OSError.

    A Unix socket answers EAGAIN then and is not on its way (unix(7)), as the event loop's own connect takes it to be.
    """
    while True:
        try:
            connection.connect(str(path))
        except BlockingIOError:
            await asyncio.sleep(_BUSY_SECONDS)
        else:
            return


async def _answer(connection: socket.socket) -> tuple[bytes, list[socket.socket]]:
    """The answer's line and the sockets that came with it; closes all of them when it fails on the way."""
    line = b""
    passed: list[socket.socket] = []
    try:
        while not line.endswith(b"\n"):
            await _readable(connection)
            try:
                part, more = _receive(connection)
            except BlockingIOError:
                continue
            passed += more
            line += part
            if not part or len(line) > _LONGEST_ANSWER:
                raise DoorUnreachable("the agent hung up")
    except BaseException:
        _close(passed)
        raise
    return line, passed


def _receive(connection: socket.socket) -> tuple[bytes, list[socket.socket]]:
    size = array.array("i").itemsize
    room = socket.CMSG_SPACE(_MOST_DESCRIPTORS * size)
    part, ancillary, _flags, _address = connection.recvmsg(_LONGEST_ANSWER, room, socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % size])
    passed = []
    for descriptor in descriptors:
        try:
            passed.append(socket.socket(fileno=descriptor))
        except OSError:
            # Not a socket at all.
            os.close(descriptor)
    return part, passed


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(connection.fileno(), wake)
    try:
        await ready
    finally:
        loop.remove_reader(connection.fileno())


def _judged(line: bytes, passed: list[socket.socket], uid: int) -> socket.socket:
    try:
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise ValueError("not an object")
    except ValueError as error:
        _close(passed)
        raise DoorUnreachable("the agent's answer cannot be understood") from error
    if answer.get("ok") is not True:
        _close(passed)
        raise refusal(answer)
    if len(passed) != 1:
        _close(passed)
        raise DoorUnreachable(f"{len(passed)} sockets instead of one came through the door")
    engine = passed[0]
    try:
        if engine.family != socket.AF_UNIX or engine.type != socket.SOCK_STREAM:
            raise DoorForeign("what came through the door is no Unix stream socket")
        if (found := peer_uid(engine)) != uid:
            raise DoorForeign(f"the engine belongs to uid {found}, not {uid}")
        engine.setblocking(False)
    except OSError as error:
        engine.close()
        raise DoorForeign(str(error)) from error
    except DoorError:
        engine.close()
        raise
    return engine


def _close(sockets: list[socket.socket]) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            one.close()
