"""Where an agent's door is, and the way through it: connect, make sure who is there, then show a ticket.

The host of a door comes from the scheduler, never from a request or a report. Nothing is sent before the other side is
known: on a Unix socket by the kernel (whose process it is), over TLS by the fingerprint that the agent reported.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from madang.doors import handover, tickets
from madang.doors.handover import DoorForeign, DoorUnreachable
from madang.doors.strangers import StrangersWire
from madang.doors.wires import TlsWire, Wire, client_context, keep_alive

# A listing of a folder is the longest answer.
_LONGEST_ANSWER = 4 * 1024 * 1024
TICKET_SECONDS = 30.0


@dataclass(frozen=True)
class DoorPlace:
    """One door: a Unix socket and its account's uid, or a TLS listener and its certificate's SHA-256 in hex."""

    path: Path | None = None
    uid: int = -1
    host: str = ""
    port: int = 0
    fingerprint: str = ""

    @staticmethod
    def local(path: Path, uid: int) -> DoorPlace:
        return DoorPlace(path=path, uid=uid)

    @staticmethod
    def remote(host: str, port: int, fingerprint: str) -> DoorPlace:
        return DoorPlace(host=host, port=port, fingerprint=fingerprint)

    def __str__(self) -> str:
        return str(self.path) if self.path is not None else f"{self.host}:{self.port}"


Answer = dict[str, Any]


@contextlib.asynccontextmanager
async def asked(
    place: DoorPlace,
    key: str,
    session: str,
    verb: str,
    arguments: dict[str, Any] | None = None,
    *,
    timeout_seconds: float,
) -> AsyncIterator[tuple[Wire, Answer]]:
    """Goes through a door: the connection after the agent's yes, and its answer. Closes it in the end.

    Raises a DoorError.
    """
    wire, answer = await go_through(place, key, session, verb, arguments, timeout_seconds=timeout_seconds)
    try:
        yield wire, answer
    finally:
        wire.close()


async def go_through(
    place: DoorPlace,
    key: str,
    session: str,
    verb: str,
    arguments: dict[str, Any] | None = None,
    *,
    timeout_seconds: float,
) -> tuple[Wire, Answer]:
    """As `asked`, but the caller has to close the connection."""
    wire: Wire | None = None
    try:
        async with asyncio.timeout(timeout_seconds):
            wire = await _connect(place)
            ticket = tickets.issue(key, session, valid_seconds=TICKET_SECONDS)
            await wire.send_all(json.dumps({"ticket": ticket, "do": verb} | (arguments or {})).encode() + b"\n")
            return wire, await read_answer(wire)
    except BaseException as error:
        if wire is not None:
            wire.close()
        if isinstance(error, TimeoutError):
            raise DoorUnreachable(f"no answer in {timeout_seconds:g} s") from error
        if isinstance(error, OSError):
            raise unreachable(error) from error
        raise


async def read_answer(wire: Wire) -> Answer:
    """One line of an agent: its yes, or raises its refusal."""
    line = await wire.read_line(_LONGEST_ANSWER)
    if not line.endswith(b"\n"):
        raise DoorUnreachable("the agent hung up")
    try:
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise ValueError("not an object")
    except (ValueError, RecursionError) as error:
        raise DoorUnreachable("the agent's answer cannot be understood") from error
    if answer.get("ok") is not True:
        raise handover.refusal(answer)
    return answer


def unreachable(error: OSError) -> DoorUnreachable:
    return DoorUnreachable(error.strerror or str(error) or type(error).__name__)


async def _connect(place: DoorPlace) -> Wire:
    return await _connect_unix(place.path, place.uid) if place.path is not None else await _connect_tls(place)


async def _connect_unix(path: Path, uid: int) -> StrangersWire:
    wire = StrangersWire(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    try:
        await handover.connect(wire.socket, path)
        if (found := handover.peer_uid(wire.socket)) != uid:
            raise DoorForeign(f"the door belongs to uid {found}, not {uid}")
    except BaseException:
        wire.close()
        raise
    return wire


async def _connect_tls(place: DoorPlace) -> TlsWire:
    connection = await _reach(place.host, place.port)
    try:
        keep_alive(connection)
        wire = TlsWire(connection, _context())
    except BaseException:
        connection.close()
        raise
    try:
        await wire.handshake()
        found = hashlib.sha256(wire.certificate()).hexdigest()
        if not hmac.compare_digest(found.encode(), place.fingerprint.encode()):
            raise DoorForeign(f"{place} shows another certificate than the agent's")
    except BaseException:
        wire.close()
        raise
    return wire


@cache
def _context() -> ssl.SSLContext:
    return client_context()


async def _reach(host: str, port: int) -> socket.socket:
    """A connected TCP socket, by the first of the host's addresses that answers."""
    loop = asyncio.get_running_loop()
    last = OSError(f"no address for {host}")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        connection.setblocking(False)
        try:
            await loop.sock_connect(connection, address)
        except OSError as error:
            connection.close()
            last = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise last
