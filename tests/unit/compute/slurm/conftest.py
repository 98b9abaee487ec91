"""What Slurm's programs really printed: 22.05.8 (Debian 12) and 24.11.5 (Debian 13), on the cluster of the tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

CAPTURED = Path(__file__).parent / "captured"
WORD = "5ca1ab1e5ca1ab1e"  # that these captures were made with


@pytest.fixture(params=sorted(folder.name for folder in CAPTURED.iterdir()))
def captured(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """captured(name): the text of that file, once for each version."""
    return lambda name: (CAPTURED / str(request.param) / f"{name}.txt").read_text()
