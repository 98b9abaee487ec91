"""A session as the API shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from madang.compute.sight import Waiting
from madang.desktops.model import Session
from madang.desktops.rules import extendable_until
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
    idle_since: str | None = None  # neither input nor work


class PresetName(msgspec.Struct):
    id: str
    name: str


class WaitingView(msgspec.Struct):
    """What its job waits for; `reason` is one of compute.sight.WAITING_REASONS, `said` the scheduler's own word."""

    reason: str
    said: str
    partition: str
    expected_at: str | None
    position: int | None


class ResourcesView(msgspec.Struct):
    cpus: int | None
    memory_bytes: int | None
    gpus: str
    partition: str
    qos: str


class Features(msgspec.Struct):
    """What can be done with it now."""

    files: bool
    picture: bool
    repair: bool
    native: bool


class SessionView(msgspec.Struct):
    id: str
    name: str
    notes: str
    owner: Owner
    service: str
    launcher: str
    preset: PresetName | None
    state: str
    unknown_since: str | None
    unknown_reason: str | None
    waiting: WaitingView | None
    job: str | None
    width: int
    height: int
    node: str | None
    display: int | None
    created_at: str
    ready_at: str | None
    ended_at: str | None
    ends_at: str | None
    extendable_until: str | None
    time_limit_seconds: int
    idle_stop_seconds: int
    idle_warned_at: str | None
    kept_at: str | None
    stages: list[StageView]
    restarts: int
    resources: ResourcesView | None
    features: Features
    failure: Failure | None
    end_reason: str | None
    end_message: str | None
    version: int
    pulse: PulseView | None = None


def view(session: Session, pulse: PulseView | None) -> SessionView:
    open_door = session.has_door and session.wanted
    terms = session.terms
    return SessionView(
        id=session.id,
        name=session.name,
        notes=session.notes,
        owner=Owner(session.person_id, session.person_name),
        service=session.service,
        launcher=session.launcher,
        preset=PresetName(session.preset, session.preset_name or "") if session.preset else None,
        state=session.state.value,
        unknown_since=iso_or_none(session.unknown_since),
        unknown_reason=session.unknown_reason,
        waiting=_waiting(session.waiting) if session.waiting else None,
        job=session.job,
        width=session.width,
        height=session.height,
        node=session.node,
        display=session.display,
        created_at=iso(session.created_at),
        ready_at=iso_or_none(session.ready_at),
        ended_at=iso_or_none(session.ended_at),
        ends_at=iso_or_none(session.ends_at),
        extendable_until=iso_or_none(extendable_until(session)),
        time_limit_seconds=session.time_limit_seconds,
        idle_stop_seconds=terms.idle_stop_seconds if terms else 0,
        idle_warned_at=iso_or_none(session.idle_warned_at),
        kept_at=iso_or_none(session.kept_at),
        stages=[StageView(s.name, iso(s.started_at), s.seconds) for s in session.stages],
        restarts=session.restarts,
        resources=_resources(session),
        features=Features(open_door, open_door, open_door, open_door and terms is not None and terms.native),
        failure=session.failure,
        end_reason=session.end_reason,
        end_message=session.end_message,
        version=session.version,
        pulse=pulse,
    )


def _waiting(waiting: Waiting) -> WaitingView:
    expected = iso_or_none(waiting.expected_at)
    return WaitingView(waiting.reason, waiting.said, waiting.partition, expected, waiting.position)


def _resources(session: Session) -> ResourcesView | None:
    if session.terms is None:
        return None
    asked = session.terms.resources
    return ResourcesView(asked.cpus, asked.memory_bytes, asked.gpus, asked.partition, asked.qos)


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
