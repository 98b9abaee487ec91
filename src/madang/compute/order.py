"""The wire contract of agent and portal: the order that starts an agent, and the reports it sends.

All times are seconds since the epoch (float). Every struct ignores fields it does not know, so that a newer portal can
talk to an agent that was started by an older one.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from madang.kernel.errors import Failure

__all__ = [
    "STAGES",
    "AgentDoor",
    "AgentOrder",
    "Failure",
    "Instruction",
    "Pulse",
    "Report",
    "Resources",
    "Stage",
    "State",
]

# The names of a session's stages, in order; "queue" is there when a scheduler has to find a node first.
STAGES = ("request", "queue", "agent", "display", "window_manager", "desktop")
# Those that the portal itself says; the others are the agent's.
PORTAL_STAGES = frozenset({"request", "queue"})

# An agent runs as its person, who may make it say anything: what could not be stored or shown is refused.
Moment = Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]  # up to the year 9999
Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Amount = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]  # sums of it are still numbers
# Terminals of operators show it: nothing in it that one would obey. (`$` would let a line's end through.)
_PLAIN = r"^[^\x00-\x1f\x7f-\x9f]*\Z"
Word = Annotated[str, msgspec.Meta(max_length=255, pattern=_PLAIN)]

State = Literal["starting", "ready", "ending", "ended", "failed"]


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """What a scheduler is asked for. None and "" leave the choice to the cluster."""

    time_limit_seconds: int
    cpus: int | None = None
    memory_bytes: int | None = None
    gpus: str = ""  # a number, or type:number
    partition: str = ""
    qos: str = ""
    charge: str = ""  # Slurm's account
    features: str = ""  # a constraint, as in "fast&gpu"
    reservation: str = ""
    image: str = ""  # path of an Apptainer image in which the agent and the desktop run
    requeue: bool = False  # start anew on another node when this one is lost


class AgentOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is told on its standard input, as one JSON document.

    Holds secrets (agent_secret, door_key): never on a command line, in an environment or in a log.
    """

    session: str
    service: str = "vnc"
    account: str | None = None  # None: the session runs as the Unix user of the portal itself
    folder: str  # exists already, mode 0700, owned by the account; with make_folder the agent makes it itself
    make_folder: bool = False
    portal: str  # http(s)://host:port, where the agent reports
    portals: tuple[str, ...] = ()  # further addresses, tried in turn
    portal_certificates: str = ""  # PEM of those who sign an https portal's certificate; "": the system's
    door_ports: tuple[int, int] | None = None  # the door is also a TLS listener on one of these, for other hosts
    native_ports: tuple[int, int] | None = None  # where a listener for native clients may be opened, once asked for
    resources: Resources | None = None
    largest_upload_bytes: int = 0  # 0: nothing may be uploaded
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
    seconds: Amount | None = None


class Pulse(msgspec.Struct, frozen=True):
    """How a running session is: idle_seconds since the last key or pointer event (None: the display did not say)."""

    at: Moment
    idle_seconds: Amount | None = None
    cpu_percent: Amount = 0.0  # of one core
    memory_bytes: Number = 0
    width: Number = 0
    height: Number = 0


class AgentDoor(msgspec.Struct, frozen=True):
    """Where the agent's TLS door listens on its node. The host is never taken from here: the scheduler says it."""

    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    fingerprint: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]  # SHA-256 of the certificate (DER)


class Report(msgspec.Struct, kw_only=True):
    """The whole state of an agent; any one report suffices to know it."""

    state: State = "starting"
    pid: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0  # of the agent's first process (the keeper)
    pid_started: Number = 0  # clock ticks since boot, field 22 of /proc/PID/stat
    node: Word = ""
    display: Annotated[int, msgspec.Meta(ge=0, le=65_535)] | None = None
    stages: Annotated[list[Stage], msgspec.Meta(max_length=32)] = []
    failure: Failure | None = None
    end_reason: Annotated[str, msgspec.Meta(max_length=32, pattern=_PLAIN)] | None = None
    pulse: Pulse | None = None
    door: AgentDoor | None = None
    # SLURM_JOB_ID, when the agent runs in one; an argument of commands later.
    job: Annotated[str, msgspec.Meta(max_length=20, pattern=r"^[0-9]*\Z")] = ""
    restarts: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0  # how often the scheduler has started it anew
    log_tail: Annotated[str, msgspec.Meta(max_length=49_152)] = ""  # with the last report, when no log file is shared


class Instruction(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the portal says to an agent, over its link or through its door.

    end with a reason · time: a new end of the time limit (None: none) · size: of the screen ·
    portals: where the portal is from now on · shut: cut native clients off, their passwords are good no more ·
    hello: the portal's clock (now), said once a link stands · bye: to the last report.
    """

    do: Literal["end", "time", "size", "portals", "shut", "hello", "bye"]
    reason: str = "asked"
    ends_at: float | None = None
    width: Number = 0
    height: Number = 0
    portals: tuple[str, ...] = ()
    portal_certificates: str = ""
    now: float | None = None
