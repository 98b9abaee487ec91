"""What is to be done about the pools. Pure: what is there and who could use it in, a plan out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

import msgspec

from madang.desktops.model import Session
from madang.desktops.preset import Preset


class Guest(msgspec.Struct, frozen=True):
    """Somebody for whom one could stand ready: as it would be made now; the lowest rank comes first.

    `full`: they have as many desktops as they may, so they could not take it.
    """

    draft: Session
    rank: tuple[Any, ...]
    full: bool = False


class Plan(msgspec.Struct, frozen=True):
    """Which sessions to end, and why; which to make; the presets whose pools are open now."""

    end: tuple[tuple[Session, str], ...]
    make: tuple[Session, ...]
    open: frozenset[str]


def in_schedule(preset: Preset, moment: datetime) -> bool:
    """Whether its pool is to be kept at this moment of the portal's local time.

    A schedule that ends before it begins goes over midnight, and belongs to the day on which it begins.
    """
    if not preset.enabled or not preset.pool_size:
        return False
    begin, end = _time(preset.pool_from), _time(preset.pool_to)
    now, day = moment.time(), moment.date()
    if begin == end:
        within = True
    elif begin < end:
        within = begin <= now < end
    else:
        within = now >= begin or now < end
        if now < end:
            day -= timedelta(days=1)
    return within and (not preset.pool_days or day.weekday() in preset.pool_days)


def make_plan(
    presets: Mapping[str, Preset],
    pooled: Sequence[Session],
    guests: Mapping[str, Sequence[Guest]],
    closed: set[str],
    now: float,
    surplus: int = 0,
) -> Plan:
    """`presets`: those whose schedule is on, by id; `pooled`: what is there; of `closed` ones nothing new is made.

    `surplus`: so many desktops are above the site's limit, and those of the pool make room.
    """
    end: list[tuple[Session, str]] = []
    kept: dict[str, list[Session]] = {key: [] for key in presets}
    wanted = {(key, guest.draft.person_id): guest.draft for key, found in guests.items() for guest in found}
    # The newest are kept when there are too many.
    for session in sorted(pooled, key=lambda one: (-one.created_at, one.id)):
        key = session.preset or ""
        if why := _useless(session, presets.get(key), wanted.get((key, session.person_id)), now):
            end.append((session, why))
        elif any(one.person_id == session.person_id for one in kept[key]):
            end.append((session, "there is another one for its person"))
        elif len(kept[key]) >= presets[key].pool_size:
            end.append((session, "the pool is smaller now"))
        else:
            kept[key].append(session)
    if (too_many := surplus - len(end)) > 0:
        oldest = sorted((one for some in kept.values() for one in some), key=lambda one: one.created_at)[:too_many]
        end += [(session, "people need its place") for session in oldest]
    make: list[Session] = []
    for key, preset in presets.items():
        if key in closed or surplus > 0:
            continue
        have = {session.person_id for session in kept[key]}
        free = [guest.draft for guest in guests.get(key, ()) if not guest.full and guest.draft.person_id not in have]
        make += free[: preset.pool_size - len(have)]
    return Plan(tuple(end), tuple(make), frozenset(presets))


def _useless(session: Session, preset: Preset | None, wanted: Session | None, now: float) -> str:
    if preset is None:
        return "its preset or its schedule is over"
    if session.pooled_until is not None and now >= session.pooled_until:
        return "nobody asked for it in time"
    if wanted is None:
        return "its person may not have it any more"
    if _kind(session) != _kind(wanted):
        return "its preset, or what its person chooses, is another now"
    return ""


def _kind(session: Session) -> tuple[object, ...]:
    return (
        session.launcher, session.account, session.terms, session.width, session.height, session.time_limit_seconds,
    )  # fmt: skip


def _time(text: str) -> time:
    return time.fromisoformat(text) if text else time(0)
