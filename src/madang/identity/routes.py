"""HTTP of identity: coming in, going out, and one's own record, sign-ins and API tokens."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Controller, Request, Response, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from madang import __version__
from madang.identity import cookies
from madang.identity.accounts import own_user
from madang.identity.entrance import Entrance, SignedIn
from madang.identity.model import Visitor
from madang.identity.service import People
from madang.identity.shapes import (
    ChangeSelfBody,
    Me,
    NewToken,
    NewTokenBody,
    PasswordBody,
    PersonShape,
    RecordId,
    RedeemBody,
    SignInBody,
    SignInShape,
    SiteShape,
    TokenShape,
    person_shape,
    sign_in_shape,
    token_shape,
)
from madang.identity.sign_ins import Device
from madang.identity.sign_on import SignOn, address_of, headers_of
from madang.identity.tokens import Tokens
from madang.kernel import origins
from madang.kernel.ground import Ground
from madang.kernel.problems import NOTHING, problems
from madang.kernel.settings import SiteSettings, as_root

AnyRequest = Request[Any, Any, Any]


class Hall:
    """What the handlers share: the answer `Me`, cookies, the checks before somebody is known."""

    def __init__(self, ground: Ground, sign_on: SignOn) -> None:
        self._ground = ground
        self._sign_on = sign_on

    def me(self, visitor: Visitor) -> Me:
        return Me(
            person=person_shape(visitor.person),
            csrf_token=self._sign_on.csrf_token(visitor),
            must_set_password=visitor.must_set_password,
            permissions=sorted(visitor.person.permissions),
            site=SiteShape(
                name=self._ground.settings[SiteSettings].name,
                mode="root" if as_root() else "user",
                user=None if as_root() else own_user(),
                version=__version__,
                services=list(self._ground.services),
            ),
        )

    def knock(self, request: AnyRequest) -> tuple[Device, str | None]:
        """Device and Cookie header of somebody who wants in. Raises ForeignOrigin."""
        headers = headers_of(request)
        origins.check(headers, self._ground.settings)
        return Device(address_of(request), headers.get("user-agent", "")), headers.get("cookie")

    def welcome(self, signed_in: SignedIn) -> Response[Me]:
        cookie = cookies.set_cookie(signed_in.cookie, signed_in.seconds, secure=self._sign_on.secure)
        return Response(self.me(signed_in.visitor), headers={"set-cookie": cookie})

    def nothing(self, cookie: str = "", seconds: float = 0.0) -> Response[None]:
        """204, with a new cookie or, when it is empty, none any more."""
        header = cookies.set_cookie(cookie, seconds, secure=self._sign_on.secure)
        return Response(None, status_code=204, headers={"set-cookie": header})


class EntranceRoutes(Controller):
    path = "/"
    tags = ("identity",)

    @post(
        "/sign-in",
        operation_id="signIn",
        summary="Sign in by name and password",
        status_code=200,
        responses=problems(401, 403, 422, 429, 503),
    )
    async def sign_in(
        self,
        request: AnyRequest,
        data: JSONBody[SignInBody],
        entrance: NamedDependency[Entrance],
        hall: NamedDependency[Hall],
    ) -> Response[Me]:
        device, cookie = hall.knock(request)
        return hall.welcome(await entrance.sign_in(data.name, data.password, device, cookie))

    @post(
        "/links/redeem",
        operation_id="redeemLink",
        summary="Sign in by a one-time link",
        status_code=200,
        responses=problems(401, 403, 422, 503),
    )
    async def redeem(
        self,
        request: AnyRequest,
        data: JSONBody[RedeemBody],
        entrance: NamedDependency[Entrance],
        hall: NamedDependency[Hall],
    ) -> Response[Me]:
        device, cookie = hall.knock(request)
        return hall.welcome(await entrance.redeem(data.token, device, cookie))

    @post(
        "/sign-out",
        operation_id="signOut",
        summary="Sign out of this browser",
        status_code=204,
        responses={204: NOTHING, **problems(401, 403, 503)},
    )
    async def sign_out(
        self, visitor: NamedDependency[Visitor], entrance: NamedDependency[Entrance], hall: NamedDependency[Hall]
    ) -> Response[None]:
        await entrance.sign_out(visitor)
        return hall.nothing()

    @post(
        "/sign-out-everywhere",
        operation_id="signOutEverywhere",
        summary="Sign out of all browsers",
        status_code=204,
        responses={204: NOTHING, **problems(401, 403, 503)},
    )
    async def sign_out_everywhere(
        self, visitor: NamedDependency[Visitor], entrance: NamedDependency[Entrance], hall: NamedDependency[Hall]
    ) -> Response[None]:
        await entrance.sign_out_everywhere(visitor)
        return hall.nothing()

    @put(
        "/password",
        operation_id="setPassword",
        summary="Set one's password; other sign-ins end",
        status_code=204,
        responses={204: NOTHING, **problems(401, 403, 409, 422, 429, 503)},
    )
    async def password(
        self,
        visitor: NamedDependency[Visitor],
        data: JSONBody[PasswordBody],
        entrance: NamedDependency[Entrance],
        hall: NamedDependency[Hall],
    ) -> Response[None]:
        fresh, seconds = await entrance.set_password(visitor, data.current_password, data.new_password)
        return hall.nothing(fresh, seconds)

    @get("/sign-ins", operation_id="listSignIns", summary="One's own sign-ins", responses=problems(401, 503))
    async def sign_ins(
        self, visitor: NamedDependency[Visitor], entrance: NamedDependency[Entrance]
    ) -> list[SignInShape]:
        return [sign_in_shape(row, visitor.sign_in) for row in await entrance.sign_ins_of(visitor)]

    @delete(
        "/sign-ins/{sign_in:str}",
        operation_id="endSignIn",
        summary="End one of one's own sign-ins",
        responses=problems(401, 403, 404, 422, 503),
    )
    async def end_sign_in(
        self, visitor: NamedDependency[Visitor], sign_in: RecordId, entrance: NamedDependency[Entrance]
    ) -> None:
        await entrance.end_sign_in(visitor, sign_in)


class SelfRoutes(Controller):
    path = "/"
    tags = ("identity",)

    @get("/me", operation_id="me", summary="Who is signed in, and the site", responses=problems(401, 503))
    async def me(self, visitor: NamedDependency[Visitor], hall: NamedDependency[Hall]) -> Me:
        return hall.me(visitor)

    @patch(
        "/me", operation_id="changeMe", summary="Change one's own record", responses=problems(401, 403, 409, 422, 503)
    )
    async def change_me(
        self, visitor: NamedDependency[Visitor], data: JSONBody[ChangeSelfBody], people: NamedDependency[People]
    ) -> PersonShape:
        changed = await people.change_self(visitor, display_name=data.display_name, language=data.language)
        return person_shape(changed)

    @get("/tokens", operation_id="listTokens", summary="One's own API tokens", responses=problems(401, 503))
    async def list_tokens(self, visitor: NamedDependency[Visitor], tokens: NamedDependency[Tokens]) -> list[TokenShape]:
        return [token_shape(token) for token in await tokens.of(visitor)]

    @post("/tokens", operation_id="createToken", summary="A new API token", responses=problems(401, 403, 409, 422, 503))
    async def create_token(
        self, visitor: NamedDependency[Visitor], data: JSONBody[NewTokenBody], tokens: NamedDependency[Tokens]
    ) -> NewToken:
        token, secret = await tokens.make(visitor, data.name, data.expires_in_days)
        return NewToken(**msgspec.structs.asdict(token_shape(token)), secret=secret)

    @delete(
        "/tokens/{token:str}",
        operation_id="revokeToken",
        summary="Revoke one of one's own API tokens",
        responses=problems(401, 403, 404, 422, 503),
    )
    async def revoke_token(
        self, visitor: NamedDependency[Visitor], token: RecordId, tokens: NamedDependency[Tokens]
    ) -> None:
        await tokens.revoke(visitor, token)
