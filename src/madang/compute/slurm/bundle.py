"""The agent's code, copied to where the nodes of a cluster can read it.

A node needs Debian's Python and the desktop's packages, nothing of Madang: a job runs `<folder>/<hash>/agent.py`. The
hash is of what is in it, so a portal that was updated puts a new version beside the old one, from which waiting jobs
may still start. There is nothing secret in it, and everybody may read it.
"""

from __future__ import annotations

import compileall
import contextlib
import hashlib
import importlib.util
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata, resources
from pathlib import Path

from madang.compute.launcher import LaunchFailed
from madang.compute.order import Failure
from madang.compute.slurm.reasons import OTHER_PYTHON

# What the agent imports beside Python's own library; a test starts it from a bundle alone.
DISTRIBUTIONS = ("msgspec", "websockets", "python-xlib", "six", "cryptography", "cffi", "pillow")
# Rooms of the package that no agent loads, and that are large.
_LEFT_OUT = ("page", "migrations", "cli", "identity")
_CODE = "lib"
_UNREAD = (".pyc", ".pyi", ".pxd", ".h")

_FIRST_FILE = '''"""Runs the agent of a session from the folder beside this file."""

import os
import runpy
import sys

if sys.version_info[:2] != {version}:
    sys.stderr.write("agent: made for Python {version}, this is %s\\n" % sys.version)
    sys.exit({status})
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "{code}"))
runpy.run_module("{module}", run_name="__main__", alter_sys=True)
'''


def publish(folder: Path, module: str, keep_seconds: float) -> Path:
    """The folder of this portal's version, made if it is missing. Blocks (a second or so when it makes it).

    Several portals may do so at once. Raises LaunchFailed.
    """
    try:
        files = dict(_files())
        first = _FIRST_FILE.format(
            version=sys.version_info[:2], status=OTHER_PYTHON, code=_CODE, module=module
        ).encode()
        made = folder / _hash(files, first)
        _check(folder)
        if not (made / "agent.py").is_file():
            _make(folder, made, files, first)
        os.utime(made)
        _remove_old(folder, made, keep_seconds)
    except OSError as error:
        raise LaunchFailed(
            Failure(
                "agent_folder",
                "The agent's code cannot be put where the nodes read it.",
                f"{error.filename or folder}: {error.strerror}",
                "An operator has to make the folder of slurm.agent_folder writable for the portal.",
            )
        ) from error
    return made


def _files() -> Iterator[tuple[str, Path]]:
    """Name in the bundle and file, of everything the agent may import."""
    package = Path(str(resources.files("madang")))
    for path in package.rglob("*.py"):
        name = path.relative_to(package)
        if name.parts[0] not in _LEFT_OUT:
            yield f"madang/{name}", path
    for distribution in DISTRIBUTIONS:
        for file in metadata.files(distribution) or ():
            if file.parts[0] == ".." or file.suffix in _UNREAD or file.parts[0].endswith(".dist-info"):
                continue
            yield str(file), Path(str(file.locate()))


def _hash(files: dict[str, Path], first: bytes) -> str:
    seen = hashlib.sha256(first)
    for distribution in DISTRIBUTIONS:
        # Holds the digest of each of its files: nothing large has to be read.
        seen.update((metadata.distribution(distribution).read_text("RECORD") or "").encode())
    for name, path in sorted(files.items()):
        seen.update(name.encode() + b"\0")
        if name.startswith("madang/"):
            seen.update(path.read_bytes())
    return seen.hexdigest()[:16]


def _check(folder: Path) -> None:
    """Whoever can write there would run as everybody else."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise LaunchFailed(
            Failure(
                "agent_folder_unsafe",
                "The folder of the agent's code is not safe.",
                f"{folder} belongs to uid {found.st_uid} and has mode {stat.S_IMODE(found.st_mode):o}.",
                f"chown {os.geteuid()} {folder} && chmod 0755 {folder}",
            )
        )


def _make(folder: Path, made: Path, files: dict[str, Path], first: bytes) -> None:
    """Beside its place and then moved there at once: a job never sees half of it."""
    staging = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
    try:
        for name, path in files.items():
            target = staging / _CODE / name
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(path, target)
        (staging / "agent.py").write_bytes(first)
        # Nobody who runs it may write there: without this, every start would compile everything anew.
        compileall.compile_dir(staging / _CODE, quiet=2, stripdir=staging)
        for parent, _folders, names in os.walk(staging):
            os.chmod(parent, 0o755)
            for file_name in names:
                os.chmod(Path(parent) / file_name, 0o644)
        # Another portal may have been first: its folder is the same.
        with contextlib.suppress(FileExistsError, OSError):
            staging.rename(made)
        if not (made / "agent.py").is_file():
            raise FileNotFoundError(2, "was not made", str(made))
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _copy(path: Path, target: Path) -> None:
    """With its time, and what was compiled from it: that is by far the longest part of the work."""
    shutil.copy2(path, target)
    if path.suffix == ".py":
        with contextlib.suppress(OSError):
            compiled = Path(importlib.util.cache_from_source(str(path)))
            there = Path(importlib.util.cache_from_source(str(target)))
            there.parent.mkdir(exist_ok=True)
            shutil.copy2(compiled, there)


def _remove_old(folder: Path, current: Path, keep_seconds: float) -> None:
    before = time.time() - keep_seconds
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if path != current and path.is_dir() and path.lstat().st_mtime < before:
                shutil.rmtree(path, ignore_errors=True)
