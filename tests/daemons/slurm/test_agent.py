"""The real agent, from the folder that nodes read, as a job; no portal hears it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from madang.compute import processes
from madang.compute.launcher import LaunchFailed
from madang.compute.slurm import bundle
from tests.support.portal import marked
from tests.support.slurm import PERSON, make_launcher, make_order, seen, until

AGENT = "madang.desktops.agent"


@pytest.fixture
def world_readable() -> Iterator[Path]:
    """A folder that every account can read, as pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="mdgs-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


async def test_a_desktop_as_a_job(cluster: Any, world_readable: Path) -> None:
    launcher = make_launcher(cluster, world_readable)
    await launcher.prepare()
    order = make_order(launcher, PERSON, cpus=2, memory_bytes=1_000_000_000)
    folder = Path(order.folder)
    assert folder.parent == Path("/tmp") and folder.name.startswith(f"madang-{order.session}-")
    assert launcher.folder(order.session) == folder
    placement = await launcher.start(order, "")
    await seen(launcher, order.session, placement, lambda s: s.alive)
    try:
        names = await until(lambda: _running(order.session), lambda names: {"Xvnc", "xfwm4"} <= names, 40)
        assert "slurm_script" not in names  # the agent took its place
        assert {processes.owner(process.pid) for process in marked(order.session)} == {folder.stat().st_uid}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        await until(
            lambda: launcher.sweep(order.session, PERSON, folder, None, placement), lambda swept: swept is True, 20
        )
    # The agent is asked by Slurm, and leaves nothing on its node.
    await until(lambda: _left(order.session, folder), lambda left: not left, 10)


async def test_it_is_published_once_and_for_everybody(world_readable: Path) -> None:
    first = bundle.publish(world_readable / "agent", AGENT, 3600)
    before = first.stat().st_ino
    assert bundle.publish(world_readable / "agent", AGENT, 3600) == first and first.stat().st_ino == before
    for folder, _folders, names in os.walk(first):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o755
        assert {stat.S_IMODE((Path(folder) / name).stat().st_mode) for name in names} <= {0o644}
    assert [path.name for path in (world_readable / "agent").iterdir()] == [first.name]
    # What is old goes, what is in force stays.
    old = world_readable / "agent/0123456789abcdef"
    old.mkdir()
    os.utime(old, (1, 1))
    bundle.publish(world_readable / "agent", AGENT, 3600)
    assert not old.exists() and first.exists()


async def test_a_folder_where_others_may_write_is_refused(world_readable: Path) -> None:
    (world_readable / "agent").mkdir()
    (world_readable / "agent").chmod(0o777)
    with pytest.raises(LaunchFailed) as refused:
        bundle.publish(world_readable / "agent", AGENT, 3600)
    assert refused.value.failure.code == "agent_folder_unsafe"


async def _running(session: str) -> set[str]:
    return {process.name for process in marked(session)}


async def _left(session: str, folder: Path) -> list[str]:
    return [process.name for process in marked(session)] + ([str(folder)] if folder.exists() else [])
