"""What identity takes and gives over HTTP. Times are ISO 8601 in UTC."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType

from madang.identity.audit import Entry
from madang.identity.model import (
    DISPLAY_NAME_LONGEST,
    NAME_PATTERN,
    PASSWORD_LONGEST,
    Language,
    Permission,
    Person,
    Role,
)
from madang.identity.tokens import LONGEST_NAME, Token
from madang.kernel.clock import iso, iso_or_none

# One line of text: no control characters.
LINE = r"^[^\u0000-\u001f\u007f]+$"

GivenName = Annotated[str, Meta(min_length=1, max_length=64)]
GivenPassword = Annotated[str, Meta(max_length=1024)]
NewName = Annotated[str, Meta(min_length=2, max_length=32, pattern=NAME_PATTERN)]
NewPassword = Annotated[str, Meta(max_length=PASSWORD_LONGEST, description="At least 10 characters.")]
DisplayName = Annotated[str, Meta(min_length=1, max_length=DISPLAY_NAME_LONGEST, pattern=LINE)]
TokenName = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME, pattern=LINE)]
AccountName = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[a-z_][a-z0-9._-]*$")]
Roles = Annotated[list[Role], Meta(min_length=1, max_length=12)]
RecordId = Annotated[str, Parameter(min_length=1, max_length=32, description="As the list gives it.")]
Days = Annotated[int, Meta(ge=1, le=36500)]


class SignInBody(msgspec.Struct, forbid_unknown_fields=True):
    """Name and password."""

    name: GivenName
    password: GivenPassword


class RedeemBody(msgspec.Struct, forbid_unknown_fields=True):
    """What stands behind `#` in a sign-in link."""

    token: Annotated[str, Meta(min_length=1, max_length=200)]


class PasswordBody(msgspec.Struct, forbid_unknown_fields=True):
    """`current_password` may be null while none is set (`must_set_password`)."""

    new_password: NewPassword
    current_password: GivenPassword | None = None


class ChangeSelfBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    display_name: DisplayName | UnsetType = UNSET
    language: Language | UnsetType | None = UNSET


class NewTokenBody(msgspec.Struct, forbid_unknown_fields=True):
    """`expires_in_days` null: as long as the site allows."""

    name: TokenName
    expires_in_days: Days | None = None


class NewPersonBody(msgspec.Struct, forbid_unknown_fields=True):
    """`account` null: the Unix account of the same name."""

    name: NewName
    display_name: DisplayName
    roles: Roles
    account: AccountName | None = None


class ChangePersonBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    display_name: DisplayName | UnsetType = UNSET
    roles: Roles | UnsetType = UNSET
    account: AccountName | UnsetType | None = UNSET
    disabled: bool | UnsetType = UNSET


class PersonShape(msgspec.Struct):
    """A person. `account`: the Unix account that their sessions run as."""

    id: str
    name: str
    display_name: str
    roles: list[Role]
    account: str | None
    language: Language | None
    disabled: bool
    created_at: str
    last_sign_in_at: str | None


class SiteShape(msgspec.Struct):
    """The site. `user`: in mode `user` everything runs as this Unix user."""

    name: str
    mode: str
    user: str | None
    version: str
    services: list[str]


class Me(msgspec.Struct):
    """Who is signed in. `csrf_token` goes into the header X-CSRF-Token of every request that changes something."""

    person: PersonShape
    csrf_token: str
    must_set_password: bool
    permissions: list[Permission]
    site: SiteShape


class SignInShape(msgspec.Struct):
    """A sign-in; `current`: the one that asks."""

    id: str
    created_at: str
    last_seen_at: str
    address: str
    user_agent: str
    current: bool


class TokenShape(msgspec.Struct):
    """An API token without its secret."""

    id: str
    name: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None


class NewToken(TokenShape):
    """A new API token; `secret` is shown this once."""

    secret: str


class NewPerson(msgspec.Struct):
    """A new person and the one-time link that lets them in."""

    person: PersonShape
    link: str


class SignInLink(msgspec.Struct):
    """A one-time sign-in link."""

    link: str


class AuditEntry(msgspec.Struct):
    """An entry of the audit trail."""

    id: int
    at: str
    person_name: str
    action: str
    object: str
    outcome: str
    address: str
    detail: str


def person_shape(person: Person) -> PersonShape:
    return PersonShape(
        id=person.id,
        name=person.name,
        display_name=person.display_name,
        roles=list(person.roles),
        account=person.account,
        language=person.language,
        disabled=person.disabled,
        created_at=iso(person.created_at),
        last_sign_in_at=iso_or_none(person.last_sign_in_at),
    )


def sign_in_shape(row: dict[str, Any], current: str | None) -> SignInShape:
    return SignInShape(
        id=row["id"],
        created_at=iso(row["created_at"]),
        last_seen_at=iso(row["last_seen_at"]),
        address=row["address"],
        user_agent=row["user_agent"],
        current=row["id"] == current,
    )


def token_shape(token: Token) -> TokenShape:
    return TokenShape(
        id=token.id,
        name=token.name,
        created_at=iso(token.created_at),
        expires_at=iso_or_none(token.expires_at),
        last_used_at=iso_or_none(token.last_used_at),
    )


def audit_entry(entry: Entry) -> AuditEntry:
    return AuditEntry(
        id=entry.id,
        at=iso(entry.at),
        person_name=entry.person_name,
        action=entry.action,
        object=entry.object,
        outcome=entry.outcome,
        address=entry.address,
        detail=entry.detail,
    )
