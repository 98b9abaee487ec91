"""The service `identity`: people, sign-on, API tokens, audit."""

from __future__ import annotations

from typing import Any

from litestar import Router
from litestar.di import Provide

from madang.identity.administration import AuditRoutes, PeopleRoutes
from madang.identity.audit import Audit
from madang.identity.background import background_of
from madang.identity.entrance import Entrance
from madang.identity.passwords import Passwords
from madang.identity.routes import EntranceRoutes, Hall, SelfRoutes
from madang.identity.service import People
from madang.identity.settings import IdentitySettings, claims
from madang.identity.sign_on import SignOn
from madang.identity.tokens import Tokens
from madang.identity.upkeep import clean_up_loop
from madang.kernel.ground import Ground, Parts, Service


def assemble(ground: Ground) -> Parts:
    passwords = Passwords(ground.settings[IdentitySettings])
    sign_on = SignOn(ground)
    rooms = {
        "entrance": Entrance(ground, passwords),
        "people": People(ground),
        "tokens": Tokens(ground),
        "audit": Audit(ground),
        "hall": Hall(ground, sign_on),
    }

    async def stop() -> None:
        passwords.close()
        await background_of(ground).stop()

    router = Router(
        "/api/identity",
        route_handlers=[EntranceRoutes, SelfRoutes, PeopleRoutes, AuditRoutes],
        dependencies={
            "visitor": Provide(sign_on.provide),
            **{name: _given(room) for name, room in rooms.items()},
        },
    )
    return Parts(routes=[router], loops=[clean_up_loop(ground)], stop=stop)


def _given(room: Any) -> Provide:
    return Provide(lambda: room, sync_to_thread=False)


identity = Service(
    name="identity",
    summary="People, sign-on, API tokens, audit trail",
    assemble=assemble,
    settings={"identity": IdentitySettings},
    claims=claims,
)
service_definition = identity
