"""A Slurm cluster on this machine, for a measurement."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.processes import Trouble

SCRIPTS = Path(__file__).parents[1] / "scripts"


@contextlib.contextmanager
def cluster(user: str) -> Iterator[Any]:
    """One on which `user` may run jobs; `nodes` in its folder is where agents make their folders."""
    if os.geteuid() != 0:
        raise Trouble("only root can run a Slurm cluster")
    # scripts/ is no package, and make slurm-demo runs this without any environment: it is found by its path.
    sys.path.append(str(SCRIPTS))
    module = importlib.import_module("slurm_cluster")
    if lacking := module.missing():
        raise Trouble(f"not installed: {', '.join(lacking)}: scripts/setup test brings them")
    made = module.Cluster(Path(tempfile.mkdtemp(prefix="mbs-", dir="/tmp")), name="bench")
    try:
        made.start([user])
        (made.folder / "nodes").mkdir()
        (made.folder / "nodes").chmod(0o1777)
        yield made
    finally:
        made.stop()


def settings_of(made: Any) -> dict[str, str]:
    """Of a site whose desktops are jobs of this cluster."""
    return {
        "VNC_LAUNCHER": "slurm",
        "SLURM_CONF": str(made.conf),
        "SLURM_AGENT_FOLDER": str(made.folder / "agent"),
        "SLURM_FOLDER": str(made.folder / "nodes"),
    }
