"""make slurm-demo, and its end without a trace."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.accounts import AS_ROOT
from tests.support.portal import free_port
from tests.support.slurm import ROOT, slurm_cluster

DEMO = ROOT / "scripts" / "slurm-demo"
SECONDS = 120.0


def demo(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([DEMO, *words], capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.fixture
def folder() -> Iterator[Path]:
    if not AS_ROOT or slurm_cluster.missing():
        pytest.skip("needs root and the Debian packages of the group slurm")
    if _is_account("demo-admin"):
        pytest.skip("a demo runs on this machine")
    parent = Path(tempfile.mkdtemp(prefix="mdgd-", dir="/tmp"))
    parent.chmod(0o755)
    yield parent / "demo"
    demo("stop", "--folder", str(parent / "demo"))
    shutil.rmtree(parent)


def test_it_comes_and_goes(folder: Path) -> None:
    person, port = f"mdgdemo{os.getpid()}", free_port()
    done = demo("start", "--folder", str(folder), "--port", str(port), "--people", person)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"http://127.0.0.1:{port}/welcome#" in done.stdout and person in done.stdout
    assert httpx.get(f"http://127.0.0.1:{port}/ready", trust_env=False).status_code == 200
    again = demo("start", "--folder", str(folder))
    assert again.returncode == 1 and "There is a demo" in again.stderr and "What to do" in again.stderr

    environment = os.environ | {"MADANG_CONFIG": str(folder / "madang.toml"), "MADANG_PERSON": person}
    started = subprocess.run(
        [ROOT / ".venv/bin/madang", "desktops", "start"], env=environment, capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    assert "Ready" in started.stdout, started.stdout + started.stderr
    uid = pwd.getpwnam(person).pw_uid

    done = demo("stop", "--folder", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    assert not folder.exists() and not _is_account(person) and not _is_account("demo-admin")
    assert not Path(f"/home/{person}").exists()
    assert [pid for pid in filter(str.isdigit, os.listdir("/proc")) if _belongs(pid, uid, str(folder))] == []
    for shared in ("/tmp", "/tmp/.X11-unix", "/tmp/.ICE-unix", "/dev/shm", "/var/tmp"):
        if os.path.isdir(shared):
            assert [entry.path for entry in os.scandir(shared) if entry.stat(follow_symlinks=False).st_uid == uid] == []
    assert demo("stop", "--folder", str(folder)).returncode == 0


def _belongs(pid: str, uid: int, folder: str) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        return os.stat(f"/proc/{pid}").st_uid == uid or folder.encode() in words
    except OSError:
        return False


def _is_account(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
