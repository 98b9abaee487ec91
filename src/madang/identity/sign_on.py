"""Who makes a request: from the cookie of a sign-in or from an API token.

One indexed read a request. That somebody was seen, and that a new cookie took effect, is written in the background,
so a request that only reads never waits for a writer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import msgspec
from litestar import Request
from sqlalchemy import RowMapping, Update, update

from madang.identity import cookies, sign_ins, tables
from madang.identity.accounts import Accounts
from madang.identity.background import background_of
from madang.identity.model import Visitor
from madang.identity.records import person_of
from madang.identity.settings import IdentitySettings
from madang.identity.tokens import find_token, parse_token
from madang.kernel import clock, origins
from madang.kernel.edge import ANSWER_HEADERS
from madang.kernel.errors import Forbidden, NotSignedIn
from madang.kernel.ground import Ground

__all__ = ["SignOn", "Visitor", "address_of", "headers_of"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SEEN_SECONDS = 60.0  # how exactly "last seen" is known


class CsrfTokenWrong(Forbidden):
    code = "csrf_token_wrong"
    title = "The request does not come from the page"


class _Found(msgspec.Struct, frozen=True):
    """A visitor, and the cookie that their browser should have from now on."""

    visitor: Visitor
    offer: str | None = None
    seconds: float = 0.0


class SignOn:
    """Tells who asks. Cheap to make: every slice makes its own."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._settings = ground.settings[IdentitySettings]
        self._accounts = Accounts(self._settings)
        self._background = background_of(ground)

    def __deepcopy__(self, _memo: dict[int, Any]) -> SignOn:
        """Litestar copies routers with all that their dependencies refer to; there is one sign-on and one database."""
        return self

    @property
    def secure(self) -> bool:
        """Whether cookies are for https only."""
        return self._ground.settings.public_url.startswith("https://")

    async def provide(self, request: Request[Any, Any, Any]) -> Visitor:
        """The visitor of a request, as a dependency of its handler; rotates the cookie when it is due."""
        found = await self._identify(headers_of(request), request.method, address_of(request))
        if found.offer:
            cookie = cookies.set_cookie(found.offer, found.seconds, secure=self.secure)
            scope: dict[str, Any] = cast(Any, request.scope)
            scope.setdefault(ANSWER_HEADERS, []).append((b"set-cookie", cookie.encode()))
        return found.visitor

    async def visitor(self, headers: Mapping[str, str], *, method: str, address: str) -> Visitor:
        """The visitor by headers with names in lower case. Raises NotSignedIn, Forbidden, ForeignOrigin."""
        return (await self._identify(headers, method, address)).visitor

    async def socket_visitor(self, headers: Mapping[str, str]) -> Visitor:
        """The visitor of a WebSocket: with a cookie only from a page of this site. Raises as `visitor` does."""
        if _bearer(headers) is None:
            origins.check(headers, self._ground.settings, required=True)
        return await self.visitor(headers, method="GET", address="")

    async def still(self, visitor: Visitor) -> bool:
        """Whether somebody on a long connection would still be let in; to be asked now and then, it counts as seen."""
        async with self._ground.database.read() as connection:
            if visitor.token is not None:
                return await find_token(connection, visitor.token) is not None
            row = (await connection.execute(sign_ins.FIND, {"sign_in": visitor.sign_in})).mappings().one_or_none()
        if row is None or not sign_ins.good(row, self._settings):
            return False
        self._saw(row)
        return True

    def csrf_token(self, visitor: Visitor) -> str:
        """What the page sends as X-CSRF-Token; empty for an API token, which needs none."""
        return "" if visitor.sign_in is None else cookies.csrf_token(self._ground.secret, visitor.sign_in)

    async def _identify(self, headers: Mapping[str, str], method: str, address: str) -> _Found:
        if (bearer := _bearer(headers)) is not None:
            return _Found(await self._by_token(bearer, address))
        found = await self._by_cookie(headers.get("cookie"), address)
        if method.upper() not in SAFE_METHODS:
            origins.check(headers, self._ground.settings)
            if not cookies.same(headers.get("x-csrf-token", ""), self.csrf_token(found.visitor)):
                raise CsrfTokenWrong(
                    "The header X-CSRF-Token is missing or of another sign-in.",
                    hint="Reload the page and try again. Programs use an API token.",
                )
        return found

    async def _by_token(self, text: str, address: str) -> Visitor:
        parsed = parse_token(text)
        if parsed is None:
            raise NotSignedIn("This is not an API token of this site.", hint="API tokens begin with mdg_.")
        async with self._ground.database.read() as connection:
            row = await find_token(connection, parsed[0])
        if row is None or not cookies.same(cookies.digest(parsed[1]), row["secret_hash"]):
            raise NotSignedIn(
                "The API token is unknown, revoked or out of date.", hint="Make a new one in your account."
            )
        now = clock.now()
        if now - (row["last_used_at"] or 0.0) >= SEEN_SECONDS:
            table = tables.api_tokens
            self._later(f"used:{row['id']}", update(table).where(table.c.id == row["id"]).values(last_used_at=now))
        return Visitor(
            person=person_of(row, self._accounts, "person_"),
            via="token",
            token=row["id"],
            must_set_password=row["person_password"] is None,
            address=address,
        )

    async def _by_cookie(self, header: str | None, address: str) -> _Found:
        parsed = cookies.parse(header)
        if parsed is None:
            raise NotSignedIn(hint="Sign in and try again.")
        async with self._ground.database.read() as connection:
            row = (await connection.execute(sign_ins.FIND, {"sign_in": parsed[0]})).mappings().one_or_none()
        which = None if row is None else self._which(row, parsed[1])
        if row is None or which is None or not sign_ins.good(row, self._settings):
            raise NotSignedIn("Your sign-in has ended.", hint="Sign in again.")
        visitor = Visitor(
            person=person_of(row, self._accounts, "person_"),
            via="cookie",
            sign_in=row["id"],
            must_set_password=row["person_password"] is None,
            address=address,
        )
        now = clock.now()
        if which == "next":
            self._take_over(row, cookies.digest(parsed[1]))
        else:
            self._saw(row)
        if which == "current" and now - row["rotated_at"] >= self._settings.rotate_minutes * 60:
            following = cookies.next_secret(self._ground.secret, row["id"], row["secret_hash"])
            return _Found(visitor, f"{row['id']}.{following}", row["expires_at"] - now)
        return _Found(visitor)

    def _which(self, row: RowMapping, secret: str) -> Literal["current", "next", "previous"] | None:
        shown = cookies.digest(secret)
        if cookies.same(shown, row["secret_hash"]):
            return "current"
        if cookies.same(secret, cookies.next_secret(self._ground.secret, row["id"], row["secret_hash"])):
            return "next"
        if row["previous_hash"] and cookies.same(shown, row["previous_hash"]) and clock.now() < row["previous_until"]:
            return "previous"
        return None

    def _take_over(self, row: RowMapping, shown: str) -> None:
        """The browser has the new cookie: it is the current one from now on. Only the first request's write counts."""
        table, now = tables.sign_ins, clock.now()
        values = {
            "secret_hash": shown,
            "previous_hash": row["secret_hash"],
            "previous_until": now + self._settings.rotate_overlap_seconds,
            "rotated_at": now,
            "last_seen_at": now,
        }
        guard = (table.c.id == row["id"]) & (table.c.secret_hash == row["secret_hash"])
        self._later(f"rotate:{row['id']}", update(table).where(guard).values(values))

    def _saw(self, row: RowMapping) -> None:
        now, table = clock.now(), tables.sign_ins
        if now - row["last_seen_at"] >= SEEN_SECONDS:
            self._later(f"seen:{row['id']}", update(table).where(table.c.id == row["id"]).values(last_seen_at=now))

    def _later(self, key: str, statement: Update) -> None:
        # Lost is not lost: the next request says the same again.
        self._background.put(key, statement, tries=1, lost=lambda: None)


def headers_of(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The headers by names in lower case; HTTP/2 proxies may split one Cookie header into several."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in request.scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}; {value}" if name == "cookie" and name in headers else value
    return headers


def address_of(request: Request[Any, Any, Any]) -> str:
    client = request.scope.get("client")
    return str(client[0]) if client else ""


def _bearer(headers: Mapping[str, str]) -> str | None:
    scheme, _, text = headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else None
