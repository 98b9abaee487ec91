"""A session: its states and what is stored of it. Pure values; rules.py says what moves it.

    requested -> waiting -> starting -> ready -> ending -> ended
                    └──────────┴──────────┴─────────┴────> failed

`waiting`: a scheduler looks for a node; a job that it starts anew goes back there. What cannot be seen is not ended:
`unknown_since` says since when and `unknown_reason` what is silent, the state stays the last one seen.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from madang.compute.order import Resources, Stage
from madang.compute.sight import Placement, Waiting
from madang.kernel.errors import Failure


class State(StrEnum):
    REQUESTED = "requested"
    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    ENDING = "ending"
    ENDED = "ended"
    FAILED = "failed"


OVER = frozenset({State.ENDED, State.FAILED})


class Terms(msgspec.Struct, frozen=True):
    """What a session's preset said when it was asked for: changing a preset changes no running session."""

    resources: Resources
    longest_seconds: int = 0  # from its start on; 0: no more than its time limit
    idle_stop_seconds: int = 0  # without input and work; 0: never
    idle_cpu_percent: float = 5.0  # of one core; more than this is work
    native: bool = False  # whether native clients may be let in


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
    notes: str = ""
    account: str | None = None
    launcher: str = "local"
    preset: str | None = None
    preset_name: str | None = None
    terms: Terms | None = None
    wanted: bool = True
    unknown_since: float | None = None
    unknown_reason: str | None = None  # agent or scheduler
    waiting: Waiting | None = None
    job: str | None = None
    node: str | None = None
    host: str | None = None  # where its door is reached, as its launcher says; None: on this machine
    door_port: int | None = None
    door_fingerprint: str | None = None
    display: int | None = None
    pid: int | None = None
    pid_started: int | None = None
    folder: str | None = None
    launched_at: float | None = None
    started_at: float | None = None  # when its job began to run
    ready_at: float | None = None
    ends_at: float | None = None
    job_ends_at: float | None = None  # what the scheduler said last
    ending_at: float | None = None
    ended_at: float | None = None
    stages: tuple[Stage, ...] = ()
    failure: Failure | None = None
    end_reason: str | None = None
    end_message: str | None = None  # what an operator who ended it had to say
    restarts: int = 0
    pooled_until: float | None = None  # set: made ready for somebody who has not asked for it yet
    kept_at: float | None = None  # when its person said "keep it"
    idle_warned_at: float | None = None
    agent_secret_hash: str | None = None
    door_key: str | None = None

    @property
    def over(self) -> bool:
        return self.state in OVER

    @property
    def has_door(self) -> bool:
        """Whether there is something to look at: the display is up, though the desktop may still be on its way."""
        return not self.over and self.display is not None

    @property
    def placement(self) -> Placement | None:
        """Where its agent was put; None while it was not, or while nobody knows whether it was."""
        if self.job is None and (self.pid is None or self.node is None):
            return None
        return Placement(self.node, self.pid, self.pid_started, self.job)
