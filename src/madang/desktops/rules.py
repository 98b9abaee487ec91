"""The rules that move a session. Pure: a snapshot in, a decision out.

Every step may be repeated, and be carried out by any portal.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from madang.compute.order import PORTAL_STAGES, Report, Stage
from madang.compute.sight import Seen
from madang.desktops.model import Session, State
from madang.kernel.errors import Failure


class Patience(msgspec.Struct, frozen=True):
    """How long the loop waits for what, in seconds."""

    launch: float
    start: float
    silent: float
    end: float
    idle_warning: float = 300.0


class Sight(msgspec.Struct, frozen=True):
    """What can be seen of a session now.

    `heard_at`: when its agent reported last, to any portal. `linked`: it is connected, here or to another portal.
    `agent`: what its launcher sees of it; None: not asked. `idle_since`: since when there was neither input nor work;
    None: not known.
    """

    heard_at: float
    linked: bool
    agent: Seen | None = None
    launching: bool = False
    idle_since: float | None = None


class Step(StrEnum):
    """What to do next with a session."""

    NOTHING = "nothing"
    LAUNCH = "launch"
    ASK_TO_END = "ask_to_end"
    FINISH = "finish"
    FAIL = "fail"
    NOTE = "note"  # store `changes`


class Decision(msgspec.Struct, frozen=True):
    step: Step
    why: str = ""
    changes: dict[str, Any] = {}


NOTHING = Decision(Step.NOTHING)
# How a job that ended by itself ended its session, and the failure it is when it is one.
_ENDS = {
    "completed": "agent_lost",
    "node_lost": "node_lost",
    "out_of_memory": "out_of_memory",
    "preempted": "preempted",
    "failed": "job_failed",
    "gone": "job_gone",
}
_NOT_FAILURES = {"cancelled": "job_cancelled", "time_limit": "time_limit"}


def decide(session: Session, sight: Sight, now: float, patience: Patience) -> Decision:
    """The next step."""
    if session.over or sight.launching:
        return NOTHING
    if not session.wanted:
        return _decide_ending(session, sight, now, patience)
    if session.placement is None and not sight.linked and not _found(sight):
        return _decide_launch(session, sight, now, patience)
    if session.ends_at is not None and now > session.ends_at:
        return Decision(Step.ASK_TO_END, "time_limit")
    agent = sight.agent
    if agent is not None:
        if agent.alive is False and not sight.linked:
            return _decide_gone(agent)
        # Of two that contradict each other, the agent that speaks right now is newer than a look at the queue.
        runs = agent.waiting is not None and sight.linked and now - sight.heard_at < patience.launch
        if not runs and (changes := _moved(session, agent, now)):
            return Decision(Step.NOTE, "moved", changes)
    if session.state is State.STARTING and _too_slow(session, sight, now, patience):
        unheard = session.job is not None and session.pid is None
        return Decision(Step.FAIL, "agent_unheard" if unheard else "start_timeout")
    if changes := _unseen(session, sight, now, patience):
        return Decision(Step.NOTE, "sight", changes)
    return _decide_idle(session, sight, now, patience)


def _found(sight: Sight) -> bool:
    """A launch whose answer was lost was taken after all: its job is there."""
    return sight.agent is not None and sight.agent.job is not None


def _decide_launch(session: Session, sight: Sight, now: float, patience: Patience) -> Decision:
    # Whoever was to launch it is gone: in the middle of it, when `launched_at` is set.
    if session.state is State.WAITING and sight.agent is not None and sight.agent.alive is None:
        # Its answer was lost, and whether it was taken cannot be told yet.
        changes = _unseen(session, sight, now, patience)
        return Decision(Step.NOTE, "sight", changes) if changes else NOTHING
    begun = max(session.launched_at or session.created_at, sight.heard_at if session.launched_at else 0.0)
    return Decision(Step.LAUNCH) if now - begun > patience.launch else NOTHING


def _decide_gone(agent: Seen) -> Decision:
    if agent.end in _NOT_FAILURES:
        return Decision(Step.FINISH, _NOT_FAILURES[agent.end])
    return Decision(Step.FAIL, _ENDS.get(agent.end or "", "agent_lost"))


def _moved(session: Session, agent: Seen, now: float) -> dict[str, Any]:
    """What the scheduler did with its job: queued, begun, or put back to wait for another node."""
    values: dict[str, Any] = {}
    if agent.job is not None:
        values["job"] = agent.job
    if agent.waiting is not None:
        values["waiting"] = agent.waiting
        if session.state in (State.STARTING, State.READY):
            values |= _back_in_the_queue(session, now)
        elif session.state is not State.WAITING:
            values["state"] = State.WAITING
    elif agent.alive:
        node = agent.node or session.node
        # A scheduler that runs it and cannot say where its node is reached has said so before.
        host = agent.host or (session.host if node == session.node else None)
        values |= {"waiting": None, "host": host, "node": node}
        if agent.ends_at is not None and agent.ends_at != session.job_ends_at:
            # Its limit was set, or changed by somebody: ours follows. (A desktop from the pool has an earlier one.)
            values |= {"job_ends_at": agent.ends_at, "ends_at": agent.ends_at}
        if session.state is State.WAITING:
            begun = agent.started_at or now
            values |= {"state": State.STARTING, "started_at": begun, "stages": _begun(session, begun)}
    return {key: value for key, value in values.items() if getattr(session, key) != value}


def _back_in_the_queue(session: Session, now: float) -> dict[str, Any]:
    kept = tuple(stage for stage in session.stages if stage.name == "request")
    return {
        "state": State.WAITING,
        "stages": (*kept, Stage("queue", now)),
        "restarts": session.restarts + 1,
        "ends_at": None,
        "job_ends_at": None,
        **dict.fromkeys(("node", "host", "pid", "pid_started", "display", "door_port", "door_fingerprint", "ready_at")),
    }


def _begun(session: Session, at: float) -> tuple[Stage, ...]:
    """Its stages when its job runs: the wait is over, the agent is on its way."""
    kept = [stage for stage in session.stages if stage.name in PORTAL_STAGES]
    if kept and kept[-1].seconds is None:
        kept[-1] = Stage(kept[-1].name, kept[-1].started_at, round(max(0.0, at - kept[-1].started_at), 3))
    return (*kept, Stage("agent", at))


def _too_slow(session: Session, sight: Sight, now: float, patience: Patience) -> bool:
    begun = session.started_at or session.launched_at or session.created_at
    return now - max(begun, sight.heard_at) > patience.start


def _unseen(session: Session, sight: Sight, now: float, patience: Patience) -> dict[str, Any]:
    """Since when something that says how it is has been silent; the scheduler first, as nobody else says the rest."""
    since, reason = None, None
    agent_silent = now - sight.heard_at > patience.silent
    silent = sight.agent.silent if sight.agent else None
    if silent is not None and now - silent > patience.silent:
        since, reason = silent, "scheduler"
    elif agent_silent and session.state is State.READY:
        since, reason = sight.heard_at, "agent"
    if reason == session.unknown_reason and (reason is None) == (session.unknown_since is None):
        return {}
    if reason is None and session.unknown_reason != "scheduler" and not sight.linked:
        return {}
    return {"unknown_since": since, "unknown_reason": reason}


def extendable_until(session: Session) -> float | None:
    """The latest end that its person may ask for; None when it cannot be extended now."""
    if not session.wanted or session.ends_at is None or session.terms is None:
        return None
    latest = (session.started_at or session.launched_at or session.created_at) + session.terms.longest_seconds
    return latest if latest > session.ends_at + 1 else None


def idle_stops_at(session: Session, idle_since: float | None, patience: Patience) -> float | None:
    """When it is stopped if nobody touches it; None while that is not in sight or not asked for."""
    if session.terms is None or not session.terms.idle_stop_seconds or session.state is not State.READY:
        return None
    if idle_since is None:
        return None
    quiet = max(idle_since, session.kept_at or 0.0, session.ready_at or 0.0)
    stops_at = quiet + session.terms.idle_stop_seconds
    if session.idle_warned_at is not None:  # whoever was away gets the whole warning
        stops_at = max(stops_at, session.idle_warned_at + idle_warning(session.terms.idle_stop_seconds, patience))
    return stops_at


def idle_warning(idle_stop_seconds: float, patience: Patience) -> float:
    """How long before the stop of an idle session its person is warned."""
    return min(patience.idle_warning, idle_stop_seconds / 2)


def _decide_idle(session: Session, sight: Sight, now: float, patience: Patience) -> Decision:
    stops_at = idle_stops_at(session, sight.idle_since, patience)
    if stops_at is None or session.terms is None or session.pooled_until is not None:
        return NOTHING
    near = now >= stops_at - idle_warning(session.terms.idle_stop_seconds, patience)
    if session.idle_warned_at is None:
        return Decision(Step.NOTE, "idle_warning", {"idle_warned_at": now}) if near else NOTHING
    if not near:
        return Decision(Step.NOTE, "not_idle", {"idle_warned_at": None})
    return Decision(Step.ASK_TO_END, "idle") if now >= stops_at else NOTHING


def _decide_ending(session: Session, sight: Sight, now: float, patience: Patience) -> Decision:
    reason = session.end_reason or "asked"
    agent = sight.agent
    if session.state is State.REQUESTED or (session.placement is None and not _found(sight)):
        unsure = agent is not None and agent.silent is not None
        if not sight.linked and not unsure and now - (session.launched_at or 0) > patience.launch:
            return Decision(Step.FINISH, reason)
    if agent is not None and agent.alive is False and not sight.linked:
        return Decision(Step.FINISH, reason)
    if agent is not None and agent.waiting is not None:
        return Decision(Step.FINISH, reason)  # nothing runs that could be asked
    if session.ending_at is not None and now - session.ending_at > patience.end:
        return Decision(Step.FINISH, reason)
    if changes := _unseen(session, sight, now, patience):
        return Decision(Step.NOTE, "sight", changes)
    return Decision(Step.ASK_TO_END, reason)


def reported(session: Session, report: Report, now: float) -> dict[str, Any]:
    """What a report changes in a session; empty when it says nothing new. A session that is over stays as it is."""
    if session.over or report.restarts < session.restarts:
        return {}
    agents = [stage for stage in report.stages if stage.name not in PORTAL_STAGES]
    values: dict[str, Any] = {
        # A scheduler's name for its node is the one that people know.
        "node": session.node if session.job and session.node else report.node,
        "display": report.display,
        "pid": report.pid,
        "pid_started": report.pid_started,
        "stages": (*(s for s in session.stages if s.name in PORTAL_STAGES), *agents),
    }
    if session.unknown_reason != "scheduler":
        values |= {"unknown_since": None, "unknown_reason": None}
    if report.job and session.job is None:
        values["job"] = report.job
    if report.restarts > session.restarts:
        values["restarts"] = report.restarts
    if report.door is not None:
        values |= {"door_port": report.door.port, "door_fingerprint": report.door.fingerprint}
    if session.state is State.WAITING:
        # It reports before the scheduler was looked at again.
        begun = report.stages[0].started_at if report.stages else now
        values |= {"state": State.STARTING, "started_at": begun, "waiting": None}
        values["stages"] = (*_begun(session, begun)[:-1], *agents)
    if report.state == "ready" and session.state in (State.REQUESTED, State.WAITING, State.STARTING):
        values |= {"state": State.READY, "ready_at": now}
    elif report.state == "ending" and session.wanted:
        values |= {"state": State.ENDING, "wanted": False, "ending_at": now, "end_reason": report.end_reason}
        values["failure"] = report.failure  # its last report may not come
    elif report.state == "ended":
        values |= finished(session, report.end_reason or "asked", now)
    elif report.state == "failed":
        # Somebody who asked for the end while the start was failing got what they wanted.
        values |= finished(session, report.end_reason or "failed", now, _plain(report.failure))
    return {key: value for key, value in values.items() if getattr(session, key) != value}


_LONGEST_WORDS = {"code": 64, "title": 200, "detail": 4000, "hint": 1000}


def _plain(failure: Failure | None) -> Failure | None:
    """An agent's failure as it can be shown: an agent may say anything, and some of it a terminal would obey."""
    if failure is None:
        return None
    said = msgspec.structs.asdict(failure)
    return Failure(**{name: _shown(said[name][:most]) for name, most in _LONGEST_WORDS.items()})


def _shown(text: str) -> str:
    return "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text)


def finished(session: Session, reason: str, now: float, failure: Failure | None = None) -> dict[str, Any]:
    """The values of a session that is over."""
    asked = not session.wanted and session.end_reason in ("asked", "operator")
    failed = failure is not None and not asked
    return {
        "state": State.FAILED if failed else State.ENDED,
        "failure": failure if failed else None,
        "wanted": False,
        "ended_at": now,
        "end_reason": session.end_reason if asked else reason,
        "unknown_since": None,
        "unknown_reason": None,
        "waiting": None,
        "door_key": None,
    }
