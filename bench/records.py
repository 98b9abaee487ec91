"""Records put straight into a site's database: a thousand sessions that nobody has to start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from bench.site import Site
from madang.compute.order import Pulse, Resources, Stage
from madang.desktops.model import Session, State, Terms
from madang.desktops.pulses import Pulses
from madang.desktops.store import Sessions
from madang.desktops.supervisor import digest
from madang.kernel.database import Database, DatabaseSettings
from madang.kernel.live_embedded import EmbeddedLive

# The portal cannot see processes of another machine, so it lets these sessions be.
ELSEWHERE = "elsewhere"
STAGES = ("request", "agent", "display", "window_manager", "desktop")


def session(number: int, person: str, name: str, state: State, secret: str = "") -> Session:
    now = time.time() - number
    return Session(
        id=name_of(person, number),
        service="vnc",
        person_id=person,
        person_name=name,
        name=f"Desktop {number}",
        state=state,
        width=1440,
        height=900,
        time_limit_seconds=28_800,
        created_at=now,
        wanted=state not in (State.ENDED, State.FAILED),
        node=ELSEWHERE,
        display=number % 9 + 1,
        pid=1000 + number,
        pid_started=1,
        folder=f"/scratch/vnc_sandboxes/{number}",
        launched_at=time.time(),
        ready_at=now + 1.5,
        ends_at=now + 28_800,
        ended_at=now if state is State.ENDED else None,
        end_reason="asked" if state is State.ENDED else None,
        stages=tuple(Stage(stage, now, 0.25) for stage in STAGES),
        agent_secret_hash=digest(secret) if secret else None,
        door_key=None,
    )


def name_of(person: str, number: int) -> str:
    """The id of the session of that number."""
    return f"bench{person[:4]}{number:04d}"


def waiting(number: int, person: str, account: str, job: str) -> Session:
    """One that waits in a scheduler's queue as that job."""
    return Session(
        id=name_of(person, number),
        service="vnc",
        person_id=person,
        person_name="admin",
        account=account,
        name=f"Desktop {number}",
        launcher="slurm",
        state=State.WAITING,
        width=1440,
        height=900,
        time_limit_seconds=3600,
        created_at=time.time(),
        launched_at=time.time(),
        job=job,
        folder=f"/tmp/madang-{number}",
        terms=Terms(Resources(time_limit_seconds=3600), longest_seconds=3600),
        stages=(Stage("request", time.time(), 0.1), Stage("queue", time.time())),
    )


def store(site: Site, sessions: Sequence[Session]) -> None:
    """Put sessions into the database of a site that runs, and a heartbeat for each that is not over."""
    asyncio.run(_store(site, sessions))


async def _store(site: Site, sessions: Sequence[Session]) -> None:
    database = Database(site.state / "madang.sqlite3", DatabaseSettings())
    live = EmbeddedLive(site.state / "live.sqlite3", shared=False)
    await live.start()
    try:
        kept, pulses = Sessions(database, "vnc"), Pulses(live, "vnc")
        for one in sessions:
            await kept.add(one, most=1_000_000)
            if not one.over:
                pulse = Pulse(time.time(), 12.5, 3.2, 190_000_000, one.width, one.height)
                await pulses.put(one.id, pulse, 1, 3600)
    finally:
        await live.stop()
        await database.close()
