"""Carries sessions on: looks at reality, decides by the model's rules, takes the step."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from madang.compute.launcher import Launcher, LaunchFailed, LaunchUnsure
from madang.compute.order import AgentOrder, Instruction, Stage
from madang.compute.sight import Placement
from madang.desktops.failures import NO_ACCOUNT, NO_LAUNCHER, NOT_LAUNCHED, failure_of
from madang.desktops.model import Session, State
from madang.desktops.reach import Reach
from madang.desktops.rules import Decision, Patience, Sight, Step, decide, finished
from madang.desktops.service import TRIES, Desktops
from madang.desktops.store import Stale
from madang.identity.cookies import digest
from madang.kernel import clock, metrics
from madang.kernel.clock import epoch
from madang.kernel.errors import Failure, MadangError
from madang.kernel.log import logger
from madang.kernel.loops import Loop
from madang.kernel.settings import as_root

log = logger("desktops")
FORGET_SECONDS = 60.0
# Between the tries to tell an agent something. It hears its end again whenever it connects.
PAUSES_SECONDS = (1.0, 3.0, 10.0)


class Supervisor:
    """The loop over one service's sessions."""

    def __init__(
        self,
        desktops: Desktops,
        reach: Reach,
        patience: Patience,
        order: Callable[[Session, str, str], AgentOrder],
        *,
        look_seconds: float,
        call_seconds: float,
        portals: Callable[[Session], Instruction],
        news_again: Callable[[str], None],
    ) -> None:
        """`order(session, agent_secret, door_key)` makes the order for an agent.

        An agent that was not heard for `call_seconds` is told through its door where the portal is: `portals(session)`.
        `news_again(session)`: whatever its agent says next counts as news.
        """
        self._desktops = desktops
        self._launchers = desktops.launchers
        self._reach = reach
        self._links = reach.links
        self._patience = patience
        self._order = order
        self._call_seconds = call_seconds
        self._portals = portals
        self._known: dict[str, Session] = {}  # as they were when all were looked at last
        self._called: dict[str, float] = {}
        self._look_seconds = look_seconds
        self._refreshing: dict[str, asyncio.Task[None]] = {}
        self._given_up: set[str] = set()  # launchers whose look took longer than a cycle waits
        self._news_again = news_again
        self._launching: set[str] = set()
        self._steps: dict[str, asyncio.Task[None]] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._forgot_at = 0.0
        self._stopped = False
        self.loop = Loop(desktops.service, self.cycle, look_seconds, lease=True)

    async def start(self) -> None:
        self._desktops.wake = self.wake
        self._desktops.instruct = self.instruct
        for launcher in self._launchers.values():
            launcher.on_exit = self.wake
        for session in await self._desktops.store.running():
            if (placement := session.placement) and (its := self._launchers.get(session.launcher)):
                await its.adopt(session.id, placement)

    async def stop(self) -> None:
        self._stopped = True
        tasks = (*self._steps.values(), *self._telling, *self._refreshing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._desktops.pulses.stop()

    def wake(self, session_id: str) -> None:
        """Look at this session now."""
        if not self._stopped:  # connections that end with the portal wake it too
            self._run(session_id, self._look_again(session_id))

    async def cycle(self) -> str:
        """Look at every session that is not over."""
        running = await self._desktops.store.running(self._known)
        self._known = {session.id: session for session in running}
        await self._links.refresh({session.id for session in running})
        self._called = {session.id: self._called[session.id] for session in running if session.id in self._called}
        await self._refresh({session.launcher for session in running} & self._launchers.keys())
        for session in running:
            if not self.loop.runs_here:  # this process was stopped meanwhile, and another one took over
                return ""
            if session.launcher in self._refreshing:
                continue  # its launcher hangs: what it would say of it is not known yet
            if session.id not in self._steps:
                self._call(session)
                await self._look_at(session)
        if time.monotonic() - self._forgot_at > FORGET_SECONDS:
            self._forgot_at = time.monotonic()
            before = clock.now() - self._desktops.limits.retention_seconds
            await self._desktops.forget(ended_before=before)
        return ""

    async def _refresh(self, names: set[str]) -> None:
        """Have launchers look at their world; one that hangs is not waited for, so that others' sessions go on.

        What one saw that was given up before counts for this cycle: were it asked anew at once, it would be given up
        again, and its sessions never be looked at.
        """
        late = {name for name in names & self._given_up if name not in self._refreshing}
        self._given_up -= late
        for name in names - self._refreshing.keys() - late:
            task = asyncio.create_task(self._launchers[name].refresh())
            self._refreshing[name] = task
            task.add_done_callback(lambda _task, name=name: self._refreshing.pop(name))  # type: ignore[misc]
        if waiting := [self._refreshing[name] for name in names if name in self._refreshing]:
            await asyncio.wait(waiting, timeout=self._look_seconds)
        # Those that came to their end meanwhile are looked at in this cycle.
        self._given_up = (self._given_up - names) | (names & self._refreshing.keys())

    def _call(self, session: Session) -> None:
        """An agent that is not heard may look for the portal where it is not any more: it is told through its door."""
        heard = self._links.linked(session.id) or not session.has_door
        last = max(self._links.seen_at(session.id), self._called.get(session.id, 0.0))
        if not heard and clock.now() - last > self._call_seconds:
            self._called[session.id] = clock.now()
            self._run(session.id, self._tell_portals(session))

    async def _tell_portals(self, session: Session) -> None:
        await self._reach.tell(session, self._portals(session))

    async def _look_at(self, session: Session) -> None:
        """One session that cannot be looked at does not keep the others waiting."""
        try:
            decision = await self._decide(session)
        except Exception:
            metrics.bugs.labels("desktops").inc()
            log.exception("a session cannot be looked at", session=session.id)
            return
        if decision.step is not Step.NOTHING:
            self._run(session.id, self._take_step(session, decision))

    def _run(self, session_id: str, work: Coroutine[Any, Any, None]) -> None:
        """Steps of one session follow each other, those of several go side by side."""
        before = self._steps.get(session_id)

        async def step() -> None:
            try:
                if before:
                    await asyncio.gather(before, return_exceptions=True)
                await work
            except Stale:
                self.loop.wake()
            except MadangError as error:
                log.warning("step failed", session=session_id, code=error.code, detail=error.detail)
            except Exception:
                log.exception("step failed", session=session_id)

        def done(_task: asyncio.Task[None]) -> None:
            work.close()  # which a step that was cancelled before it began has not run
            if self._steps.get(session_id) is task:
                del self._steps[session_id]

        task = asyncio.create_task(step())
        task.add_done_callback(done)
        self._steps[session_id] = task

    async def _look_again(self, session_id: str) -> None:
        session = await self._desktops.store.get(session_id)
        if session is None or session.over:
            self._desktops.forget_beside(session_id)  # another portal may have recorded its end
        if session is None:
            return
        if session.over:
            await self._clear(session)
        elif session.state is State.REQUESTED and session.wanted:
            await self._launch(session)
        else:
            await self._take_step(session, await self._decide(session))

    async def _decide(self, session: Session) -> Decision:
        linked = self._links.linked(session.id)
        launcher = self._launchers.get(session.launcher)
        agent = None
        if launcher and launcher.queues and linked and session.host is None:
            await launcher.refresh()  # its job has just begun: what was seen of the queue before is old
        if launcher and session.launched_at is not None and (launcher.queues or (session.placement and not linked)):
            agent = await launcher.look(session.id, session.placement)
        sight = Sight(
            heard_at=self._links.seen_at(session.id),
            linked=linked,
            agent=agent,
            launching=session.id in self._launching,
            idle_since=await self._idle_since(session),
        )
        decision = decide(session, sight, clock.now(), self._patience)
        if decision.step is Step.FAIL and agent is not None:
            return Decision(Step.FAIL, decision.why, {"failure": failure_of(decision.why, agent)})
        return decision

    async def _idle_since(self, session: Session) -> float | None:
        if session.terms is None or not session.terms.idle_stop_seconds or session.state is not State.READY:
            return None
        pulse = await self._desktops.pulses.get(session.id)
        return epoch(pulse.idle_since) if pulse and pulse.idle_since else None

    async def _take_step(self, session: Session, decision: Decision) -> None:
        match decision.step:
            case Step.LAUNCH:
                await self._launch(session)
            case Step.ASK_TO_END:
                await self._ask_to_end(session, decision.why)
            case Step.FINISH:
                await self._finish(session, decision.why, session.failure)
            case Step.FAIL:
                failure = decision.changes.get("failure") or failure_of(decision.why)
                await self._finish(session, decision.why, failure)
            case Step.NOTE:
                await self._note(session, decision)

    async def _note(self, session: Session, decision: Decision) -> None:
        changes = decision.changes
        if "unknown_since" in changes or "state" in changes:
            log.info("session", session=session.id, step=decision.why, reason=changes.get("unknown_reason"))
            self._news_again(session.id)
        changed = await self._desktops.change(session, **changes)
        if changed.ends_at != session.ends_at and changed.ends_at is not None:
            self.instruct(changed, Instruction("time", ends_at=changed.ends_at))

    def instruct(self, session: Session, instruction: Instruction) -> None:
        """Have its agent told, now or when it can be reached a little later."""
        if not self._stopped:
            task = asyncio.create_task(self._insist(session, instruction))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _insist(self, session: Session, instruction: Instruction) -> None:
        for pause in PAUSES_SECONDS:
            if await self._reach.tell(session, instruction):
                return
            await asyncio.sleep(pause)

    async def _launch(self, session: Session) -> None:
        if session.id in self._launching:
            return
        launcher = self._launchers.get(session.launcher)
        if launcher is None:
            await self._over(session, "failed", NO_LAUNCHER)
            return
        if as_root() and session.account is None:
            # Without an account an agent stays who starts it, and that is root.
            await self._over(session, "failed", NO_ACCOUNT)
            return
        self._launching.add(session.id)
        try:
            if session.launched_at is not None and not await self._sweep(session):
                # A portal that is gone was at it: whatever it started has not reported, and goes first.
                return
            await self._launch_by(launcher, session)
        finally:
            self._launching.discard(session.id)

    async def _launch_by(self, launcher: Launcher, session: Session) -> None:
        now = clock.now()
        agent_secret, door_key = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        request = Stage("request", session.created_at, round(now - session.created_at, 3))
        session = await self._desktops.change(
            session,
            state=State.WAITING if launcher.queues else State.STARTING,
            launched_at=now,
            ends_at=None if launcher.queues else now + granted_seconds(session),
            folder=str(launcher.folder(session.id)),
            stages=(request, Stage("queue" if launcher.queues else "agent", now)),
            agent_secret_hash=digest(agent_secret),
            door_key=door_key,
        )
        try:
            await launcher.prepare()
            placement = await launcher.start(self._order(session, agent_secret, door_key), session.name)
        except LaunchFailed as error:
            await self._over(session, "failed", error.failure)
        except LaunchUnsure:
            # Its answer was lost: the next look finds its job, or says that there is none.
            log.warning("launch unsure", session=session.id)
        except Exception:
            # Not to be tried again and again; and nobody knows what was half made.
            metrics.bugs.labels("desktops").inc()
            log.exception("launch failed", session=session.id)
            await self._finish(session, "failed", NOT_LAUNCHED)
        else:
            await self._store_placement(session, placement)

    async def _store_placement(self, launched: Session, placement: Placement) -> None:
        """The agent's first report says the same; whichever comes first is stored."""
        for _ in range(TRIES):
            session = await self._desktops.store.get(launched.id)
            if session is None or session.over or session.pid is not None or session.job is not None:
                return
            if session.launched_at != launched.launched_at:
                return  # another portal held this launch for dead and began its own
            values = {"job": placement.job}
            if placement.pid is not None:
                values |= msgspec.structs.asdict(placement)
            try:
                await self._desktops.change(session, **values)
            except Stale:
                continue
            return

    async def _ask_to_end(self, session: Session, reason: str) -> None:
        """An agent that cannot be told is ended by force when its time is over (`decide`)."""
        if session.wanted:
            await self._desktops.want_end(session, reason)  # which looks at it again
        else:
            await self._reach.tell(session, Instruction("end", reason))

    async def _finish(self, session: Session, reason: str, failure: Failure | None) -> None:
        """End by force whatever is left, then record the end: not before, where it could not be seen to be over."""
        launcher = self._launchers.get(session.launcher)
        if not await self._sweep(session) and launcher is not None and launcher.queues:
            return
        await self._over(session, reason, failure)

    async def _sweep(self, session: Session) -> bool:
        launcher = self._launchers.get(session.launcher)
        if session.folder is None or launcher is None:
            return True
        folder = Path(session.folder)
        swept = await launcher.sweep(session.id, session.account, folder, session.display, session.placement)
        if not swept:
            log.warning("something of a session could not be removed", session=session.id)
        return swept

    async def _clear(self, session: Session) -> None:
        """A keeper that was killed left the folder, which its worker may empty but, as the account, not remove."""
        placement, launcher = session.placement, self._launchers.get(session.launcher)
        if placement is None or session.folder is None or launcher is None or self._links.linked(session.id):
            return
        if launcher.queues:
            return  # its node is not ours, and the folder there its agent's own
        left = await asyncio.to_thread(Path(session.folder).exists)
        if left and (await launcher.look(session.id, placement)).alive is False:
            await self._sweep(session)

    async def _over(self, session: Session, reason: str, failure: Failure | None) -> None:
        await self._desktops.change(session, **finished(session, reason, clock.now(), failure))
        log.info("session over", session=session.id, reason=reason, code=failure.code if failure else "")


def granted_seconds(session: Session) -> float:
    """How long it may run from its launch on. One of the pool may also wait to be asked for."""
    waits = max(0.0, session.pooled_until - session.created_at) if session.pooled_until is not None else 0.0
    return session.time_limit_seconds + waits
