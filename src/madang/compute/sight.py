"""What can be seen of an agent from outside: where it was put, what it waits for, whether it runs. Values only."""

from __future__ import annotations

from typing import Literal

import msgspec


class Placement(msgspec.Struct, frozen=True):
    """Where an agent runs, or waits to run.

    pid_started (clock ticks since boot) tells a process from a later one of the same pid. `job`: the scheduler's
    number; node and pid are not known before the job runs.
    """

    node: str | None
    pid: int | None
    pid_started: int | None
    job: str | None = None


class Waiting(msgspec.Struct, frozen=True):
    """Why a job has not begun. `reason` is one of WAITING_REASONS, `said` the scheduler's own word for it."""

    reason: str
    said: str = ""
    partition: str = ""
    expected_at: float | None = None  # when the scheduler thinks it will begin (epoch s)
    position: int | None = None  # 1: nobody in this partition is before it


# What a job may wait for. The page has the words (waiting.* of web/src/lib/words).
WAITING_REASONS = (
    "account_limit",  # what its Slurm account may use at a time
    "begin_time",  # not before a set time; also the pause before a requeued job runs again
    "cannot_run",  # no node could ever run it as it was asked for
    "dependency",
    "held",  # by an operator or its person
    "licenses",
    "nodes_unavailable",  # the nodes it could run on are down, drained or reserved
    "partition_closed",
    "partition_limit",  # it asks for more time or nodes than the partition gives
    "person_limit",  # what the person may use at a time
    "priority",  # others are before it
    "qos_limit",
    "reservation",  # waits for its reservation to begin
    "resources",  # for a free node
    "other",
)

JobEnd = Literal["completed", "cancelled", "time_limit", "node_lost", "out_of_memory", "preempted", "failed", "gone"]


class Seen(msgspec.Struct, frozen=True):
    """How an agent is, as its launcher sees it.

    `alive`: it runs; False: it runs no more and does not wait either; None: cannot be told now. While it `waiting`s it
    is not alive (None). `host` is where its door can be reached, from the scheduler, never from the agent. `silent`:
    since when the scheduler has not answered (epoch s), None while it does.
    """

    alive: bool | None
    waiting: Waiting | None = None
    job: str | None = None
    node: str | None = None
    host: str | None = None
    started_at: float | None = None
    ends_at: float | None = None
    end: JobEnd | None = None
    detail: str = ""  # of the end: exit status, signal, the node's name
    silent: float | None = None
