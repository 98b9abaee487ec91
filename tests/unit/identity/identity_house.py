"""The rooms of identity for tests, and shortcuts through them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from madang.identity import tables as _tables  # noqa: F401  (registers the tables)
from madang.identity.background import background_of
from madang.identity.entrance import Entrance, SignedIn
from madang.identity.model import Actor, Person, Role
from madang.identity.service import People
from madang.identity.settings import IdentitySettings
from madang.identity.sign_ins import Device
from madang.identity.sign_on import SignOn
from madang.kernel.database import DatabaseSettings, metadata
from madang.kernel.ground import Ground
from madang.kernel.live import LiveSettings
from madang.kernel.settings import HttpSettings, SiteSettings, load

SECTIONS = {
    "site": SiteSettings,
    "http": HttpSettings,
    "database": DatabaseSettings,
    "live": LiveSettings,
    "identity": IdentitySettings,
}
CHEAP = {"MADANG_IDENTITY_HASH_MEMORY_KIB": "8", "MADANG_IDENTITY_HASH_ROUNDS": "1"}
OPERATOR = Actor(None, "test")
PASSWORD = "paper lantern river"
HERE = Device("192.0.2.7", "Test/1.0")


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead

    def forward(self, **units: float) -> None:
        seconds = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
        self.ahead += sum(seconds[unit] * count for unit, count in units.items())


async def make_ground(folder: Path, given: dict[str, str]) -> Ground:
    environ = {"MADANG_SITE_STATE_FOLDER": str(folder), "XDG_CONFIG_HOME": str(folder), **CHEAP, **given}
    made = Ground(load(SECTIONS, environ))
    async with made.database.upgrading() as connection:
        await connection.run_sync(metadata.create_all)
    return made


@dataclass
class House:
    """The rooms of identity on one ground, and shortcuts."""

    ground: Ground
    entrance: Entrance
    people: People
    sign_on: SignOn
    events: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)

    async def person(self, name: str = "kim", *roles: Role, password: str | None = PASSWORD) -> Person:
        person, link = await self.people.add(OPERATOR, name, roles=roles or ("member",))
        if password is not None:
            signed_in = await self.entrance.redeem(link.partition("#")[2], HERE)
            await self.entrance.set_password(signed_in.visitor, None, password)
            await self.entrance.sign_out(signed_in.visitor)
        return await self.people.get(person.id)

    async def sign_in(self, name: str = "kim", password: str = PASSWORD) -> SignedIn:
        return await self.entrance.sign_in(name, password, HERE)

    async def settled(self) -> None:
        await background_of(self.ground).settled()


def cookie(value: str) -> dict[str, str]:
    return {"cookie": f"theme=dark; madang_sign_in={value}", "host": "127.0.0.1:8080"}
