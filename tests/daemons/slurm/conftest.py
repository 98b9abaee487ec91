"""A real Slurm cluster of two nodes, one for all these tests, with two accounts of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.accounts import AS_ROOT, make_account, remove_account
from tests.support.slurm import OTHER, PERSON, STRANGER, make_cluster, slurm_cluster

ACCOUNTS = (PERSON, OTHER)


@pytest.fixture(scope="session")
def slurm() -> Iterator[Any]:
    if not AS_ROOT:
        pytest.skip("only root can run a Slurm cluster")
    if lacking := slurm_cluster.missing():
        pytest.skip(f"not installed: {', '.join(lacking)}")
    for name in (*ACCOUNTS, STRANGER):
        make_account(name)
    cluster = make_cluster("mdgtests")
    try:
        cluster.start(ACCOUNTS)
        yield cluster
    finally:
        cluster.stop()
        for name in (*ACCOUNTS, STRANGER):
            remove_account(name)


@pytest.fixture
def cluster(slurm: Any) -> Iterator[Any]:
    """Everything runs and answers at the beginning; no job is left at the end."""
    slurm.mend()
    yield slurm
    slurm.mend()
    slurm.end_jobs()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path
