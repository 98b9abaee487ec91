"""The portal's side of a local door: a ticket in, the engine's connected socket out.

The door is a Unix socket in a folder that belongs to somebody untrusted, so nothing is believed before the kernel has
said whose process is at the other end (SO_PEERCRED), both of the door and of the socket that comes out of it.

    DoorError
    ├── DoorUnreachable   nobody listens, or no answer in time
    ├── DoorForeign       somebody else is behind the door or the socket: another user, another certificate
    └── DoorRefused       the agent said no; code says why (ticket_expired, engine_lost, ...), the rest is for people
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from pathlib import Path
from typing import Any

from madang.doors.strangers import FLAGS, ROOM, StrangersWire, descriptors, get_rid_of
from madang.doors.wires import until_ready

_LONGEST_ANSWER = 4096
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
    """Goes through a door and returns the engine's socket: connected, owned by the caller, for a `StrangersWire`.

    uid is the session's account; door, socket and engine must all be its. Raises a DoorError.
    """
    wire = StrangersWire(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    try:
        async with asyncio.timeout(timeout_seconds):
            await connect(wire.socket, door)
            if (found := peer_uid(wire.socket)) != uid:
                raise DoorForeign(f"the door belongs to uid {found}, not {uid}")
            await wire.send_all(json.dumps({"ticket": ticket}).encode() + b"\n")
            line, passed = await _answer(wire.socket)
    except TimeoutError as error:
        raise DoorUnreachable(f"no answer in {timeout_seconds} s") from error
    except OSError as error:
        raise DoorUnreachable(error.strerror or str(error)) from error
    finally:
        wire.close()
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


async def _answer(connection: socket.socket) -> tuple[bytes, list[int]]:
    """The answer's line and the descriptors that came with it; gets rid of them when it fails on the way."""
    line = b""
    passed: list[int] = []
    try:
        while not line.endswith(b"\n"):
            await until_ready(connection.fileno(), writable=False)
            try:
                part, ancillary, _flags, _address = connection.recvmsg(_LONGEST_ANSWER, ROOM, FLAGS)
            except BlockingIOError:
                continue
            passed += descriptors(ancillary)
            line += part
            if not part or len(line) > _LONGEST_ANSWER:
                raise DoorUnreachable("the agent hung up")
            if len(passed) > 1:
                raise DoorForeign("more came through the door than one socket")
    except BaseException:
        get_rid_of(passed)
        raise
    return line, passed


def _judged(line: bytes, passed: list[int], uid: int) -> socket.socket:
    """The engine's socket, when the answer is a yes and it is one."""
    try:
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise ValueError("not an object")
        if answer.get("ok") is not True:
            raise refusal(answer)
        if not passed:
            raise DoorUnreachable("the agent said yes, but no socket came")
        return _engine(passed[0], uid)
    except (ValueError, RecursionError) as error:
        get_rid_of(passed)
        raise DoorUnreachable("the agent's answer cannot be understood") from error
    except DoorError:
        get_rid_of(passed)
        raise


def _engine(descriptor: int, uid: int) -> socket.socket:
    """Raises DoorForeign; the descriptor is still the caller's then."""
    try:
        engine = socket.socket(fileno=descriptor)
    except OSError as error:
        raise DoorForeign("what came through the door is no socket") from error
    try:
        if engine.family != socket.AF_UNIX or engine.type != socket.SOCK_STREAM:
            raise DoorForeign("what came through the door is no Unix stream socket")
        if (found := peer_uid(engine)) != uid:
            raise DoorForeign(f"the engine belongs to uid {found}, not {uid}")
        engine.setblocking(False)
    except OSError as error:
        engine.detach()
        raise DoorForeign(str(error)) from error
    except DoorError:
        engine.detach()
        raise
    return engine
