"""Presets as operators keep them, and what people chose last."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import delete, insert, select

from madang.desktops.preset import STANDARD, Preset
from madang.desktops.tables import choices, presets
from madang.identity.model import Person
from madang.kernel import clock
from madang.kernel.database import Database
from madang.kernel.errors import NotFound


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
        found = [
            msgspec.structs.replace(
                msgspec.json.decode(row["data"], type=Preset),
                id=row["id"],
                name=row["name"],
                position=row["position"],
                enabled=bool(row["enabled"]),
                version=row["version"],
            )
            for row in rows
        ]
        return found or [self._standard]

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
