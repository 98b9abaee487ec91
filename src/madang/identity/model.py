"""People: what they are, what their roles permit, and the rules for names and passwords. No I/O."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

import msgspec

from madang.kernel.errors import InvalidInput

Role = Literal["admin", "operator", "teacher", "student", "member", "monitor"]
Language = Literal["ko", "en"]
Permission = Literal[
    "desktops.use",
    "desktops.see_all",
    "desktops.manage",
    "machines.use",
    "machines.see_all",
    "machines.manage",
    "people.manage",
    "audit.read",
    "site.see",
]

_USES: frozenset[Permission] = frozenset({"desktops.use", "machines.use"})
_OPERATES: frozenset[Permission] = frozenset(
    {"desktops.see_all", "desktops.manage", "machines.see_all", "machines.manage", "audit.read", "site.see"}
)
PERMISSIONS: dict[Role, frozenset[Permission]] = {
    "admin": _USES | _OPERATES | {"people.manage"},
    "operator": _USES | _OPERATES,
    "teacher": _USES,
    "student": _USES,
    "member": _USES,
    "monitor": frozenset({"site.see"}),
}

NAME_PATTERN = r"^[a-z][a-z0-9._-]{1,31}$"
NAME_RULE = "2 to 32 of a-z, 0-9, dot, underscore and hyphen, beginning with a letter"
DISPLAY_NAME_LONGEST = 80
PASSWORD_SHORTEST = 10
PASSWORD_LONGEST = 256
PASSWORD_FEWEST_DIFFERENT = 4

# Of the most common passwords those that are long enough to pass the rule of length; compared without case.
_COMMON = """
1234567890 12345678910 0123456789 0987654321 9876543210 1029384756 1234512345 1122334455 123456789a a123456789
1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx3edc qwertyuiop qwerty12345 qwerty123456 qwerty1234 qwertyuiop123 asdfghjkl1
zxcvbnm123 password12 password123 password1234 password12345 password!! passw0rd123 p@ssw0rd123 p@ssword123
iloveyou12 iloveyou123 welcome123 welcome1234 letmein1234 admin12345 admin123456 administrator administrator1
changeme123 changeme1234 football123 baseball123 superman123 sunshine123 princess123 michelle123 computer123
abcd123456 abcdefghij abcdefghijk abc1234567 abc123456789 asdf123456 asdfasdfasdf q1w2e3r4t5 q1w2e3r4t5y6
dkssudgktpdy dkssud1234 tkfkdgo1234 tkfkdgody test123456 testtest123 guest12345 korea12345 madang1234 secret1234
"""
COMMON_PASSWORDS = frozenset(_COMMON.split())


class Person(msgspec.Struct, frozen=True):
    """Who signs in. Times are seconds since the epoch; `account` is the Unix account that sessions run as."""

    id: str
    name: str
    display_name: str
    roles: tuple[Role, ...]
    account: str | None
    language: Language | None
    disabled: bool
    created_at: float
    last_sign_in_at: float | None
    version: int

    @property
    def permissions(self) -> frozenset[Permission]:
        return permissions_of(self.roles)


class Visitor(msgspec.Struct, frozen=True):
    """Who makes a request, and how they proved it: `sign_in` is set for a cookie, `token` for an API token."""

    person: Person
    via: Literal["cookie", "token"]
    sign_in: str | None = None
    token: str | None = None
    must_set_password: bool = False
    address: str = ""

    def may(self, permission: Permission) -> bool:
        return permission in self.person.permissions


class Actor(msgspec.Struct, frozen=True):
    """On whose behalf something is done, for the audit trail: a person, or the command line (`person` is None)."""

    person: str | None
    name: str
    address: str = ""


def actor_of(visitor: Visitor) -> Actor:
    return Actor(visitor.person.id, visitor.person.name, visitor.address)


def permissions_of(roles: tuple[Role, ...]) -> frozenset[Permission]:
    return frozenset().union(*(PERMISSIONS[role] for role in roles))


def invalid(field: str, message: str, *, code: str | None = None, hint: str = "") -> InvalidInput:
    """The error for one field that cannot be used."""
    return InvalidInput(message, code=code, hint=hint, fields=[{"field": field, "message": message}])


def is_name(text: str) -> bool:
    """Whether somebody could have this name."""
    return re.fullmatch(NAME_PATTERN.removesuffix("$"), text) is not None


def checked_name(name: str) -> str:
    """The name as it is kept. Raises InvalidInput."""
    if not is_name(name):
        raise invalid("name", f"A name is {NAME_RULE}.")
    return name


def checked_text(field: str, text: str, longest: int) -> str:
    """A line of text for people to read: one to `longest` characters, none of which controls the display."""
    text = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(text) <= longest:
        raise invalid(field, f"It must have 1 to {longest} characters.")
    if any(_controls(character) for character in text):
        raise invalid(field, "It has characters that cannot be shown.")
    return text


def _controls(character: str) -> bool:
    # Control characters, lone surrogates, line breaks, and the marks that turn the direction of what follows.
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in "\u202a\u202b\u202c\u202d\u202e"


def checked_roles(roles: tuple[Role, ...]) -> tuple[Role, ...]:
    """The roles without repetition, in the order of the list of roles. Raises InvalidInput."""
    for role in roles:
        if role not in PERMISSIONS:
            raise invalid("roles", f"There is no role {role!r}; there are {', '.join(PERMISSIONS)}.")
    if not roles:
        raise invalid("roles", "A person needs at least one role.")
    return tuple(role for role in PERMISSIONS if role in roles)


def checked_password(password: str, name: str) -> str:
    """A password that may be set, else InvalidInput `password_weak`."""
    if problem := _password_problem(normal_password(password), name):
        hint = "A few words that do not belong together make a good one."
        raise invalid("new_password", problem, code="password_weak", hint=hint)
    return password


def _password_problem(password: str, name: str) -> str | None:
    plain = password.casefold()
    if len(password) < PASSWORD_SHORTEST:
        return f"A password has at least {PASSWORD_SHORTEST} characters."
    if len(password) > PASSWORD_LONGEST:
        return f"A password has at most {PASSWORD_LONGEST} characters."
    if any(unicodedata.category(character) == "Cs" for character in password):
        return "The password has characters that cannot be written."
    if plain.strip() == name.casefold():
        return "The password must not be the name."
    if plain in COMMON_PASSWORDS:
        return "This password is among the first that everybody tries."
    if len(set(plain)) < PASSWORD_FEWEST_DIFFERENT:
        return "The password repeats too few characters."
    return None


def normal_password(password: str) -> str:
    """One form for what different keyboards send for the same characters (Hangul above all), as RFC 8265 asks for."""
    return unicodedata.normalize("NFC", password)
