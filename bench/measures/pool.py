"""Ready desktops: from the click to the picture when one of the pool is there."""

from __future__ import annotations

import contextlib
import sqlite3
import time

from bench import processes
from bench.chrome import chromium, page_of
from bench.measures import Plan
from bench.measures.start import Click, click
from bench.processes import Trouble
from bench.results import Row, Target, median, percentile
from bench.site import Site

TITLE = "A ready desktop of the pool"
METHOD = (
    "As *Click to first picture*, with a preset whose pool holds one desktop; after each click it is waited until the "
    "pool is full again and the machine at rest."
)
REST_SECONDS = 2.0


def measure(plan: Plan) -> list[Row]:
    clicks: list[Click] = []
    site = Site(plan.user)
    try:
        preset = {"name": "Ready", "pool_size": 1, "width": 1440, "height": 900}
        answer = site.api.post("/api/vnc/presets", json=preset)
        if answer.status_code != 201:
            raise Trouble(f"the preset was refused: {answer.text[:300]}")
        with chromium() as browser:
            page = page_of(browser, site)
            for _ in range(1 + plan.times(12, 2)):
                processes.until(lambda: _ready(site) >= 1, 60, "a ready desktop", 0.2)
                time.sleep(REST_SECONDS)
                clicks.append(click(page, site))
    finally:
        site.close()
    took = [one.seconds for one in clicks[1:]]
    rows = [
        Row("click to first picture, p50", median(took), "s", Target(at_most=0.4), samples=len(took)),
        Row("click to first picture, p95", percentile(took, 95), "s", samples=len(took)),
    ]
    parts = clicks[1].parts
    return [
        *rows,
        *(Row(f"of it {part}, p50", median([one.parts[part] for one in clicks[1:]]), "s") for part in parts),
    ]


def _ready(site: Site) -> int:
    with contextlib.closing(sqlite3.connect(site.state / "madang.sqlite3", timeout=10)) as database:
        query = "SELECT count(*) FROM sessions WHERE pooled_until IS NOT NULL AND state = 'ready'"
        return int(database.execute(query).fetchone()[0])
