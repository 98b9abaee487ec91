"""HTTP of what the form for a new desktop offers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from litestar import get

from madang.desktops.notices import NoticeView, notice_view
from madang.desktops.preset_routes import PresetView, PresetViews
from madang.desktops.presets import Choice as ChosenLast
from madang.desktops.service import Desktops
from madang.identity.model import Visitor
from madang.kernel import clock
from madang.kernel.ground import Missing
from madang.kernel.problems import problems

SIZES = ((1280, 720), (1440, 900), (1920, 1080), (2560, 1440), (3840, 2160))


class Choice(msgspec.Struct):
    """What a number may be."""

    min: int
    max: int
    default: int


class Size(msgspec.Struct):
    width: int
    height: int


class MissingPart(msgspec.Struct):
    """Something that the engine needs, and the command that brings it."""

    what: str
    command: str


class Offers(msgspec.Struct, frozen=True):
    """What else this site lets people do with a desktop."""

    share_guests: bool
    share_seconds_most: int
    largest_upload_bytes: int
    idle_warning_seconds: float


class Options(msgspec.Struct):
    """What the form for a new desktop offers: `chosen` is what they chose last, `notice` of a maintenance."""

    width: Choice
    height: Choice
    sizes: list[Size]
    time_limit_seconds: Choice
    sessions_per_person: int
    ready: bool
    missing: list[MissingPart]
    presets: list[PresetView]
    chosen: ChosenLast | None
    notice: NoticeView | None
    share_guests: bool
    share_seconds_most: int
    largest_upload_bytes: int
    idle_warning_seconds: float  # before the stop of an idle desktop; half of its idle time when that is shorter


def options_routes(
    desktops: Desktops, views: PresetViews, offers: Offers, missing: Callable[[], Sequence[Missing]]
) -> Sequence[Any]:
    @get("/options", operation_id="desktopOptions", summary="What a new desktop may be", responses=problems(401))
    async def options(visitor: Visitor) -> Options:
        limits, lacking = desktops.limits, missing()
        own_limit = (await desktops.policies.limits()).of(visitor.person.name, limits.sessions_per_person)
        return Options(
            width=Choice(320, limits.largest_width, limits.width),
            height=Choice(240, limits.largest_height, limits.height),
            sizes=[Size(w, h) for w, h in SIZES if w <= limits.largest_width and h <= limits.largest_height],
            time_limit_seconds=Choice(60, limits.longest_time_limit_seconds, limits.time_limit_seconds),
            sessions_per_person=own_limit,
            ready=not lacking,
            missing=[MissingPart(item.what, item.command) for item in lacking],
            presets=await views.of(visitor),
            chosen=await desktops.presets.chosen(visitor.person.id),
            notice=notice_view(await desktops.policies.notice(), clock.now()),
            share_guests=offers.share_guests,
            share_seconds_most=offers.share_seconds_most,
            largest_upload_bytes=offers.largest_upload_bytes,
            idle_warning_seconds=offers.idle_warning_seconds,
        )

    return (options,)
