"""One real Slurm cluster for a run of tests, and launchers on it."""

from __future__ import annotations

import asyncio
import importlib
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from madang.compute.order import AgentOrder, Resources
from madang.compute.sight import Placement, Seen
from madang.compute.slurm import SlurmLauncher, SlurmSettings

ROOT = Path(__file__).resolve().parents[2]
Found = TypeVar("Found")


# scripts/ is no package: the demo runs what is in it before there is any environment.
sys.path.append(str(ROOT / "scripts"))
slurm_cluster = importlib.import_module("slurm_cluster")
# Accounts of the cluster's jobs, and one that Slurm does not know; several runs of the tests may go side by side.
PERSON, OTHER, STRANGER = (f"mdgsl{letter}{os.getpid()}" for letter in "abx")
# Short, so that what a cluster waits for comes soon.
QUICK = {"MinJobAge": "10", "SlurmdTimeout": "6", "SlurmctldTimeout": "6", "KillWait": "2", "MessageTimeout": "5"}


def make_cluster(name: str) -> Any:
    return slurm_cluster.Cluster(Path(tempfile.mkdtemp(prefix="mdgs-", dir="/tmp")), name=name, settings=QUICK)


def make_launcher(cluster: Any, folder: Path, *command: str, **settings: Any) -> SlurmLauncher:
    """command: what the jobs run, in place of the agent."""
    values = {
        "conf": str(cluster.conf),
        "command_seconds": 3.0,
        "submit_command_seconds": 8.0,  # sbatch itself gives up after MessageTimeout
        "submit_seconds": 3.0,
        "silent_seconds": 1.0,
        "retry_seconds": 0.2,
        "fresh_seconds": 0.2,
        "facts_seconds": 0.5,
    }
    if command:
        values["agent_command"] = command
    return SlurmLauncher(
        SlurmSettings(**(values | settings)),
        log_folder=folder / "logs",
        agent_folder=folder / "agent",
        agent_module="madang.desktops.agent",
    )


def make_order(launcher: SlurmLauncher, account: str, session: str = "", **resources: Any) -> AgentOrder:
    session = session or secrets.token_hex(6)
    return AgentOrder(
        session=session,
        account=account,
        folder=str(launcher.folder(session)),
        make_folder=True,
        portal="http://127.0.0.1:9",
        agent_secret="a-secret-of-the-agent",
        door_key="a-key-of-the-door",
        resources=Resources(**({"time_limit_seconds": 600, "cpus": 1} | resources)),
    )


async def until(look: Callable[[], Awaitable[Found]], good: Callable[[Found], Any], seconds: float = 15.0) -> Found:
    """What `look` gives once it is good. Raises AssertionError when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        found = await look()
        if good(found):
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {found}")
        await asyncio.sleep(0.1)


async def seen(
    launcher: SlurmLauncher,
    session: str,
    placement: Placement | None,
    good: Callable[[Seen], Any],
    seconds: float = 15.0,
) -> Seen:
    """What the launcher sees of a session, once it is good, by ticks as the portal has them."""

    async def look() -> Seen:
        await launcher.refresh()
        return await launcher.look(session, placement)

    return await until(look, good, seconds)
