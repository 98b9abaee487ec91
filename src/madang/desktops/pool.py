"""Pools: desktops that stand ready before they are asked for, so that a click costs no start.

A desktop runs as its person's account from its first process on, so a ready one is made for somebody: for those who
may use the preset, the most recent first, one each. It is hidden until its person asks for one like it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec
from prometheus_client import Gauge

from madang.desktops.model import Session, State
from madang.desktops.pool_plan import Guest, Plan, in_schedule, make_plan
from madang.desktops.preset import Preset
from madang.desktops.service import Desktops, Wish
from madang.desktops.store import Stale
from madang.identity.model import Person
from madang.identity.service import People
from madang.kernel import clock
from madang.kernel.errors import InvalidInput, LimitReached
from madang.kernel.events import Event
from madang.kernel.ground import Ground, Missing
from madang.kernel.log import logger
from madang.kernel.loops import Loop
from madang.kernel.settings import as_root

log = logger("desktops")
pool_desktops = Gauge(
    "madang_pool_desktops",
    "Desktops of the pool, as the portal that keeps it last saw them: wanted, ready, on their way.",
    ["service", "preset", "state"],
)
DAY_SECONDS = 86_400.0


class Pool:
    """The pools of one service."""

    def __init__(
        self,
        ground: Ground,
        desktops: Desktops,
        missing: Callable[[], Sequence[Missing]],
        *,
        seconds: float,
        rest_seconds: float,
        recent_days: float,
        pause_seconds: float,
    ) -> None:
        """Looked at every `seconds`, and `rest_seconds` after one was taken; for people who were here within
        `recent_days`.

        After one of them failed, no more of its preset are made for `pause_seconds`. `missing`: what this machine lacks
        to start any.
        """
        self._desktops = desktops
        self._people = People(ground)
        self._missing = missing
        self._recent_seconds = recent_days * DAY_SECONDS
        self._pause_seconds = pause_seconds
        self._rest_seconds = rest_seconds
        self._paused: dict[str, float] = {}
        self._made: dict[str, str] = {}  # those on their way, with their preset, to notice when they fail
        self.loop = Loop(f"{desktops.service} pool", self.cycle, seconds, lease=True)
        ground.events.on(f"{desktops.service}.pool", self._look_soon)

    async def _look_soon(self, _event: Event) -> None:
        """Not at once: a desktop that starts would slow down the one that somebody is just opening."""
        asyncio.get_running_loop().call_later(self._rest_seconds, self.loop.wake)

    async def cycle(self) -> str:
        """End what is of no use any more, make what is lacking."""
        presets = await self._desktops.presets.all()
        pooled = [session for session in await self._desktops.store.pooled() if session.wanted]
        await self._notice_failures()
        if not pooled and not any(preset.pool_size for preset in presets):
            pool_desktops.clear()
            return ""
        plan = await self._plan(presets, pooled)
        for session, why in plan.end:
            with contextlib.suppress(Stale):  # taken a moment ago: the next cycle sees it
                await self._desktops.want_end(session, "pool")
                log.info("one of the pool is ended", session=session.id, reason=why)
        made = await self._make(plan)
        self._count(presets, pooled, plan)
        ended = len(plan.end)
        return f"pool: {made} made, {ended} ended" if made or ended else ""

    async def _plan(self, presets: Sequence[Preset], pooled: Sequence[Session]) -> Plan:
        now = clock.now()
        open_now = {preset.id: preset for preset in presets if in_schedule(preset, datetime.fromtimestamp(now))}
        guests = await self._guests(open_now, now)
        lacking = {one.name for one in self._desktops.launchers.values() if not one.queues and self._missing()}
        paused = {preset for preset, until in self._paused.items() if now < until}
        closed = paused | {preset.id for preset in presets if preset.launcher in lacking}
        if await self._desktops.maintained():
            closed |= set(open_now)
        return make_plan(open_now, pooled, guests, closed, now, await self._surplus())

    async def _surplus(self) -> int:
        of_site = (await self._desktops.policies.limits()).sessions_of_site
        if of_site is None:
            return 0
        running = sum(session.wanted for session in await self._desktops.store.running())
        return max(0, running - of_site)

    async def _guests(self, presets: Mapping[str, Preset], now: float) -> dict[str, list[Guest]]:
        """For whom desktops of each preset could stand ready, the most recent first."""
        desktops = self._desktops
        running = Counter(s.person_id for s in await desktops.store.running() if s.pooled_until is None)
        limits, default = await desktops.policies.limits(), desktops.limits.sessions_per_person
        chosen = await desktops.presets.chosen_by_all()
        found: dict[str, list[Guest]] = {key: [] for key in presets}
        for person in await self._people.all():
            choice, at = chosen.get(person.id, (None, 0.0))
            seen = max(at, person.last_sign_in_at or 0.0)
            if not _may(person) or now - seen > self._recent_seconds:
                continue
            full = running[person.id] >= limits.of(person.name, default)
            for preset in presets.values():
                if not preset.allows(person):
                    continue
                same = choice is not None and choice.preset == preset.id
                wish = (
                    Wish("", "", preset.id, choice.width, choice.height, choice.time_limit_seconds)
                    if same and choice is not None
                    else Wish(preset=preset.id)
                )
                rank = (running[person.id] > 0, not same, -seen)
                found[preset.id].append(Guest(self._draft(person, preset, wish), rank, full))
        return {key: sorted(guests, key=lambda guest: guest.rank) for key, guests in found.items()}

    def _draft(self, person: Person, preset: Preset, wish: Wish) -> Session:
        """As they chose it last, when that still fits the preset."""
        try:
            draft = self._desktops.draft(person, preset, wish)
        except InvalidInput:
            draft = self._desktops.draft(person, preset, Wish())
        return msgspec.structs.replace(draft, pooled_until=draft.created_at + preset.pool_expiry_seconds)

    async def _make(self, plan: Plan) -> int:
        made = 0
        of_site = (await self._desktops.policies.limits()).sessions_of_site
        for draft in plan.make:
            try:
                session = await self._desktops.store.add(draft, most=0, most_of_site=of_site)
            except LimitReached:
                break  # the site is full: people come first
            self._made[session.id] = session.preset or ""
            self._desktops.wake(session.id)
            made += 1
        return made

    async def _notice_failures(self) -> None:
        """What fails at its start would fail again at once: its preset has to wait."""
        for session_id, preset in tuple(self._made.items()):
            session = await self._desktops.store.get(session_id)
            if session is None or session.over or session.state is State.READY:
                del self._made[session_id]
            if session is not None and session.state is State.FAILED:
                self._paused[preset] = clock.now() + self._pause_seconds
                code = session.failure.code if session.failure else ""
                log.warning("one of the pool failed", session=session_id, preset=session.preset_name, code=code)

    def _count(self, presets: Sequence[Preset], pooled: Sequence[Session], plan: Plan) -> None:
        pool_desktops.clear()
        ended = {session.id for session, _ in plan.end}
        names = {preset.id: preset.name for preset in presets}
        kept = [session for session in pooled if session.id not in ended]
        for preset in presets:
            if preset.pool_size:
                wanted = preset.pool_size if preset.id in plan.open else 0
                pool_desktops.labels(self._desktops.service, preset.name, "wanted").set(wanted)
        for session in kept:
            state = "ready" if session.state is State.READY else "on_their_way"
            name = names.get(session.preset or "", "")
            pool_desktops.labels(self._desktops.service, name, state).inc()
        for draft in plan.make:
            name = names.get(draft.preset or "", "")
            pool_desktops.labels(self._desktops.service, name, "on_their_way").inc()


def _may(person: Person) -> bool:
    may = not person.disabled and "desktops.use" in person.permissions
    return may and (person.account is not None or not as_root())
