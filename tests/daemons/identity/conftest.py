from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from identity_portal import Portal, running_portal


@pytest.fixture
async def portal(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Portal]:
    """With an administrator, `admin`. Further settings by indirect parameters."""
    async with running_portal(tmp_path, getattr(request, "param", None)) as running:
        await running.administrator()
        yield running
