"""Carries sessions on: looks at reality, decides by the model's rules, takes the step."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from madang.compute.launcher import Launcher, LaunchFailed, Placement
from madang.compute.order import AgentOrder, Instruction, Stage
from madang.desktops.links import Links
from madang.desktops.model import (
    FAILURES,
    NO_ACCOUNT,
    NOT_LAUNCHED,
    Decision,
    Patience,
    Session,
    Sight,
    State,
    Step,
    decide,
    finished,
)
from madang.desktops.service import TRIES, Desktops
from madang.desktops.store import Stale
from madang.identity.cookies import digest
from madang.kernel import clock, metrics
from madang.kernel.errors import Failure, MadangError
from madang.kernel.log import logger
from madang.kernel.loops import Loop
from madang.kernel.settings import as_root

log = logger("desktops")
FORGET_SECONDS = 60.0


class Supervisor:
    """The loop over one service's sessions."""

    def __init__(
        self,
        desktops: Desktops,
        launcher: Launcher,
        links: Links,
        patience: Patience,
        order: Callable[[Session, str, str], AgentOrder],
        *,
        look_seconds: float,
        news_again: Callable[[str], None],
    ) -> None:
        """`order(session, agent_secret, door_key)` makes the order for an agent.

        `news_again(session)`: whatever its agent says next counts as news.
        """
        self._desktops = desktops
        self._launcher = launcher
        self._links = links
        self._patience = patience
        self._order = order
        self._news_again = news_again
        self._launching: set[str] = set()
        self._steps: dict[str, asyncio.Task[None]] = {}
        self._forgot_at = 0.0
        self._stopped = False
        self.loop = Loop(desktops.service, self.cycle, look_seconds)

    async def start(self) -> None:
        self._desktops.wake = self.wake
        self._launcher.on_exit = self.wake
        for session in await self._desktops.store.running():
            if placement := placement_of(session):
                await self._launcher.adopt(session.id, placement)

    async def stop(self) -> None:
        self._stopped = True
        for task in tuple(self._steps.values()):
            task.cancel()
        await asyncio.gather(*self._steps.values(), return_exceptions=True)
        await self._desktops.pulses.stop()

    def wake(self, session_id: str) -> None:
        """Look at this session now."""
        if not self._stopped:  # connections that end with the portal wake it too
            self._run(session_id, self._look_again(session_id))

    async def cycle(self) -> str:
        """Look at every session that is not over."""
        running = await self._desktops.store.running()
        for session in running:
            if session.id not in self._steps:
                await self._look_at(session)
        if time.monotonic() - self._forgot_at > FORGET_SECONDS:
            self._forgot_at = time.monotonic()
            before = clock.now() - self._desktops.limits.retention_seconds
            await self._desktops.forget(ended_before=before)
        return ""

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
        if session is None:
            return
        if session.over:
            await self._clear(session)
        elif session.state is State.REQUESTED and session.wanted:
            await self._launch(session)
        else:
            await self._take_step(session, await self._decide(session))

    async def _decide(self, session: Session) -> Decision:
        linked, seen_at = self._links.linked(session.id), self._links.seen_at(session.id)
        placement = placement_of(session)
        process: bool | None = None
        if placement and not linked:
            process = await self._launcher.alive(placement)
        sight = Sight(seen_at=seen_at, linked=linked, process=process, launching=session.id in self._launching)
        return decide(session, sight, clock.now(), self._patience)

    async def _take_step(self, session: Session, decision: Decision) -> None:
        match decision.step:
            case Step.LAUNCH:
                await self._launch(session)
            case Step.ASK_TO_END:
                await self._ask_to_end(session, decision.why)
            case Step.FINISH:
                await self._finish(session, decision.why, None)
            case Step.FAIL:
                await self._finish(session, decision.why, FAILURES[decision.why])
            case Step.MARK_UNKNOWN:
                log.info("session unknown", session=session.id)
                self._news_again(session.id)
                await self._desktops.change(session, unknown_since=self._links.seen_at(session.id))
            case Step.MARK_SEEN:
                await self._desktops.change(session, unknown_since=None)

    async def _launch(self, session: Session) -> None:
        if session.id in self._launching:
            return
        if as_root() and session.account is None:
            # Without an account an agent stays who starts it, and that is root.
            await self._over(session, "failed", NO_ACCOUNT)
            return
        self._launching.add(session.id)
        try:
            if session.launched_at is not None:
                # A portal that is gone was at it: whatever it started has not reported, and goes.
                await self._sweep(session)
            now = clock.now()
            agent_secret, door_key = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
            request = Stage("request", session.created_at, round(now - session.created_at, 3))
            session = await self._desktops.change(
                session,
                state=State.STARTING,
                launched_at=now,
                ends_at=now + session.time_limit_seconds,
                folder=str(self._launcher.folder(session.id)),
                stages=(request, Stage("agent", now)),
                agent_secret_hash=digest(agent_secret),
                door_key=door_key,
            )
            try:
                await self._launcher.prepare()
                placement = await self._launcher.start(self._order(session, agent_secret, door_key))
            except LaunchFailed as error:
                await self._over(session, "failed", error.failure)
                return
            except Exception:
                # Not to be tried again and again; and nobody knows what was half made.
                metrics.bugs.labels("desktops").inc()
                log.exception("launch failed", session=session.id)
                await self._finish(session, "failed", NOT_LAUNCHED)
                return
            await self._store_placement(session, placement)
        finally:
            self._launching.discard(session.id)

    async def _store_placement(self, launched: Session, placement: Placement) -> None:
        """The agent's first report says the same; whichever comes first is stored."""
        for _ in range(TRIES):
            session = await self._desktops.store.get(launched.id)
            if session is None or session.over or session.pid is not None:
                return
            if session.launched_at != launched.launched_at:
                return  # another portal held this launch for dead and began its own
            try:
                await self._desktops.change(
                    session, node=placement.node, pid=placement.pid, pid_started=placement.pid_started
                )
            except Stale:
                continue
            return

    async def _ask_to_end(self, session: Session, reason: str) -> None:
        """Over the link; an agent that is not connected is ended by force when its time is over (`decide`)."""
        if session.wanted:
            await self._desktops.want_end(session, reason)  # which looks at it again
        else:
            await self._links.tell(session.id, Instruction("end", reason))

    async def _finish(self, session: Session, reason: str, failure: Failure | None) -> None:
        """End by force whatever is left, then record the end."""
        await self._sweep(session)
        await self._over(session, reason, failure)

    async def _sweep(self, session: Session) -> None:
        if session.folder is not None:
            folder = Path(session.folder)
            if not await self._launcher.sweep(session.id, session.account, folder, session.display):
                log.warning("something of a session could not be removed", session=session.id)

    async def _clear(self, session: Session) -> None:
        """A keeper that was killed left the folder, which its worker may empty but, as the account, not remove."""
        placement = placement_of(session)
        if placement is None or session.folder is None or self._links.linked(session.id):
            return
        left = await asyncio.to_thread(Path(session.folder).exists)
        if left and await self._launcher.alive(placement) is False:
            await self._sweep(session)

    async def _over(self, session: Session, reason: str, failure: Failure | None) -> None:
        await self._desktops.change(session, **finished(session, reason, clock.now(), failure))
        log.info("session over", session=session.id, reason=reason, code=failure.code if failure else "")


def placement_of(session: Session) -> Placement | None:
    if session.pid is None or session.node is None:
        return None
    return Placement(session.node, session.pid, session.pid_started or 0)
