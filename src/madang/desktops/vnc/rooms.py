"""What people and operators do with desktops beyond starting and ending them: each room's routes and loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from madang.desktops.cluster import Clusters
from madang.desktops.lifetime import Lifetime
from madang.desktops.lifetime_routes import lifetime_routes
from madang.desktops.operator_routes import operator_routes
from madang.desktops.options_routes import Offers, options_routes
from madang.desktops.preset_routes import PresetViews, preset_routes
from madang.desktops.service import Desktops
from madang.desktops.usage import Usage
from madang.desktops.vnc.settings import VncSettings
from madang.kernel.ground import Ground, Missing
from madang.kernel.loops import Loop

FORGET_USAGE_SECONDS = 3600.0


@dataclass(frozen=True)
class Rooms:
    routes: Sequence[Any]
    loops: Sequence[Loop]


def rooms_of(ground: Ground, desktops: Desktops, missing: Callable[[], Sequence[Missing]]) -> Rooms:
    settings = ground.settings[VncSettings]
    clusters = Clusters(desktops.launchers)
    usage = Usage(ground.database, "vnc", desktops.store, settings.usage_days)
    offers = Offers(settings.share_guests, round(settings.share_hours_most * 3600), settings.largest_upload_bytes)
    return Rooms(
        routes=[
            *options_routes(desktops, PresetViews(desktops, clusters), offers, missing),
            *preset_routes(desktops, clusters),
            *lifetime_routes(desktops, Lifetime(desktops)),
            *operator_routes(desktops, usage, clusters),
        ],
        loops=[Loop("vnc usage", usage.forget, FORGET_USAGE_SECONDS, lease=True)],
    )
