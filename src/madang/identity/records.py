"""Rows of the tables as values of the model."""

from __future__ import annotations

import functools
import secrets

import msgspec
from sqlalchemy import RowMapping

from madang.identity import tables
from madang.identity.accounts import Accounts
from madang.identity.model import Person, Role

# Columns of people for a query that joins them to what is theirs.
PERSON_COLUMNS = [column.label(f"person_{column.name}") for column in tables.people.columns]


def new_id() -> str:
    """An id that nobody can guess."""
    return secrets.token_hex(8)


def person_of(row: RowMapping, accounts: Accounts, prefix: str = "") -> Person:
    """The person in a row of people, or of a query with PERSON_COLUMNS (prefix `person_`)."""
    return Person(
        id=row[f"{prefix}id"],
        name=row[f"{prefix}name"],
        display_name=row[f"{prefix}display_name"],
        roles=decode_roles(row[f"{prefix}roles"]),
        account=accounts.in_force(row[f"{prefix}account"]),
        language=row[f"{prefix}language"],
        disabled=bool(row[f"{prefix}disabled"]),
        created_at=row[f"{prefix}created_at"],
        last_sign_in_at=row[f"{prefix}last_sign_in_at"],
        version=row[f"{prefix}version"],
    )


@functools.lru_cache(maxsize=256)
def decode_roles(text: str) -> tuple[Role, ...]:
    return msgspec.json.decode(text, type=tuple[Role, ...])


def encode_roles(roles: tuple[Role, ...]) -> str:
    return msgspec.json.encode(roles).decode()
