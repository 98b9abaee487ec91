"""Calling a verb of an agent's door, from the portal."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from madang.doors import handover, tickets
from madang.doors.handover import DoorForeign, DoorRefused, DoorUnreachable, peer_uid


@dataclass(frozen=True)
class DoorPlace:
    """Where a door is: a Unix socket of some user, or a TLS listener with a certificate of that fingerprint."""

    path: Path | None = None
    uid: int = -1
    host: str = ""
    port: int = 0
    fingerprint: str = ""

    @classmethod
    def local(cls, path: Path, uid: int) -> Self:
        return cls(path=path, uid=uid)

    @classmethod
    def remote(cls, host: str, port: int, fingerprint: str) -> Self:
        return cls(host=host, port=port, fingerprint=fingerprint)


async def call(
    place: DoorPlace, key: str, session: str, verb: str, arguments: Mapping[str, Any], *, timeout_seconds: float = 5.0
) -> dict[str, Any]:
    """The answer to a short verb. Raises a DoorError."""
    assert place.path is not None
    loop = asyncio.get_running_loop()
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        async with asyncio.timeout(timeout_seconds):
            await handover.connect(connection, place.path)
            if peer_uid(connection) != place.uid:
                raise DoorForeign("the door belongs to somebody else")
            said = {"ticket": tickets.issue(key, session), "do": verb, **arguments}
            await loop.sock_sendall(connection, json.dumps(said).encode() + b"\n")
            line = b""
            while not line.endswith(b"\n"):
                part = await loop.sock_recv(connection, 65536)
                if not part:
                    raise DoorUnreachable("the agent hung up")
                line += part
    except (OSError, TimeoutError) as error:
        raise DoorUnreachable(str(error)) from error
    finally:
        connection.close()
    answer = json.loads(line)
    if not answer.get("ok"):
        raise DoorRefused(str(answer.get("code")))
    return dict(answer)
