"""What is on disks that nobody runs, and whether two of them are the same."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.daemons.machines.portal.house import Json, MachineClient

MB = 1_000_000


def write(path: str, size: int = MB) -> None:
    """Data that cannot be packed."""
    source = Path(f"{path}.random")
    source.write_bytes(os.urandom(size))
    subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", f"write -s {source} 0 {size}", path], check=True, capture_output=True
    )
    source.unlink()


def same(first: str | Path, second: str | Path) -> bool:
    command = ["qemu-img", "compare", "-U", "-f", "qcow2", "-F", "qcow2", str(first), str(second)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def disks_of(kim: MachineClient, machine: str) -> dict[str, str]:
    """The files of its disks: the one that it boots from ("boot"), and the further ones by their names."""
    further = {disk["name"]: disk["path"] for disk in kim.get(f"/api/vms/{machine}/disks").json()}
    return {"boot": kim.machine(machine)["disk_path"], **further}


def backups_of(kim: MachineClient, machine: str, *, safety: bool = False) -> list[Json]:
    return [one for one in kim.get(f"/api/vms/{machine}/backups").json() if one["safety"] == safety]


def settled(kim: MachineClient, machine: str) -> Json:
    return kim.wait(machine, lambda one: not one["operation"])


def last(kim: MachineClient, machine: str, kind: str) -> Json:
    """The last operation of this kind."""
    return next(dict(one) for one in kim.get(f"/api/vms/{machine}/operations").json() if one["kind"] == kind)
