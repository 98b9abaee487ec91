"""The use cases of desktops: the only room that changes a session."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from madang.compute.launcher import Launcher
from madang.compute.order import Instruction, Stage
from madang.desktops.measures import Measures
from madang.desktops.model import Session, State
from madang.desktops.policies import Policies
from madang.desktops.preset import Preset
from madang.desktops.presets import Choice, Presets
from madang.desktops.pulses import Pulses
from madang.desktops.store import Sessions, Stale
from madang.desktops.views import EncodedViews, SessionView, join, view
from madang.identity.audit import Audit
from madang.identity.model import Person, Visitor
from madang.kernel import clock
from madang.kernel.bounds import within
from madang.kernel.errors import Conflict, Forbidden, InvalidInput, LimitReached, NotFound, Unavailable
from madang.kernel.ground import Ground
from madang.kernel.ids import short_id
from madang.kernel.settings import SiteSettings, as_root

ID_LENGTH = 12
NAME_LONGEST = 80
TRIES = 5
Outcome = TypeVar("Outcome")


class Limits(msgspec.Struct, frozen=True):
    """What a person may ask for."""

    width: int
    height: int
    largest_width: int
    largest_height: int
    time_limit_seconds: int
    longest_time_limit_seconds: int
    sessions_per_person: int
    retention_seconds: float


class Wish(msgspec.Struct, frozen=True):
    """A desktop that somebody asks for; what is None takes its preset's."""

    name: str = ""
    notes: str = ""
    preset: str | None = None
    width: int | None = None
    height: int | None = None
    time_limit_seconds: int | None = None


class Desktops:
    """The desktops of one service."""

    def __init__(
        self,
        ground: Ground,
        service: str,
        limits: Limits,
        launchers: Mapping[str, Launcher],
        audit: Audit,
        presets: Presets,
    ) -> None:
        self.service = service
        self.limits = limits
        self.launchers = launchers
        self.store = Sessions(ground.database, service)
        self.pulses = Pulses(ground.live, service)
        self.measures = Measures(ground.live, service)
        self.presets = presets
        self.policies = Policies(ground.database, service)
        self.audit = audit
        self._ground = ground
        self._encoded = EncodedViews()
        # Set by whoever carries sessions on: called with the id of one that wants a look now.
        self.wake: Callable[[str], None] = lambda _session: None
        # Set likewise: has a session's agent told something, as soon as it can be reached.
        self.instruct: Callable[[Session, Instruction], None] = _tell_nobody
        # Called with the id of a session that has just come to its end.
        self.after_end: list[Callable[[str], None]] = []

    async def create(self, visitor: Visitor, wish: Wish, address: str) -> Session:
        """A new desktop: one of the pool when there is one that fits, else stored and launched by the loop.

        Raises LimitReached, InvalidInput, NotFound (the preset), Forbidden, Unavailable.
        """
        if not visitor.may("desktops.use"):
            raise Forbidden("Your roles do not include desktops.", hint="Ask an administrator.")
        await self._refuse_while_maintained()
        preset = await self.presets.pick(visitor.person, wish.preset)
        session = self.draft(visitor.person, preset, wish)
        most = (await self.policies.limits()).of(visitor.person.name, self.limits.sessions_per_person)
        taken = await self._take_from_pool(session, most)
        if taken is None:
            of_site = (await self.policies.limits()).sessions_of_site
            session = await self.store.add(session, most=most, most_of_site=of_site)
        else:
            session = taken
        choice = Choice(preset.id, session.width, session.height, session.time_limit_seconds)
        await self.presets.remember(visitor.person.id, choice)
        await self.audit.record(
            "desktop.create", person=visitor.person, object=session.id, address=address, outcome="done"
        )
        await self.tell(session)
        if taken is None:
            self.wake(session.id)
        else:
            self.instruct(session, Instruction("time", ends_at=session.ends_at))
            self.instruct(session, Instruction("size", width=session.width, height=session.height))
            await self.pool_wants_a_look()
        return session

    async def pool_wants_a_look(self) -> None:
        """One was taken, or the presets have changed: whichever portal keeps the pools hears of it."""
        await self._ground.events.call(f"{self.service}.pool", {})

    async def create_several(self, visitor: Visitor, wish: Wish, count: int, address: str) -> Sequence[Session]:
        """So many, or as there is room for; a name that they share is numbered. Raises as `create`."""
        made: list[Session] = []
        for number in range(1, count + 1):
            name = f"{wish.name.strip()[: NAME_LONGEST - 3]} {number}" if wish.name.strip() else ""
            try:
                made.append(await self.create(visitor, msgspec.structs.replace(wish, name=name), address))
            except LimitReached:
                if not made:
                    raise
                break
        return made

    def draft(self, person: Person, preset: Preset, wish: Wish) -> Session:
        """A session as it would be stored. Raises InvalidInput."""
        now = clock.now()
        limits = self.limits
        time_limit = within(
            "time_limit_seconds",
            wish.time_limit_seconds,
            preset.time_limit_seconds,
            60,
            preset.longest_time_limit_seconds,
        )
        return Session(
            id=short_id(ID_LENGTH),
            service=self.service,
            person_id=person.id,
            person_name=person.name,
            account=person.account if as_root() else None,
            name=wish.name.strip(),
            notes=wish.notes.strip(),
            launcher=preset.launcher,
            preset=preset.id,
            preset_name=preset.name,
            terms=preset.terms(time_limit),
            state=State.REQUESTED,
            width=within("width", wish.width, preset.width, 320, limits.largest_width),
            height=within("height", wish.height, preset.height, 240, limits.largest_height),
            time_limit_seconds=time_limit,
            created_at=now,
            stages=(Stage("request", now),),
        )

    async def _refuse_while_maintained(self) -> None:
        if text := await self.maintained():
            raise Unavailable(text, code="maintenance", title="The site is being maintained")

    async def maintained(self) -> str:
        """Why nothing new is started now; empty when it is."""
        notice = await self.policies.notice()
        blocks = notice.blocks_start and notice.in_force(clock.now())
        return self._ground.settings[SiteSettings].maintenance or (notice.text if blocks else "")

    async def _take_from_pool(self, wish: Session, most: int) -> Session | None:
        """A ready desktop of the pool that is as the wish, given to its person; None when there is none."""
        for ready in await self.store.pooled(wish.person_id):
            same = ready.preset == wish.preset and ready.account == wish.account and _same_terms(ready, wish)
            if not same or ready.state is not State.READY or ready.unknown_since is not None or not ready.wanted:
                continue
            now = clock.now()
            with contextlib.suppress(Stale):  # another portal was faster: the next one
                return await self.store.take_from_pool(
                    ready,
                    most=most,
                    name=wish.name,
                    notes=wish.notes,
                    width=wish.width,
                    height=wish.height,
                    created_at=now,
                    started_at=now,  # its time, and what it counts as use, begin here
                    ready_at=now,
                    ends_at=now + wish.time_limit_seconds,
                    stages=(Stage("request", now, 0.0),),
                )
        return None

    async def get(self, visitor: Visitor, session_id: str) -> Session:
        """The session if it is theirs. Raises NotFound, also when it is somebody else's."""
        session = await self.store.get(session_id)
        if session is None or session.person_id != visitor.person.id or session.pooled_until is not None:
            raise NotFound(
                f"There is no desktop {session_id!r} of yours.",
                code="session_not_found",
                hint="It may have been removed.",
            )
        return session

    async def managed(self, visitor: Visitor, session_id: str) -> Session:
        """The session if it is theirs, or anybody's for operators. Raises NotFound.

        Also for one of the pool: it is nobody's yet, and operators rule the pools by their presets.
        """
        session = await self.store.get(session_id) if visitor.may("desktops.manage") else None
        if session is not None and session.pooled_until is None:
            return session
        return await self.get(visitor, session_id)

    async def list(self, visitor: Visitor, *, everybody: bool, ended: bool, limit: int, offset: int) -> bytes:
        """Sessions as JSON, newest first. With `ended`, also those that ended within the retention."""
        since = clock.now() - self.limits.retention_seconds if ended else float("inf")
        person = None if everybody and visitor.may("desktops.see_all") else visitor.person.id
        wanted = list(await self.store.versions(person_id=person, ended_since=since, limit=limit, offset=offset))
        bodies = self._encoded.known(wanted)
        if missing := [key for key, _version in wanted if key not in bodies]:
            bodies |= self._encoded.keep(await self.store.many(missing))
        return join(wanted, bodies, await self.pulses.encoded())

    async def shown(self, session: Session) -> SessionView:
        return view(session, await self.pulses.get(session.id) if not session.over else None)

    async def describe(self, visitor: Visitor, session_id: str, *, name: str | None, notes: str | None) -> Session:
        """Give it another name, other notes, or both."""
        if name is not None and not name.strip():
            raise InvalidInput("A name has at least one character.", fields=[{"field": "name", "message": "is empty"}])
        values = {"name": name.strip() if name else None, "notes": notes.strip() if notes is not None else None}
        given = {key: value for key, value in values.items() if value is not None}

        async def describe(session: Session) -> Session:
            return await self.change(session, **given)

        return await self.again(lambda: self.get(visitor, session_id), describe)

    async def again(
        self, get: Callable[[], Awaitable[Session]], act: Callable[[Session], Awaitable[Outcome]]
    ) -> Outcome:
        """Read a session and act on it, anew when somebody else changed it in between. Raises Conflict."""
        for _ in range(TRIES):
            session = await get()
            try:
                return await act(session)
            except Stale:
                continue
        raise Conflict("The desktop was changed by somebody else at the same time.", hint="Try again.")

    async def end(self, visitor: Visitor, session_id: str, address: str) -> Session | None:
        """Ask for the end of a session of one's own. One that is over is forgotten, and None is given."""

        async def end(session: Session) -> Session | None:
            if session.over:
                await self.forget(ids=[session.id])
                return None
            return await self._asked_to_end(visitor, session, "", address)

        return await self.again(lambda: self.get(visitor, session_id), end)

    async def end_with_message(self, visitor: Visitor, session_id: str, message: str, address: str) -> Session:
        """Ask for the end of a session of one's own, or as an operator of anybody's: its person reads the message.

        One that is over stays as it is. Raises NotFound.
        """

        async def end(session: Session) -> Session:
            return session if session.over else await self._asked_to_end(visitor, session, message, address)

        return await self.again(lambda: self.managed(visitor, session_id), end)

    async def _asked_to_end(self, visitor: Visitor, session: Session, message: str, address: str) -> Session:
        if not session.wanted:
            return session
        reason = "asked" if session.person_id == visitor.person.id else "operator"
        changed = await self.want_end(session, reason, message or None)
        await self.audit.record(
            "desktop.end",
            person=visitor.person,
            object=session.id,
            address=address,
            outcome="done",
            detail=f"of {session.person_name}: {message}" if reason == "operator" else message,
        )
        return changed

    async def want_end(self, session: Session, reason: str, message: str | None = None) -> Session:
        """Record that a session is to end, and why. Raises Stale."""
        changed = await self.change(
            session,
            wanted=False,
            state=State.ENDING,
            ending_at=clock.now(),
            end_reason=reason,
            end_message=message or session.end_message,
        )
        self.wake(session.id)
        return changed

    async def change(self, session: Session, **values: Any) -> Session:
        """Store a change and tell everybody who may see it. Raises Stale."""
        changed = await self.store.change(session, **values)
        if changed.over:
            await self.pulses.delete(changed.id)
            await self.measures.delete(changed.id)
            self.forget_beside(changed.id)
        await self.tell(changed)
        return changed

    def forget_beside(self, session_id: str) -> None:
        """What this process keeps of a session that is over."""
        self.measures.forget(session_id)
        for after_end in self.after_end:
            after_end(session_id)

    async def tell(self, session: Session) -> None:
        """An event with the session as it is now."""
        if session.pooled_until is not None:
            return  # nobody knows of it yet
        shown = await self.shown(session)
        await self._ground.events.publish(f"{self.service}.session", {"session": shown}, person=session.person_id)

    async def tell_everybody(self, what: str, data: Mapping[str, Any]) -> None:
        """An event for every page: `<service>.<what>`."""
        await self._ground.events.publish(f"{self.service}.{what}", data)

    async def tell_person(self, what: str, data: Mapping[str, Any], person_id: str) -> None:
        """An event for the pages of one person, and of operators who look at everybody's."""
        await self._ground.events.publish(f"{self.service}.{what}", data, person=person_id)

    def heard(self, person_id: str) -> bool:
        """Whether anybody listens to changes of this person's sessions."""
        return self._ground.events.heard(f"{self.service}.session", person_id)

    async def forget(self, *, ids: Sequence[str] = (), ended_before: float = 0.0) -> None:
        """Remove sessions that are over with what is kept beside them, and tell their people."""
        for session_id, person_id in await self.store.forget(ids=ids, ended_before=ended_before):
            for launcher in self.launchers.values():
                launcher.log_file(session_id).unlink(missing_ok=True)
            await self._ground.events.publish(f"{self.service}.session.gone", {"id": session_id}, person=person_id)


def forbid_control_characters(field: str, value: str, *, but: str = "") -> None:
    """Raise InvalidInput for text that cannot be stored or shown as one line, or more where `but` has a line's end."""
    value = value.translate(dict.fromkeys(map(ord, but)))
    if any(ord(character) < 32 or 0xD800 <= ord(character) <= 0xDFFF or ord(character) == 127 for character in value):
        message = "holds characters that cannot be shown"
        raise InvalidInput(f"{field} {message}.", fields=[{"field": field, "message": message}])


def _same_terms(ready: Session, wish: Session) -> bool:
    """Whether the ready one was made on the same terms, and for at least as long."""
    if ready.terms is None or wish.terms is None or wish.time_limit_seconds > ready.time_limit_seconds:
        return False
    asked = msgspec.structs.replace(wish.terms.resources, time_limit_seconds=ready.terms.resources.time_limit_seconds)
    return ready.terms == msgspec.structs.replace(wish.terms, resources=asked)


def _tell_nobody(_session: Session, _instruction: Instruction) -> None:
    """Until somebody carries sessions on."""
