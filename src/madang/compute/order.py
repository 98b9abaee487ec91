"""The wire contract of agent and portal: the order that starts an agent, and the reports it sends.

All times are seconds since the epoch (float). Every struct ignores fields it does not know, so that a newer portal can
talk to an agent that was started by an older one.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from madang.kernel.errors import Failure

__all__ = ["STAGES", "AgentOrder", "Failure", "Instruction", "Pulse", "Report", "Stage", "State"]

# The names of a session's stages, in order; "request" belongs to the portal, the others to the agent.
STAGES = ("request", "agent", "display", "window_manager", "desktop")

# An agent runs as its person, who may make it say anything: what could not be stored or shown is refused.
Moment = Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]  # up to the year 9999
Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Word = Annotated[str, msgspec.Meta(max_length=255)]

State = Literal["starting", "ready", "ending", "ended", "failed"]


class AgentOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is told on its standard input, as one JSON document.

    Holds secrets (agent_secret, door_key): never on a command line, in an environment or in a log.
    """

    session: str
    service: str = "vnc"
    account: str | None = None  # None: the session runs as the Unix user of the portal itself
    folder: str  # exists already, mode 0700, owned by the account
    portal: str  # http://host:port, where the agent reports
    agent_secret: str
    door_key: str
    displays: tuple[int, int] = (1, 9)  # first and last, both included
    width: int = 1440
    height: int = 900
    ends_at: float | None = None
    heartbeat_seconds: float = 5.0
    start_seconds: float = 30.0  # from the order to a ready desktop
    grace_seconds: float = 2.0  # between asking programs to end and killing them
    bye_seconds: float = 3.0  # how long the last report waits for the portal's answer
    away_seconds: float = 20.0  # the same while the portal is away
    minimum_free_bytes: int = 64 * 1024 * 1024
    log_bytes: int = 1024 * 1024  # of what the session's programs print; the rest is left out

    def __repr__(self) -> str:
        return f"AgentOrder(session={self.session!r}, service={self.service!r}, account={self.account!r})"


class Stage(msgspec.Struct):
    """One step of a start; seconds is None while it goes on."""

    name: Word
    started_at: Moment
    seconds: float | None = None


class Pulse(msgspec.Struct, frozen=True):
    """How a running session is: idle_seconds since the last key or pointer event (None: the display did not say)."""

    at: Moment
    idle_seconds: float | None = None
    cpu_percent: float = 0.0  # of one core
    memory_bytes: Number = 0
    width: Number = 0
    height: Number = 0


class Report(msgspec.Struct, kw_only=True):
    """The whole state of an agent; any one report suffices to know it."""

    state: State = "starting"
    pid: Number = 0  # of the agent's first process (the keeper)
    pid_started: Number = 0  # clock ticks since boot, field 22 of /proc/PID/stat
    node: Word = ""
    display: Number | None = None
    stages: list[Stage] = []
    failure: Failure | None = None
    end_reason: Word | None = None
    pulse: Pulse | None = None


class Instruction(msgspec.Struct, frozen=True):
    """What the portal answers: end with a reason, a new end of the time limit, or bye to the last report."""

    do: Literal["end", "time", "bye"]
    reason: str = "asked"
    ends_at: float | None = None
