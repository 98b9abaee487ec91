"""What people and operators do with desktops beyond starting and ending them: each room's routes and loops."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from madang.desktops.cluster import Clusters
from madang.desktops.consent import Consent
from madang.desktops.consent_routes import consent_routes
from madang.desktops.lifetime import Lifetime
from madang.desktops.lifetime_routes import lifetime_routes
from madang.desktops.measures import STEP_SECONDS
from madang.desktops.operator_routes import operator_routes
from madang.desktops.options_routes import Offers, options_routes
from madang.desktops.pool import Pool
from madang.desktops.preset_routes import PresetViews, preset_routes
from madang.desktops.rights import Rights
from madang.desktops.service import Desktops
from madang.desktops.share_routes import share_routes
from madang.desktops.sharing import Rules, Sharing
from madang.desktops.sockets import Doors
from madang.desktops.usage import Usage
from madang.desktops.vnc.settings import VncSettings
from madang.doors.open_doors import OpenDoors
from madang.doors.watchers import Watchers
from madang.identity.sign_on import SignOn
from madang.kernel.ground import Ground, Missing
from madang.kernel.live import LiveSettings
from madang.kernel.loops import Loop

FORGET_SECONDS = 3600.0


@dataclass(frozen=True)
class Rooms:
    """`viewers(session)`: how many look at it now."""

    doors: Doors
    viewers: Callable[[str], int]
    routes: Sequence[Any]
    loops: Sequence[Loop]
    stop: Callable[[], Awaitable[None]]


def rules_of_sharing(settings: VncSettings) -> Rules:
    return Rules(
        guests=settings.share_guests,
        seconds_most=settings.share_hours_most * 3600,
        per_session=settings.shares_per_session,
        attempts=settings.share_attempts,
        view_minutes_most=settings.view_minutes_most,
        view_ask_minutes=settings.view_ask_minutes,
    )


def rooms_of(ground: Ground, desktops: Desktops, sign_on: SignOn, missing: Callable[[], Sequence[Missing]]) -> Rooms:
    """`missing`: what the engine lacks now."""
    settings = ground.settings[VncSettings]
    clusters = Clusters(desktops.launchers)
    usage = Usage(ground.database, "vnc", desktops.store, settings.usage_days)
    open_doors = OpenDoors()
    watchers = Watchers("vnc", open_doors, ground.live, ground.events, ground.settings[LiveSettings].tell_seconds)
    sharing = Sharing(ground, desktops, watchers, rules_of_sharing(settings))
    consent = Consent(desktops, sharing)
    pool = Pool(
        ground,
        desktops,
        missing,
        seconds=settings.pool_seconds,
        rest_seconds=settings.pool_rest_seconds,
        recent_days=settings.pool_recent_days,
        pause_seconds=settings.pool_pause_seconds,
    )
    offers = Offers(
        share_guests=settings.share_guests,
        share_seconds_most=round(settings.share_hours_most * 3600),
        largest_upload_bytes=settings.largest_upload_bytes,
        idle_warning_seconds=settings.idle_warning_seconds,
    )

    async def stop() -> None:
        await watchers.stop()
        await sharing.stop()

    return Rooms(
        doors=Doors(desktops, Rights(ground, desktops, sign_on, sharing, consent), open_doors, settings.door_seconds),
        viewers=watchers.count,
        routes=[
            *options_routes(desktops, PresetViews(desktops, clusters), offers, missing),
            *preset_routes(desktops, clusters),
            *lifetime_routes(desktops, Lifetime(desktops)),
            *operator_routes(desktops, usage, clusters),
            *share_routes(sharing, sign_on, ground.settings),
            *consent_routes(consent),
        ],
        loops=[
            pool.loop,
            Loop("vnc measures", desktops.measures.write, STEP_SECONDS),
            Loop("vnc usage", usage.forget, FORGET_SECONDS, lease=True),
            Loop("vnc shares", sharing.forget, FORGET_SECONDS, lease=True),
        ],
        stop=stop,
    )
