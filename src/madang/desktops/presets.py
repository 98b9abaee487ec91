"""Presets as operators keep them, and what people chose last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import RowMapping, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from madang.desktops.preset import STANDARD, Preset, checked
from madang.desktops.tables import choices, presets
from madang.identity.audit import Audit
from madang.identity.model import Person, Visitor, actor_of
from madang.identity.records import new_id
from madang.kernel import clock
from madang.kernel.database import Database, retried
from madang.kernel.errors import Conflict, NotFound


class Choice(msgspec.Struct, frozen=True):
    """What the form for a new session was sent with."""

    preset: str
    width: int
    height: int
    time_limit_seconds: int


class Presets:
    """The presets of one service."""

    def __init__(self, database: Database, service: str, standard: Preset) -> None:
        """`standard` is offered while there is no other."""
        self._database = database
        self._service = service
        self._standard = standard

    async def all(self) -> Sequence[Preset]:
        """Every preset, in the order of the list; the built-in one alone when operators have made none."""
        mine = select(presets).where(presets.c.service == self._service)
        ordered = mine.order_by(presets.c.position, presets.c.name)
        async with self._database.read() as connection:
            rows = (await connection.execute(ordered)).mappings().all()
        return [_preset(row) for row in rows] or [self._standard]

    async def get(self, preset_id: str) -> Preset:
        """Raises NotFound."""
        for preset in await self.all():
            if preset.id == preset_id:
                return preset
        raise _not_found(preset_id)

    def built_in(self, preset: Preset) -> bool:
        """Whether it comes from the settings and cannot be changed here."""
        return preset.id == self._standard.id

    @retried
    async def create(self, visitor: Visitor, preset: Preset, audit: Audit) -> Preset:
        """Add one; the first takes the place of the built-in one. Raises InvalidInput, Conflict `name_taken`."""
        made = msgspec.structs.replace(checked(preset), id=new_id(), name=preset.name.strip(), version=1)
        async with self._database.write() as connection:
            try:
                await connection.execute(insert(presets).values(service=self._service, **_row(made)))
            except IntegrityError as error:
                raise _name_taken(made.name) from error
            await audit.enter(connection, actor_of(visitor), "preset.created", made.name)
        return made

    @retried
    async def replace(self, visitor: Visitor, preset_id: str, preset: Preset, audit: Audit) -> Preset:
        """Store it as a whole, if its `version` is the stored one. Running desktops keep what they were started with.

        Raises NotFound, InvalidInput, Conflict (`preset_changed`, `name_taken`, `preset_built_in`).
        """
        known = await self._changeable(preset_id)
        new = msgspec.structs.replace(checked(preset), id=preset_id, name=preset.name.strip())
        if new == known:
            return known
        mine = presets.c.service == self._service, presets.c.id == preset_id, presets.c.version == preset.version
        new = msgspec.structs.replace(new, version=preset.version + 1)
        async with self._database.write() as connection:
            try:
                changed = await connection.execute(update(presets).where(*mine).values(**_row(new)))
            except IntegrityError as error:
                raise _name_taken(new.name) from error
            if changed.rowcount != 1:
                raise Conflict(
                    "Somebody else changed this preset in the meantime.",
                    code="preset_changed",
                    hint="Look at it again and repeat your change.",
                    version=known.version,
                )
            await audit.enter(connection, actor_of(visitor), "preset.changed", new.name, detail=_difference(known, new))
        return new

    @retried
    async def delete(self, visitor: Visitor, preset_id: str, audit: Audit) -> None:
        """Raises NotFound, Conflict `preset_built_in`."""
        known = await self._changeable(preset_id)
        mine = presets.c.service == self._service, presets.c.id == preset_id
        async with self._database.write() as connection:
            if (await connection.execute(delete(presets).where(*mine))).rowcount != 1:
                raise _not_found(preset_id)
            await audit.enter(connection, actor_of(visitor), "preset.deleted", known.name)

    async def _changeable(self, preset_id: str) -> Preset:
        known = await self.get(preset_id)
        if self.built_in(known):
            raise Conflict(
                "The built-in preset comes from the settings.",
                code="preset_built_in",
                hint="Make a preset of your own: the first one takes its place.",
            )
        return known

    async def offered(self, person: Person) -> Sequence[Preset]:
        """Those that somebody may use."""
        return [preset for preset in await self.all() if preset.enabled and preset.allows(person)]

    async def pick(self, person: Person, preset_id: str | None) -> Preset:
        """The preset of that id; without one, what the person chose last, or else the first of the list.

        Raises NotFound.
        """
        offered = {preset.id: preset for preset in await self.offered(person)}
        if preset_id is None:
            last = await self.chosen(person.id)
            preset_id = last.preset if last and last.preset in offered else next(iter(offered), STANDARD)
        if preset_id not in offered:
            raise NotFound(
                f"There is no preset {preset_id!r} for you.",
                code="preset_not_found",
                hint="It may have been changed: choose another one.",
            )
        return offered[preset_id]

    async def chosen(self, person_id: str) -> Choice | None:
        """What they chose last."""
        mine = choices.c.service == self._service, choices.c.person_id == person_id
        async with self._database.read() as connection:
            row = (await connection.execute(select(choices.c.data).where(*mine))).first()
        return msgspec.json.decode(row[0], type=Choice) if row else None

    async def chosen_by_all(self) -> dict[str, tuple[Choice, float]]:
        """What everybody chose last and when, by the person's id."""
        mine = select(choices.c.person_id, choices.c.data, choices.c.at).where(choices.c.service == self._service)
        async with self._database.read() as connection:
            rows = await connection.execute(mine)
            return {row[0]: (msgspec.json.decode(row[1], type=Choice), row[2]) for row in rows}

    @retried
    async def remember(self, person_id: str, choice: Choice) -> None:
        mine = choices.c.service == self._service, choices.c.person_id == person_id
        row = {
            "service": self._service,
            "person_id": person_id,
            "data": msgspec.json.encode(choice),
            "at": clock.now(),
        }
        async with self._database.write() as connection:
            await connection.execute(delete(choices).where(*mine))
            await connection.execute(insert(choices).values(**row))


def _preset(row: RowMapping) -> Preset:
    return msgspec.structs.replace(
        msgspec.json.decode(row["data"], type=Preset),
        id=row["id"],
        name=row["name"],
        position=row["position"],
        enabled=bool(row["enabled"]),
        version=row["version"],
    )


def _row(preset: Preset) -> dict[str, Any]:
    return {
        "id": preset.id,
        "name": preset.name,
        "position": preset.position,
        "enabled": preset.enabled,
        "version": preset.version,
        "data": msgspec.json.encode(preset),
    }


def _difference(before: Preset, after: Preset) -> str:
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    return "; ".join(f"{key}: {old[key]} -> {new[key]}" for key in old if old[key] != new[key] and key != "version")


def _not_found(preset_id: str) -> NotFound:
    return NotFound(f"There is no preset {preset_id!r}.", code="preset_not_found")


def _name_taken(name: str) -> Conflict:
    return Conflict(f"There is a preset called {name!r} already.", code="name_taken", hint="Choose another name.")
