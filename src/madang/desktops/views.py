"""A session as the API shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from madang.desktops.model import Session
from madang.kernel.clock import iso, iso_or_none
from madang.kernel.errors import Failure


class Owner(msgspec.Struct):
    id: str
    name: str


class StageView(msgspec.Struct):
    name: str
    started_at: str
    seconds: float | None


class PulseView(msgspec.Struct):
    """What the agent reported last: seconds without input, share of one core in percent, bytes of memory, screen."""

    at: str
    idle_seconds: float | None
    cpu_percent: float | None
    memory_bytes: int | None
    width: int | None
    height: int | None
    viewers: int = 0


class SessionView(msgspec.Struct):
    id: str
    name: str
    owner: Owner
    service: str
    state: str
    unknown_since: str | None
    width: int
    height: int
    node: str | None
    display: int | None
    created_at: str
    ready_at: str | None
    ended_at: str | None
    ends_at: str | None
    time_limit_seconds: int
    stages: list[StageView]
    failure: Failure | None
    end_reason: str | None
    version: int
    pulse: PulseView | None = None


def view(session: Session, pulse: PulseView | None) -> SessionView:
    return SessionView(
        id=session.id,
        name=session.name,
        owner=Owner(session.person_id, session.person_name),
        service=session.service,
        state=session.state.value,
        unknown_since=iso_or_none(session.unknown_since),
        width=session.width,
        height=session.height,
        node=session.node,
        display=session.display,
        created_at=iso(session.created_at),
        ready_at=iso_or_none(session.ready_at),
        ended_at=iso_or_none(session.ended_at),
        ends_at=iso_or_none(session.ends_at),
        time_limit_seconds=session.time_limit_seconds,
        stages=[StageView(s.name, iso(s.started_at), s.seconds) for s in session.stages],
        failure=session.failure,
        end_reason=session.end_reason,
        version=session.version,
        pulse=pulse,
    )


class EncodedViews:
    """Views as JSON without their pulse, kept by version: a list of a thousand is mostly joined, hardly encoded."""

    MOST = 5000

    def __init__(self) -> None:
        self._kept: dict[str, tuple[int, bytes]] = {}

    def known(self, wanted: Sequence[tuple[str, int]]) -> dict[str, bytes]:
        """By id, those wanted ones that are kept in this version."""
        kept = ((key, version, self._kept.get(key)) for key, version in wanted)
        return {key: found[1] for key, version, found in kept if found and found[0] == version}

    def keep(self, sessions: Sequence[Session]) -> dict[str, bytes]:
        """Encode these too; gives them by id."""
        if len(self._kept) > self.MOST:
            self._kept.clear()
        bodies = {session.id: msgspec.json.encode(view(session, None))[: -len(b"null}")] for session in sessions}
        self._kept |= {session.id: (session.version, bodies[session.id]) for session in sessions}
        return bodies


def join(wanted: Sequence[tuple[str, int]], bodies: Mapping[str, bytes], pulses: Mapping[str, bytes]) -> bytes:
    """A JSON list; `pulse` is the last key of a view, so its value is simply put at the end."""
    return b"[" + b",".join(bodies[key] + pulses.get(key, b"null") + b"}" for key, _ in wanted if key in bodies) + b"]"
