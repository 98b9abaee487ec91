"""A libvirt that a portal has started by itself, and everything that it leaves behind."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import psutil

from madang.machines.own_libvirt import runtime_folder

PROGRAMS = ("libvirtd", "virtlogd", "qemu-system")


def daemons(folder: Path) -> list[psutil.Process]:
    """The libvirtd that has to do with this folder."""
    return _of(folder, ("libvirtd",))


def remove(state: Path, *folders: Path) -> None:
    """End the one of a portal with this state folder, with its machines whose files are in these folders."""
    runtime = runtime_folder(state)
    if not runtime.exists():
        return
    for process in [process for folder in (runtime, *folders) for process in _of(folder)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
            process.wait(10)
    shutil.rmtree(runtime, ignore_errors=True)


def _of(folder: Path, programs: tuple[str, ...] = PROGRAMS) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.name().startswith(programs):
                said = [*process.environ().values(), *process.cmdline()]
                if any(str(folder) in word for word in said):
                    found.append(process)
    return found
