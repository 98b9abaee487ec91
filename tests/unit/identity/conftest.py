"""A ground of one's own for each test: fresh database and live state, cheap hashing, a clock that can be moved."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from madang.identity import tables as _tables  # noqa: F401  (registers the tables)
from madang.identity.background import background_of
from madang.identity.entrance import Entrance, SignedIn
from madang.identity.model import Actor, Person, Role
from madang.identity.passwords import Passwords
from madang.identity.service import People
from madang.identity.settings import IdentitySettings
from madang.identity.sign_ins import Device
from madang.identity.sign_on import SignOn
from madang.kernel.database import DatabaseSettings, metadata
from madang.kernel.events import Event
from madang.kernel.ground import Ground
from madang.kernel.settings import HttpSettings, SiteSettings, load

SECTIONS = {"site": SiteSettings, "http": HttpSettings, "database": DatabaseSettings, "identity": IdentitySettings}
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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("madang.kernel.clock.now", made.now)
    return made


@pytest.fixture(autouse=True)
def ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's account is looked for or created, also when the tests run as root."""
    for module in ("accounts", "people", "routes"):
        monkeypatch.setattr(f"madang.identity.{module}.as_root", lambda: False)


@pytest.fixture
async def ground(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Ground]:
    """Further settings by `@pytest.mark.parametrize("ground", [{"MADANG_...": ...}], indirect=True)`."""
    given = getattr(request, "param", {})
    made = await make_ground(tmp_path, given)
    await made.start()
    yield made
    await background_of(made).settled()
    await made.stop()


async def make_ground(folder: Path, given: dict[str, str]) -> Ground:
    environ = {"MADANG_SITE_STATE_FOLDER": str(folder), "XDG_CONFIG_HOME": str(folder), **CHEAP, **given}
    made = Ground(load(SECTIONS, environ))
    async with made.database.engine.begin() as connection:
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


@pytest.fixture
def house(ground: Ground) -> House:
    passwords = Passwords(ground.settings[IdentitySettings])
    made = House(ground, Entrance(ground, passwords), People(ground), SignOn(ground))

    async def keep(event: Event) -> None:
        made.events.append((event.name, msgspec.json.decode(event.data)))

    for name in ("person.signed_out", "person.changed", "person.disabled"):
        ground.events.on(name, keep)
    return made


@pytest.fixture
def hold_database(ground: Ground) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """Another process writes and does not end."""

    @contextlib.contextmanager
    def held() -> Iterator[None]:
        other = sqlite3.connect(ground.database.file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()

    return held


def cookie(value: str) -> dict[str, str]:
    return {"cookie": f"theme=dark; madang_sign_in={value}", "host": "127.0.0.1:8080"}
