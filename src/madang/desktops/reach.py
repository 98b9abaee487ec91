"""Reaching the agent of a session: over its link when it is connected here, else through its door."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import msgspec

from madang.compute.order import Instruction
from madang.desktops.links import Links
from madang.desktops.model import Session
from madang.doors import calls
from madang.doors.calls import DoorPlace
from madang.doors.handover import DoorError
from madang.kernel.errors import Conflict, Unavailable
from madang.kernel.log import logger

log = logger("desktops")
DOOR = "door.sock"


class NotReady(Conflict):
    code = "session_not_ready"
    title = "The desktop cannot be looked at yet"


class Reach:
    """The ways to agents."""

    def __init__(self, links: Links, door_seconds: float) -> None:
        """A door has to open within `door_seconds`."""
        self.links = links
        self.door_seconds = door_seconds

    async def tell(self, session: Session, instruction: Instruction) -> bool:
        """False when the agent cannot be reached now."""
        if await self.links.tell(session.id, instruction):
            return True
        try:
            await self.ask(session, "instruct", {"instruction": msgspec.to_builtins(instruction)})
        except (DoorError, Conflict, Unavailable) as error:
            log.info("an agent cannot be told", session=session.id, do=instruction.do, reason=str(error))
            return False
        return True

    async def ask(
        self, session: Session, verb: str, arguments: dict[str, Any], *, seconds: float | None = None
    ) -> dict[str, Any]:
        """Call a verb of its door. Raises NotReady, Unavailable, DoorError."""
        place, key = place_of(session)
        return await calls.call(place, key, session.id, verb, arguments, timeout_seconds=seconds or self.door_seconds)


def place_of(session: Session) -> tuple[DoorPlace, str]:
    """Where its door is, and its key. The host is the one its launcher found, never one that somebody asked for.

    Raises NotReady while there is none, Unavailable when its account is gone.
    """
    if session.over or session.door_key is None or session.folder is None:
        raise NotReady(
            "It is over." if session.over else "It is still starting.",
            hint="Start a new one." if session.over else "Try again in a moment.",
            state=session.state.value,
        )
    if session.launcher != "local":
        if session.host is None or session.door_port is None or session.door_fingerprint is None:
            raise NotReady("It is still starting.", hint="Try again in a moment.", state=session.state.value)
        return DoorPlace.remote(session.host, session.door_port, session.door_fingerprint), session.door_key
    try:
        uid = os.geteuid() if session.account is None else pwd.getpwnam(session.account).pw_uid
    except KeyError as error:
        raise Unavailable(f"There is no Unix account {session.account} any more.", code="account_gone") from error
    return DoorPlace.local(Path(session.folder) / DOOR, uid), session.door_key
