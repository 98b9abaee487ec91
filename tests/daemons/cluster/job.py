"""A session as a job: what the portal, Slurm and the machine say of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from madang.compute import processes
from madang.compute.processes import Process
from madang.compute.slurm import script
from tests.support.people import Client, Json
from tests.support.portal import PortalProcess, marked
from tests.support.rfb import Viewer
from tests.support.waiting import eventually


class Job:
    """One desktop of somebody's on the cluster."""

    def __init__(self, portal: PortalProcess, cluster: Any, client: Client, session: str) -> None:
        self.portal = portal
        self.cluster = cluster
        self.client = client
        self.id = session

    # As the portal says.

    @property
    def seen(self) -> Json:
        return self.client.session(self.id)

    def until(self, *states: str, seconds: float = 30) -> Json:
        return self.client.until(self.id, *states, seconds=seconds)

    def until_true(self, what: Callable[[Json], Any], seconds: float, otherwise: str) -> Json:
        return self.client.until_true(self.id, what, seconds, otherwise)

    def end(self) -> Json:
        return self.client.end(self.id)

    @property
    def stored(self) -> dict[str, Any]:
        return self.portal.stored(self.id)

    def works(self) -> bool:
        """Whether somebody who looks through the portal sees it and can type."""
        with Viewer(self.client, self.id) as viewer:
            return viewer.works()

    def viewer(self, seconds: float = 5) -> Viewer:
        """Somebody who looks, as soon as they get in."""
        last: list[BaseException] = []

        def connect() -> Viewer | None:
            try:
                return Viewer(self.client, self.id)
            except Exception as error:  # not yet, for whatever reason
                last[:] = [error]
                return None

        return eventually(connect, seconds, lambda: f"no way to the desktop: {last}")

    # As Slurm says.

    @property
    def numbers(self) -> list[str]:
        """Its jobs that are not over."""
        return str(self.cluster.run("squeue", "-h", "-n", script.job_name(self.id), "-o", "%i")).split()

    @property
    def shown(self) -> dict[str, str]:
        """`scontrol show job` of the job that its card names."""
        said = str(self.cluster.run("scontrol", "-o", "show", "job", self.seen["job"]))
        return dict(word.split("=", 1) for word in said.split() if "=" in word)

    @property
    def order(self) -> dict[str, Any]:
        """What its agent was told."""
        text = str(self.cluster.run("scontrol", "write", "batch_script", self.seen["job"], "-"))
        return dict(script.readable_order(text.encode()))

    # As the machine says.

    @property
    def folder(self) -> Path:
        """On its node; one that is not there while there is none."""
        nodes = Path(self.cluster.folder / "nodes")
        return next(nodes.glob(f"{script.job_name(self.id)}-*"), nodes / "none")

    def processes(self) -> list[Process]:
        return marked(self.id)

    def owners(self) -> set[int | None]:
        return {processes.owner(process.pid) for process in self.processes()}

    def pids(self) -> set[int]:
        return {process.pid for process in self.processes()}

    def leftovers(self) -> list[str]:
        found = [f"process {process.pid} {process.name}" for process in self.processes()]
        found += [f"job {number}" for number in self.numbers]
        number = self.stored.get("display")
        displays = [] if number is None else [Path(f"/tmp/.X{number}-lock"), Path(f"/tmp/.X11-unix/X{number}")]
        return found + [str(path) for path in (*displays, self.folder) if os.path.lexists(path)]

    def assert_nothing_left(self, seconds: float = 8) -> None:
        eventually(lambda: not self.leftovers(), seconds, lambda: f"left: {self.leftovers()}")


def epoch(text: str) -> float:
    """Of a time as the API gives it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def ago(text: str) -> float:
    """How many seconds a time of the API is in the past."""
    return time.time() - epoch(text)
