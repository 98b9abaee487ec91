"""Presets and desktops that tests of the page begin with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.browser.site import Person, Site

Json = dict[str, Any]


@contextmanager
def presets(site: Site, *wanted: Json) -> Iterator[Sequence[Json]]:
    """A site with these presets and no others."""
    made: list[Json] = []
    try:
        for position, preset in enumerate(wanted):
            answer = site.boss.http.post("/api/vnc/presets", json={"position": position} | preset)
            assert answer.status_code == 201, answer.text
            made.append(answer.json())
        yield made
    finally:
        for preset in made:
            site.boss.http.delete(f"/api/vnc/presets/{preset['id']}")


def own_desktop(person: Person, **wish: Any) -> str:
    """A desktop that is ready; its id."""
    return str(person.http.start_desktop(**({"width": 1280, "height": 800} | wish))["id"])
