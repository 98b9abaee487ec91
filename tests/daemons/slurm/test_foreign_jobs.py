"""Somebody says that another person's job is their session's: nothing happens to that job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from madang.compute.sight import Placement
from madang.kernel import clock
from madang.kernel.errors import Conflict
from tests.support.slurm import OTHER, PERSON, make_launcher, make_order, seen


@pytest.mark.parametrize("began_here", [True, False])
async def test_another_persons_job_is_no_sessions(cluster: Any, place: Path, began_here: bool) -> None:
    launcher = make_launcher(cluster, place, "/bin/sleep", "300")
    await launcher.prepare()
    theirs = make_order(launcher, OTHER)
    victim = await launcher.start(theirs, "")
    running = await seen(launcher, theirs.session, victim, lambda s: s.alive)

    mine = make_order(launcher, PERSON)
    own = await launcher.start(mine, "")
    asked = launcher if began_here else make_launcher(cluster, place, "/bin/sleep", "300")
    claimed = Placement(None, None, None, victim.job)
    await asked.refresh()
    sight = await asked.look(mine.session, claimed)
    assert sight.alive is None and sight.host is None and sight.node is None
    with pytest.raises(Conflict):
        await asked.extend(mine.session, claimed, clock.now() + 6000)
    assert await asked.sweep(mine.session, PERSON, Path(mine.folder), None, claimed) is True

    await launcher.refresh()
    after = await launcher.look(theirs.session, victim)
    assert after.alive and after.ends_at == running.ends_at
    # What is found by name, their own, was ended all the same.
    assert (await seen(launcher, mine.session, own, lambda s: s.alive is False)).end == "cancelled"
