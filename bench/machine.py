"""The machine that is measured on, as far as figures depend on it. No names of it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import msgspec


class Machine(msgspec.Struct):
    """What figures depend on."""

    cores: int
    processor: str
    memory_gigabytes: float
    system: str
    python: str
    versions: dict[str, str]


def describe() -> Machine:
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    processor = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    system = re.search(r'PRETTY_NAME="?([^"\n]+)', Path("/etc/os-release").read_text())
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        processor=processor[1].strip() if processor else platform.machine(),
        memory_gigabytes=round(int(memory[1]) / 1e6, 1) if memory else 0.0,
        system=system[1] if system else platform.system(),
        python=platform.python_version(),
        versions={
            "libvirt": _version(["virsh", "--version"], r"([\d.]+)"),
            "QEMU": _version(["qemu-system-x86_64", "--version"], r"version ([\d.]+)"),
            "Xvnc": _version(["Xvnc", "-version"], r"Xvnc TigerVNC ([\d.]+)"),
            "Chromium": _version(["chromium", "--version"], r"Chromium ([\d.]+)"),
            "websockify": _version([sys.executable, "-m", "pip", "show", "websockify"], r"Version: ([\d.]+)"),
            "noVNC": _novnc(),
        },
    )


def load() -> float:
    """The load of the last minute: how much else went on."""
    return os.getloadavg()[0]


def _version(command: list[str], pattern: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return "none"
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "unknown"


def _novnc() -> str:
    file = Path(__file__).parent.parent / "web/node_modules/@novnc/novnc/package.json"
    return str(msgspec.json.decode(file.read_bytes())["version"]) if file.is_file() else "none"
