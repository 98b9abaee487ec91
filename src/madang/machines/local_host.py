"""The hosts as the settings name them; without any, this machine's own libvirt.

That is the system's where we may use it, and else one of our own: a libvirtd for one account, which the portal starts
once somebody needs it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from madang.kernel.ground import Ground
from madang.kernel.settings import Settings, as_root
from madang.machines.fleet import Fleet
from madang.machines.hosts.daemon import MOST_RUNTIME_BYTES, Daemon
from madang.machines.hosts.host import Host
from madang.machines.settings import MachinesSettings, pool_folder

SYSTEM_SOCKET = Path("/run/libvirt/libvirt-sock")
SYSTEM_URI = "qemu:///system"
LOCAL_NAME = "this"
PROGRAMS = ("libvirtd", "qemu-img", "qemu-system-x86_64")
SEARCHED = "/usr/sbin:/usr/bin:/sbin:/bin"


def fleet_of(ground: Ground) -> Fleet:
    settings = ground.settings[MachinesSettings]
    named = dict(_split(host) for host in settings.hosts)
    daemon = None
    if not named and not _system_runs():
        daemon = Daemon(ground.state_folder / "libvirt", _runtime(ground.state_folder), settings.account or None)
        named = {LOCAL_NAME: daemon.uri}
    folder = pool_folder(ground.settings)
    hosts = {
        name: Host(name, uri, folder, account=settings.account or None if _is_session(uri) else None)
        for name, uri in (named or {LOCAL_NAME: SYSTEM_URI}).items()
    }
    return Fleet(hosts, folder, settings.domain_type, settings.keep_free_bytes, daemon)


def _split(host: str) -> tuple[str, str]:
    name, _, uri = host.partition("=")
    return name, uri


def _system_runs() -> bool:
    return os.access(SYSTEM_SOCKET, os.R_OK | os.W_OK)


def _is_session(uri: str) -> bool:
    return "/session" in uri


def _runtime(state_folder: Path) -> Path:
    """A short folder for sockets, another one for each site on this machine."""
    name = "m" + hashlib.sha256(os.fsencode(state_folder)).hexdigest()[:6]
    own = Path("/run") if as_root() else Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp"))
    chosen = own / name
    return chosen if len(os.fsencode(chosen)) <= MOST_RUNTIME_BYTES and own.is_dir() else Path("/tmp") / name


def programs_missing(settings: Settings) -> Sequence[str]:
    """The programs that this machine lacks, where it is a host."""
    hosts = settings[MachinesSettings].hosts
    if hosts and not any("://" in host and host.partition("://")[2].startswith("/") for host in hosts):
        return ()
    return [program for program in PROGRAMS if shutil.which(program, path=SEARCHED) is None]
