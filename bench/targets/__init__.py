"""X programs to look at while measuring; each is run on a display by a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bench import processes

FLIP_X, FLIP_Y, FLIP_WIDTH, FLIP_HEIGHT = 400, 300, 320, 240


def start(name: str, display: int, authority: Path) -> subprocess.Popen[bytes]:
    """Start a target; returns once it is on the screen."""
    environment = os.environ | {"DISPLAY": f":{display}", "XAUTHORITY": str(authority)}
    process = processes.start(
        [sys.executable, "-m", f"bench.targets.{name}"],
        environment=environment,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    if not process.stdout.readline():
        raise processes.Trouble(f"the target {name} did not start on :{display}")
    return process
