"""Unix accounts for the time of a test run."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from madang.compute import processes

AS_ROOT = os.geteuid() == 0


def make_account(name: str) -> str:
    remove_account(name)
    subprocess.run(["useradd", "-m", "-s", "/bin/bash", name], check=True, capture_output=True)
    return name


def remove_account(name: str) -> None:
    """With all that it runs: an account with processes stays otherwise."""
    try:
        uid = pwd.getpwnam(name).pw_uid
    except KeyError:
        return
    end_processes_of(uid)
    subprocess.run(["userdel", "-r", name], capture_output=True, check=False)


def end_processes_of(uid: int) -> None:
    processes.end(lambda: {p.pid: p for p in processes.everything() if processes.owner(p.pid) == uid}, 0.2)


def needs_readable_checkout(who: Mapping[str, Any]) -> None:
    """Skip what runs our Python as this user (as subprocess takes it) where the checkout lies in somebody's home."""
    if subprocess.run(["/usr/bin/test", "-x", sys.executable], **who, check=False).returncode:
        pytest.skip("other accounts cannot read this checkout: it lies in a home")


def as_account(name: str, *command: str, environment: Mapping[str, str] | None = None, **more: Any) -> Any:
    """Run a program as this account: of the machine's users, one like any other."""
    entry = pwd.getpwnam(name)
    settings: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 20, "check": False}
    return subprocess.run(
        command,
        user=entry.pw_uid,
        group=entry.pw_gid,
        extra_groups=[],
        cwd=entry.pw_dir,
        env={"PATH": "/usr/bin:/bin", "HOME": entry.pw_dir} | dict(environment or {}),
        **(settings | more),
    )
