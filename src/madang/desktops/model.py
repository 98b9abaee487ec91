"""A session: its states and the rules that move it. Pure: a snapshot in, a decision out.

    requested -> starting -> ready -> ending -> ended
                     └─────────┴─────────┴────> failed

What cannot be seen is not ended: `unknown_since` says since when, the state stays the last one seen.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from madang.compute.order import Report, Stage
from madang.kernel.errors import Failure


class State(StrEnum):
    REQUESTED = "requested"
    STARTING = "starting"
    READY = "ready"
    ENDING = "ending"
    ENDED = "ended"
    FAILED = "failed"


OVER = frozenset({State.ENDED, State.FAILED})


class Session(msgspec.Struct, frozen=True):
    """One running desktop of one person, as it is stored. Times in seconds since the epoch."""

    id: str
    service: str
    person_id: str
    person_name: str
    name: str
    state: State
    width: int
    height: int
    time_limit_seconds: int
    created_at: float
    version: int = 1
    account: str | None = None
    wanted: bool = True
    unknown_since: float | None = None
    node: str | None = None
    display: int | None = None
    pid: int | None = None
    pid_started: int | None = None
    folder: str | None = None
    launched_at: float | None = None
    ready_at: float | None = None
    ends_at: float | None = None
    ending_at: float | None = None
    ended_at: float | None = None
    stages: tuple[Stage, ...] = ()
    failure: Failure | None = None
    end_reason: str | None = None
    agent_secret_hash: str | None = None
    door_key: str | None = None

    @property
    def over(self) -> bool:
        return self.state in OVER

    @property
    def has_door(self) -> bool:
        """Whether there is something to look at: the display is up, though the desktop may still be on its way."""
        return not self.over and self.display is not None


class Patience(msgspec.Struct, frozen=True):
    """How long the loop waits for what, in seconds."""

    launch: float
    start: float
    silent: float
    end: float


class Sight(msgspec.Struct, frozen=True):
    """What can be seen of a session's agent now.

    `seen_at`: when it reported last. `linked`: it is connected to this process. `process`: whether its process lives;
    None when that cannot be told.
    """

    seen_at: float
    linked: bool
    process: bool | None
    launching: bool = False


class Step(StrEnum):
    """What to do next with a session."""

    NOTHING = "nothing"
    LAUNCH = "launch"
    ASK_TO_END = "ask_to_end"
    FINISH = "finish"
    FAIL = "fail"
    MARK_UNKNOWN = "mark_unknown"
    MARK_SEEN = "mark_seen"


class Decision(msgspec.Struct, frozen=True):
    step: Step
    why: str = ""


NOTHING = Decision(Step.NOTHING)


def decide(session: Session, sight: Sight, now: float, patience: Patience) -> Decision:
    """The next step. Every step may be repeated, and be carried out by any portal."""
    if session.over or sight.launching:
        return NOTHING
    if not session.wanted:
        return _decide_ending(session, sight, now, patience)
    if session.pid is None and not sight.linked:
        # Whoever was to launch it is gone: in the middle of it, when `launched_at` is set.
        begun = max(session.launched_at or session.created_at, sight.seen_at if session.launched_at else 0.0)
        return Decision(Step.LAUNCH) if now - begun > patience.launch else NOTHING
    if session.ends_at is not None and now > session.ends_at:
        return Decision(Step.ASK_TO_END, "time_limit")
    if sight.process is False and not sight.linked:
        return Decision(Step.FAIL, "agent_lost")
    launched = session.launched_at or session.created_at
    if session.state is State.STARTING and now - max(launched, sight.seen_at) > patience.start:
        return Decision(Step.FAIL, "start_timeout")
    return _decide_sight(session, sight, now, patience)


def _decide_sight(session: Session, sight: Sight, now: float, patience: Patience) -> Decision:
    silent = now - sight.seen_at > patience.silent
    if silent and session.unknown_since is None and session.state is State.READY:
        return Decision(Step.MARK_UNKNOWN)
    if not silent and sight.linked and session.unknown_since is not None:
        return Decision(Step.MARK_SEEN)
    return NOTHING


def _decide_ending(session: Session, sight: Sight, now: float, patience: Patience) -> Decision:
    reason = session.end_reason or "asked"
    nothing_started = session.state is State.REQUESTED or session.pid is None
    if nothing_started and not sight.linked and now - (session.launched_at or 0) > patience.launch:
        return Decision(Step.FINISH, reason)
    if sight.process is False and not sight.linked:
        return Decision(Step.FINISH, reason)
    if session.ending_at is not None and now - session.ending_at > patience.end:
        return Decision(Step.FINISH, reason)
    return Decision(Step.ASK_TO_END, reason)


def reported(session: Session, report: Report, now: float) -> dict[str, Any]:
    """What a report changes in a session; empty when it says nothing new. A session that is over stays as it is."""
    if session.over:
        return {}
    values: dict[str, Any] = {
        "node": report.node,
        "display": report.display,
        "pid": report.pid,
        "pid_started": report.pid_started,
        "stages": (*(s for s in session.stages if s.name == "request"), *report.stages),
        "unknown_since": None,
    }
    if report.state == "ready" and session.state in (State.REQUESTED, State.STARTING):
        values |= {"state": State.READY, "ready_at": now}
    elif report.state == "ending" and session.wanted:
        values |= {"state": State.ENDING, "wanted": False, "ending_at": now, "end_reason": report.end_reason}
    elif report.state == "ended":
        values |= finished(session, report.end_reason or "asked", now)
    elif report.state == "failed":
        # Somebody who asked for the end while the start was failing got what they wanted.
        values |= finished(session, report.end_reason or "failed", now, report.failure)
    return {key: value for key, value in values.items() if getattr(session, key) != value}


def finished(session: Session, reason: str, now: float, failure: Failure | None = None) -> dict[str, Any]:
    """The values of a session that is over."""
    asked = not session.wanted and session.end_reason == "asked"
    failed = failure is not None and not asked
    return {
        "state": State.FAILED if failed else State.ENDED,
        "failure": failure if failed else None,
        "wanted": False,
        "ended_at": now,
        "end_reason": session.end_reason if asked else reason,
        "unknown_since": None,
        "door_key": None,
    }


LOST = Failure(
    code="agent_lost",
    title="The desktop was ended from outside",
    detail="Its agent disappeared: somebody ended its process, or the machine ran out of memory.",
    hint="Start a new one. Files that were saved in the home folder are still there.",
)
TOO_SLOW = Failure(
    code="start_timeout",
    title="The desktop did not start in time",
    detail="Its agent gave no sign of life.",
    hint="Try again; if it stays, the log says how far it came.",
)
NO_ACCOUNT = Failure(
    code="no_account",
    title="You have no Unix account on this site",
    detail="A desktop runs as its person's own account.",
    hint="Ask an administrator to give you one.",
)
NOT_LAUNCHED = Failure(
    code="launch_failed",
    title="The desktop could not be started",
    detail="The portal met an error that it did not expect; it is in its log.",
    hint="Try again; if it stays, tell the site's operator.",
)
FAILURES = {"agent_lost": LOST, "start_timeout": TOO_SLOW}
