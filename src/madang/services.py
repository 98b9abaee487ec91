"""The one list of services: which settings, claims, routes and loops each brings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from madang.desktops.vnc.definition import vnc
from madang.identity.definition import identity
from madang.kernel.claims import Claim, overlaps
from madang.kernel.database import DatabaseSettings
from madang.kernel.errors import NotFound, SiteError
from madang.kernel.ground import Service
from madang.kernel.live import LiveSettings
from madang.kernel.settings import HttpSettings, Settings, SiteSettings, load
from madang.machines.definition import machines

SERVICES: tuple[Service, ...] = (identity, vnc, machines)


def sections() -> dict[str, type[Any]]:
    """Every section of madang.toml."""
    ground: dict[str, type[Any]] = {
        "site": SiteSettings,
        "http": HttpSettings,
        "database": DatabaseSettings,
        "live": LiveSettings,
    }
    return ground | {name: kind for service in SERVICES for name, kind in service.settings.items()}


def load_settings(overrides: Mapping[str, str] | None = None) -> Settings:
    """The settings in force; `overrides` are further variables, as the command line gives them."""
    return load(sections(), {**os.environ, **(overrides or {})})


def find(name: str) -> Service:
    for service in SERVICES:
        if service.name == name:
            return service
    raise NotFound(f"There is no service {name!r}.", hint=f"Services: {', '.join(s.name for s in SERVICES)}.")


def all_claims(settings: Settings) -> Sequence[Claim]:
    return [claim for service in SERVICES for claim in service.claims(settings)]


def refuse_overlaps(settings: Settings) -> None:
    """Raise SiteError when two services claim the same."""
    if collisions := list(overlaps(all_claims(settings))):
        said = "; ".join(f"{a} and {b}" for a, b in collisions)
        raise SiteError(
            f"Two services claim the same: {said}.",
            code="claims_overlap",
            hint="`madang claims` prints the table; change one of the settings.",
        )
