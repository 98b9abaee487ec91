"""How long a desktop stays: extending its time, keeping one that is idle."""

from __future__ import annotations

import math

from madang.compute.order import Instruction
from madang.desktops.model import Session
from madang.desktops.rules import extendable_until
from madang.desktops.service import Desktops
from madang.identity.model import Visitor
from madang.kernel import clock
from madang.kernel.errors import Conflict, InvalidInput


class NotRunning(Conflict):
    code = "not_running"
    title = "The desktop does not run"


class Lifetime:
    """What a person does about the end of a desktop of theirs."""

    def __init__(self, desktops: Desktops) -> None:
        self._desktops = desktops

    async def extend(self, visitor: Visitor, session_id: str, seconds: int, address: str) -> Session:
        """Let it end so many seconds later.

        Raises NotFound, NotRunning, InvalidInput `too_long` with the `most` that can be added, and what its scheduler
        says against it.
        """
        desktops = self._desktops
        session = await desktops.get(visitor, session_id)
        ends_at = _extended(session, seconds)
        launcher, placement = desktops.launchers.get(session.launcher), session.placement
        if launcher is None or placement is None:
            raise NotRunning("It is still starting.", hint="Try again when it is ready.")
        # The scheduler's end counts, and it is asked once: a change meanwhile must not make it longer twice.
        ends_at = await launcher.extend(session.id, placement, ends_at)

        async def store(session: Session) -> Session:
            if session.over or not session.wanted:
                raise NotRunning("It was ended in the meantime.")
            return await desktops.change(session, ends_at=ends_at)

        changed = await desktops.again(lambda: desktops.get(visitor, session_id), store)
        desktops.instruct(changed, Instruction("time", ends_at=changed.ends_at))
        await desktops.audit.record(
            "desktop.extend", person=visitor.person, object=session_id, address=address, detail=f"{seconds} s"
        )
        return changed

    async def keep(self, visitor: Visitor, session_id: str) -> Session:
        """Somebody is there after all: an idle stop is put off as if they had just touched it."""

        async def keep(session: Session) -> Session:
            if session.over or not session.wanted:
                raise NotRunning("It is over." if session.over else "It is ending.")
            return await self._desktops.change(session, kept_at=clock.now(), idle_warned_at=None)

        return await self._desktops.again(lambda: self._desktops.get(visitor, session_id), keep)


def _extended(session: Session, seconds: int) -> float:
    """Its new end. Raises NotRunning, InvalidInput."""
    if session.over or not session.wanted or session.ends_at is None:
        raise NotRunning("It is over." if session.over else "It has no end that could be moved now.")
    until = extendable_until(session)
    most = 0 if until is None else max(0, math.floor(until - session.ends_at))
    if seconds > most:
        message = f"at most {most} seconds can be added" if most else "its preset allows no more time"
        raise InvalidInput(
            f"{message[0].upper()}{message[1:]}.",
            code="too_long",
            title="The desktop cannot be extended so far",
            hint="Save your work and start a new one in time.",
            most=most,
            fields=[{"field": "seconds", "message": message}],
        )
    return session.ends_at + seconds
