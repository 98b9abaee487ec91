"""The launcher for a cluster: agents are jobs, submitted as their person."""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import pwd
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from madang.compute.launcher import LaunchFailed, LaunchUnsure, Placement, Seen, Waiting
from madang.compute.order import AgentOrder, Failure
from madang.compute.slurm import bundle, reasons, script
from madang.compute.slurm.client import Refused, Slurm
from madang.compute.slurm.facts import ClusterFacts, Facts, as_json
from madang.compute.slurm.parse import Job, JobEnd, submitted
from madang.compute.slurm.settings import SlurmSettings
from madang.compute.slurm.snapshot import Snapshot
from madang.kernel import clock
from madang.kernel.errors import CommandFailed, Conflict, InvalidInput, Unavailable
from madang.kernel.log import logger

log = logger("slurm")
_SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DAY_SECONDS = 86400
# An end that was asked for is rounded differently here and there.
_SLACK_SECONDS = 1.0


class SlurmLauncher:
    """Implements Launcher. What it knows of the queue is one squeue old; refresh() asks anew for all sessions.

    While the controller does not answer, nothing changes: after silent_seconds `look` says since when, and alive=None.
    """

    name = "slurm"
    queues = True

    def __init__(
        self,
        settings: SlurmSettings,
        *,
        log_folder: Path,
        agent_folder: Path,
        agent_module: str,
        on_exit: Callable[[str], None] | None = None,
    ) -> None:
        self.on_exit = on_exit
        self._settings = settings
        self._log_folder = log_folder
        self._agent_folder = agent_folder
        self._module = agent_module
        self._salt = secrets.token_bytes(16)
        self._slurm = Slurm(settings)
        self._facts = Facts(self._slurm, settings.facts_seconds)
        self._agent: Path | None = None
        self._snapshot: Snapshot | None = None
        self._failing_since: float | None = None  # epoch
        self._failed_at = 0.0  # when an attempt failed last (monotonic)
        self._refreshing: asyncio.Task[None] | None = None
        self._watched: dict[str, str] = {}  # session: job
        self._submitted: dict[str, tuple[str | None, int, float]] = {}  # session: job, uid, when (monotonic)
        self._absent_since: dict[
            str, float
        ] = {}  # session without a job: since when the controller says so (monotonic)
        self._ends: dict[str, tuple[str, JobEnd | None]] = {}  # job: state, what else is known
        self._cancelled: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    # Folders.

    async def prepare(self) -> None:
        """Puts the agent's code where the nodes read it. Raises LaunchFailed."""
        self._log_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any("{agent}" in word for word in self._settings.agent_command):
            self._agent = self._agent_folder
        elif self._agent is None or not await asyncio.to_thread((self._agent / "agent.py").is_file):
            keep = self._settings.agent_days * _DAY_SECONDS
            self._agent = await asyncio.to_thread(bundle.publish, self._agent_folder, self._module, keep)

    def folder(self, session: str) -> Path:
        """On the node; the agent makes it itself. Who only sees the job's name cannot take this name first."""
        suffix = hashlib.blake2b(_checked(session).encode(), key=self._salt, digest_size=5).hexdigest()
        return Path(self._settings.folder) / f"madang-{session}-{suffix}"

    def log_file(self, session: str) -> Path:
        return self._log_folder / f"{_checked(session)}.log"

    # Starting.

    async def start(self, order: AgentOrder, name: str) -> Placement:
        _checked(order.session)
        uid = _uid(order.account)
        if order.resources is None:
            raise ValueError("an order for Slurm needs resources")
        if self._agent is None:
            await self.prepare()
        assert self._agent is not None
        words = script.arguments(order.session, order.resources)
        text = script.batch_script(order, self._agent, self._settings)
        self._submitted[order.session] = None, uid, time.monotonic()
        self._absent_since.pop(order.session, None)
        try:
            job = await self._submit(words, text, order.account)
        except LaunchFailed:
            del self._submitted[order.session]
            raise
        self._submitted[order.session] = job, uid, time.monotonic()
        self._watched[order.session] = job
        return Placement(None, None, None, job)

    async def _submit(self, words: list[str], text: bytes, account: str | None) -> str:
        """The job's number. A controller that cannot be reached is asked again for a while."""
        until = time.monotonic() + self._settings.submit_seconds
        while True:
            try:
                done = await self._slurm.submit(words, text, account)
            except CommandFailed as error:
                if error.extras.get("timed_out"):
                    raise LaunchUnsure(error.detail) from error
                raise LaunchFailed(
                    Failure("scheduler_missing", "Slurm's sbatch cannot be run.", error.detail, error.hint)
                ) from error
            if done.status == 0:
                if job := submitted(done.stdout):
                    return job
                raise LaunchUnsure(f"sbatch said {done.stdout!r}")
            if not reasons.not_sent(done.stderr):
                break
            if time.monotonic() >= until:
                raise LaunchFailed(
                    Failure(
                        "scheduler_silent",
                        "The cluster does not answer.",
                        reasons.plain(done.stderr),
                        "Try again in a while; an operator has to look at slurmctld.",
                    )
                )
            await asyncio.sleep(self._settings.retry_seconds)
        if reasons.unsure(done.stderr):
            raise LaunchUnsure(done.stderr.strip())
        raise LaunchFailed(reasons.refusal(done.stderr or done.stdout))

    # Seeing.

    async def refresh(self) -> None:
        """One squeue for all sessions; who comes while it runs waits for the same."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh())
        await asyncio.shield(self._refreshing)

    async def _refresh(self) -> None:
        asked_at, since = time.monotonic(), clock.now()
        try:
            snapshot = Snapshot(await self._slurm.queue(), asked_at)
        except CommandFailed as error:
            if self._failing_since is None:
                self._failing_since = since
                log.warning("slurm does not answer", detail=error.detail)
            self._failed_at = time.monotonic()
            self._absent_since.clear()
            return
        if self._failing_since is not None:
            log.info("slurm answers again", silent_seconds=round(clock.now() - self._failing_since, 1))
        self._failing_since = None
        self._snapshot = snapshot
        self._forget(snapshot)
        for session, job in tuple(self._watched.items()):
            found = snapshot.jobs.get(job)
            if found is None and self._is_newer(session, snapshot):
                continue
            if found is None or found.over:
                del self._watched[session]
                if self.on_exit is not None:
                    self.on_exit(session)

    def _forget(self, snapshot: Snapshot) -> None:
        """What is only of use while the controller knows of the job."""
        self._cancelled &= snapshot.jobs.keys()
        for session, (job, _uid, at) in tuple(self._submitted.items()):
            if job is not None and job not in snapshot.jobs and at <= snapshot.taken_at:
                del self._submitted[session]

    def _is_newer(self, session: str, snapshot: Snapshot) -> bool:
        """Whether the session's job was submitted after the queue was looked at."""
        _job, _uid, at = self._submitted.get(session, (None, 0, -math.inf))
        return at > snapshot.taken_at

    @property
    def silent_since(self) -> float | None:
        """Since when (epoch) the controller does not answer; None while it does, and for the first silent_seconds."""
        since = self._failing_since
        return since if since is not None and clock.now() - since >= self._settings.silent_seconds else None

    async def look(self, session: str, placement: Placement | None) -> Seen:
        number = placement.job if placement else None
        job = self._find(session, number)
        if (job is None or job.waits) and not self._is_fresh():
            await self.refresh()
            job = self._find(session, number)
        silent = self.silent_since
        if job is not None:
            number = job.id
        if number is not None and number in self._ends and (job is None or job.over):
            return self._ended(number, job)
        if job is None:
            return await self._look_for_absent(session, number, silent)
        self._absent_since.pop(session, None)
        self._cancel_others(session, job)
        if job.over:
            return await self._learn_end(job)
        if job.waits:
            assert self._snapshot is not None
            waiting = self._snapshot.waiting(job, clock.now())
            return Seen(alive=None, waiting=waiting, job=job.id, silent=silent)
        return Seen(
            alive=None if silent is not None else True,
            job=job.id,
            node=job.node or None,
            host=await self._facts.address(job.node, answers=self._failing_since is None) if job.node else None,
            started_at=job.begins,
            # One that is being cleaned up has an end that is over: it is not the limit that ended it.
            ends_at=job.ends if job.state != "COMPLETING" else None,
            silent=silent,
        )

    def _is_fresh(self) -> bool:
        """Also after an attempt that failed: a silent controller is not waited for once per session."""
        if self._failing_since is not None:
            asked_at = self._failed_at
        elif self._snapshot is not None:
            asked_at = self._snapshot.taken_at
        else:
            return False
        return time.monotonic() - asked_at < self._settings.fresh_seconds

    def _find(self, session: str, number: str | None) -> Job | None:
        """By its number; by its name if nobody has heard that."""
        if self._snapshot is None:
            return None
        known, uid, _at = self._submitted.get(session, (None, None, 0.0))
        if number := number or known:
            job = self._snapshot.jobs.get(number)
            return job if job is not None and _is_its(job, session, uid) else None
        live = [job for job in self._snapshot.named(script.job_name(session), uid) if not job.over]
        if not live:
            return None
        # A launch that was begun anew brought new secrets: the last one counts. Where it is not known whose job it
        # has to be, the first: the name of a session is not known to others before that.
        return live[-1] if uid is not None else live[0]

    def _cancel_others(self, session: str, kept: Job) -> None:
        """A submit that was held for lost came through after all."""
        assert self._snapshot is not None
        for job in self._snapshot.named(script.job_name(session), kept.uid):
            if job.id != kept.id and not job.over and job.id not in self._cancelled:
                self._cancelled.add(job.id)
                log.warning("a second job of a session is cancelled", session=session, job=job.id, kept=kept.id)
                self._background(self._cancel_quietly(job.id))

    async def _cancel_quietly(self, job: str) -> None:
        try:
            await self._slurm.cancel(job)
        except CommandFailed:
            self._cancelled.discard(job)  # at the next look

    def _background(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_for_absent(self, session: str, number: str | None, silent: float | None) -> Seen:
        """The controller's list does not have it."""
        snapshot = self._snapshot
        # One whose number is known may run, as far as anybody can tell.
        waiting = Waiting("other") if number is None else None
        unknown = Seen(alive=None, waiting=waiting, job=number, silent=silent)
        if snapshot is None or self._failing_since is not None or self._is_newer(session, snapshot):
            return unknown
        if number is not None:
            try:
                end = await self._slurm.ended(number)
            except CommandFailed:
                return unknown
            if end is not None and not end.over:
                return unknown  # between two looks it came back
            self._remember(number, end.state if end else "", end)
            return self._ended(number, None)
        # Its submit may still be on its way, if the controller was stopped in the middle of it.
        since = self._absent_since.setdefault(session, snapshot.taken_at)
        if time.monotonic() - since < self._settings.submit_seconds:
            return unknown
        return Seen(alive=False, end="gone", detail="The cluster has no job of this desktop.")

    async def _learn_end(self, job: Job) -> Seen:
        end: JobEnd | None = None
        if reasons.job_end(job.state) == "failed":
            if self._failing_since is not None:
                return Seen(alive=None, job=job.id, silent=self.silent_since)
            try:
                end = await self._slurm.ended(job.id)
            except CommandFailed:
                return Seen(alive=None, job=job.id, silent=self.silent_since)
        self._remember(job.id, job.state, end)
        return self._ended(job.id, job)

    def _remember(self, number: str, state: str, end: JobEnd | None) -> None:
        if len(self._ends) >= self._settings.ended_jobs:
            del self._ends[next(iter(self._ends))]
        self._ends[number] = state, end

    def _ended(self, number: str, job: Job | None) -> Seen:
        state, end = self._ends[number]
        node = job.node if job else ""
        detail = reasons.end_detail(end or JobEnd(state), node)
        return Seen(
            alive=False,
            job=number,
            node=node or None,
            started_at=job.begins if job else None,
            end=reasons.job_end(state) if state else "gone",
            detail=detail,
        )

    async def adopt(self, session: str, placement: Placement) -> bool:
        if placement.job is None:
            return False
        found = self._snapshot.jobs.get(placement.job) if self._snapshot else None
        if placement.job in self._ends or (found is not None and found.over):
            return False
        self._watched[session] = placement.job
        return True

    # Its time.

    async def extend(self, session: str, placement: Placement, ends_at: float) -> float:
        """Raises InvalidInput (too_long), Conflict (not_running), Unavailable (scheduler_refused, scheduler_silent)."""
        try:
            job = await self._slurm.job(placement.job) if placement.job else None
            uid = self._submitted.get(session, (None, None, 0.0))[1]
            if job is None or not job.runs or job.begins is None or not _is_its(job, session, uid):
                raise Conflict("Its job does not run.", code="not_running", title="The desktop does not run")
            own = await self._facts.own_longest(job.id, job.partitions)
            longest = (await self._facts.get()).longest(job.partitions, job.qos, own)
            if longest is not None and ends_at > job.begins + longest + _SLACK_SECONDS:
                raise InvalidInput(
                    f"In partition {job.partitions} with QoS {job.qos}, a job of yours gets at most "
                    f"{longest // 60} minutes.",
                    code="too_long",
                    title="The cluster does not give so much time",
                    hint="Choose an earlier end.",
                    most=clock.iso(job.begins + longest),
                )
            minutes = script.minutes(ends_at - job.begins)
            if longest is not None:
                minutes = min(minutes, max(1, longest // 60))
            await self._slurm.set_time_limit(job.id, minutes)
            changed = await self._slurm.job(job.id)
        except Refused as error:
            raise Unavailable(
                reasons.plain(str(error)), code="scheduler_refused", title="The cluster did not give more time"
            ) from error
        except CommandFailed as error:
            raise _silent(error) from error
        if changed is None or changed.ends is None:
            raise Conflict("Its job is over.", code="not_running", title="The desktop does not run")
        return changed.ends

    async def longest(self, partition: str, qos: str) -> int | None:
        """The longest time limit (s) of a job there; None: no limit. Raises Unavailable."""
        return (await self.cluster()).longest(partition, qos)

    async def cluster(self) -> ClusterFacts:
        """What the cluster offers. Raises Unavailable while it has never answered."""
        try:
            return await self._facts.get()
        except CommandFailed as error:
            raise _silent(error) from error

    async def described(self) -> dict[str, Any]:
        """For GET /api/vnc/cluster; never raises for a cluster that does not answer. scheduler None: there is none."""
        if self._slurm.missing():
            return as_json(ClusterFacts()) | {"scheduler": None, "answers": True, "since": None}
        try:
            facts, answers = await self.cluster(), self._failing_since is None
        except Unavailable:
            facts, answers = ClusterFacts(), False
        since = clock.iso_or_none(self._failing_since)
        return as_json(facts) | {"scheduler": self.name, "answers": answers, "since": since}

    # Ending.

    async def sweep(
        self, session: str, account: str | None, folder: Path, display: int | None, placement: Placement | None
    ) -> bool:
        """Cancels the session's jobs. True once the controller says that they are over; the node is its agent's."""
        until = time.monotonic() + self._settings.cancel_seconds
        try:
            while True:
                live = await self._live(session, account, placement)
                if not live:
                    self._watched.pop(session, None)
                    self._submitted.pop(session, None)
                    self._absent_since.pop(session, None)
                    return True
                for job in live - self._cancelled:
                    await self._slurm.cancel(job)
                    self._cancelled.add(job)
                if time.monotonic() >= until:
                    self._cancelled -= live  # so that the next sweep asks once more
                    return False
                await asyncio.sleep(self._settings.poll_seconds)
        except CommandFailed:
            return False

    async def _live(self, session: str, account: str | None, placement: Placement | None) -> set[str]:
        """Numbers of its jobs that are not over, by what the controller says now."""
        name = script.job_name(session)
        try:
            uid: int | None = _uid(account)
        except LaunchFailed:
            uid = None
        jobs = await self._slurm.queue(f"--name={name}")
        found = {job.id for job in jobs if job.name == name and not job.over and uid in (None, job.uid)}
        if placement and placement.job and placement.job not in found:
            job = await self._slurm.job(placement.job)
            if job is not None and not job.over and _is_its(job, session, uid):
                found.add(job.id)
        return found

    def close(self) -> None:
        """Stops watching; jobs go on."""
        self._watched.clear()
        for task in (*self._tasks, *([self._refreshing] if self._refreshing else ())):
            task.cancel()


def _is_its(job: Job, session: str, uid: int | None) -> bool:
    """Whether a job can be the session's. Its number may come from its person: from an agent's report, or from sbatch,
    which runs as that person; and a portal that is root could end or extend anybody's job.
    """
    return job.uid == uid if uid is not None else job.name == script.job_name(session)


def _silent(error: CommandFailed) -> Unavailable:
    return Unavailable(
        error.detail,
        code="scheduler_silent",
        title="The cluster does not answer",
        hint="Try again in a while; an operator has to look at slurmctld.",
    )


def _checked(session: str) -> str:
    if not _SESSION.fullmatch(session):
        raise ValueError(f"not a session id: {session!r}")
    return session


def _uid(account: str | None) -> int:
    if account is None:
        return os.geteuid()
    try:
        return pwd.getpwnam(account).pw_uid
    except KeyError as error:
        raise LaunchFailed(
            Failure(
                "account_gone",
                "The Unix account is gone.",
                f"There is no account {account} on this machine.",
                "Ask an administrator to restore it, or to give you another one.",
            )
        ) from error
