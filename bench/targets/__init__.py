"""X programs to look at while measuring; each is run on a display by a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bench import processes

FLIP_X, FLIP_Y, FLIP_WIDTH, FLIP_HEIGHT = 400, 300, 320, 240


def start(name: str, display: int, authority: Path) -> subprocess.Popen[bytes]:
    """Start a program on a display; returns once it is on the screen."""
    return _run(name, [], os.environ | {"DISPLAY": f":{display}", "XAUTHORITY": str(authority)})


def start_bulk(path: Path, user: str) -> subprocess.Popen[bytes]:
    """Start a source of bytes without end behind a Unix socket of that account."""
    return _run("bulk", [str(path), user], dict(os.environ))


def _run(name: str, arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    process = processes.start(
        [sys.executable, "-m", f"bench.targets.{name}", *arguments],
        environment=environment,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    if not process.stdout.readline():
        raise processes.Trouble(f"the target {name} did not start")
    return process
