"""Settings of identity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from madang.kernel.claims import Claim
from madang.kernel.settings import Settings


class IdentitySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may come in, and for how long."""

    sign_in_hours: Annotated[float, msgspec.Meta(gt=0, le=8760, description="A sign-in ends after this long.")] = 168.0
    idle_hours: Annotated[
        float, msgspec.Meta(gt=0, le=8760, description="A sign-in that nobody uses ends after this long.")
    ] = 24.0
    rotate_minutes: Annotated[
        float, msgspec.Meta(gt=0, le=10080, description="The cookie of a sign-in is replaced this often.")
    ] = 30.0
    rotate_overlap_seconds: Annotated[
        float, msgspec.Meta(ge=0, le=3600, description="A replaced cookie is still good for requests under way.")
    ] = 60.0
    recheck_seconds: Annotated[
        float,
        msgspec.Meta(
            gt=0, le=3600, description="Open desktops and pages are closed so soon after a sign-in or token ran out."
        ),
    ] = 30.0
    link_minutes: Annotated[
        float, msgspec.Meta(gt=0, le=43200, description="A one-time sign-in link is good for this long.")
    ] = 1440.0
    attempts_per_name: Annotated[
        int, msgspec.Meta(ge=1, le=1000, description="Wrong passwords for one name before it is locked for a while.")
    ] = 5
    attempts_per_address: Annotated[
        int, msgspec.Meta(ge=1, le=100_000, description="Wrong passwords from one address before it is locked.")
    ] = 50
    attempts_minutes: Annotated[
        float, msgspec.Meta(gt=0, le=1440, description="Wrong passwords are counted over this long.")
    ] = 10.0
    lock_minutes: Annotated[
        float,
        msgspec.Meta(gt=0, le=1440, description="The first lock lasts this long; each further one twice as long."),
    ] = 1.0
    lock_minutes_most: Annotated[float, msgspec.Meta(gt=0, le=10080, description="No lock lasts longer than this.")] = (
        60.0
    )
    lock_memory_hours: Annotated[
        float, msgspec.Meta(gt=0, le=720, description="Locks within this long of the first one make the next longer.")
    ] = 24.0
    token_days_most: Annotated[
        int, msgspec.Meta(ge=0, le=36500, description="An API token lives at most this long; 0: as long as one likes.")
    ] = 365
    tokens_per_person: Annotated[
        int, msgspec.Meta(ge=1, le=1000, description="API tokens that one person can have at a time.")
    ] = 50
    create_accounts: Annotated[
        bool, msgspec.Meta(description="As root: create the Unix account of a new person if there is none.")
    ] = True
    audit_days: Annotated[int, msgspec.Meta(ge=1, le=36500, description="The audit trail goes back this long.")] = 365
    clean_up_minutes: Annotated[
        float, msgspec.Meta(gt=0, le=1440, description="What is out of date is removed this often.")
    ] = 30.0
    hash_memory_kib: Annotated[
        int, msgspec.Meta(ge=8, le=4_194_304, description="Memory that hashing a password takes (argon2id).")
    ] = 65536
    hash_rounds: Annotated[int, msgspec.Meta(ge=1, le=100, description="Rounds of hashing a password (argon2id).")] = 3
    hash_at_once: Annotated[int, msgspec.Meta(ge=1, le=64, description="Passwords hashed at the same time.")] = 2
    hash_waiting: Annotated[
        int, msgspec.Meta(ge=1, le=100_000, description="Sign-ins that may wait for that; more are asked to try again.")
    ] = 500


def claims(_settings: Settings) -> Sequence[Claim]:
    return (
        Claim("identity", "route", "/api/identity/"),
        Claim("identity", "key", "identity:*"),
    )
