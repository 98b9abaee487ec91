"""What the launcher remembers of its jobs goes with them."""

from __future__ import annotations

import time
from pathlib import Path

from madang.compute.slurm.launcher import SlurmLauncher
from madang.compute.slurm.parse import Job
from madang.compute.slurm.settings import SlurmSettings
from madang.compute.slurm.snapshot import Snapshot


def job(number: str) -> Job:
    return Job(number, "RUNNING", "None", 1000, "viz", "normal", 1, 1.0, 2.0, 3.0, "n1", "madang-s")


async def test_jobs_that_the_controller_has_forgotten_are_forgotten(tmp_path: Path) -> None:
    launcher = SlurmLauncher(SlurmSettings(), log_folder=tmp_path, agent_folder=tmp_path, agent_module="m")
    now = time.monotonic()
    launcher._submitted = {
        "there": ("1", 1000, now),
        "gone": ("2", 1000, now),
        "unsure": (None, 1000, now),
        "newer": ("3", 1000, now + 10),
    }
    launcher._cancelled = {"1", "2"}
    launcher._forget(Snapshot([job("1")], now + 5))
    assert launcher._submitted.keys() == {"there", "unsure", "newer"}
    assert launcher._cancelled == {"1"}
