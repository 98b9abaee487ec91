"""The hosts as the settings name them; without any, this machine's own libvirt."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from madang.kernel.ground import Ground
from madang.kernel.settings import Settings
from madang.machines.fleet import Fleet
from madang.machines.hosts.host import Host
from madang.machines.settings import MachinesSettings, pool_folder

SYSTEM_SOCKET = Path("/run/libvirt/libvirt-sock")
SYSTEM_URI, OWN_URI = "qemu:///system", "qemu:///session"
LOCAL_NAME = "this"
PROGRAMS = ("libvirtd", "qemu-img", "qemu-system-x86_64")


def fleet_of(ground: Ground) -> Fleet:
    settings = ground.settings[MachinesSettings]
    folder = pool_folder(ground.settings)
    hosts = {name: Host(name, uri, folder) for name, uri in named_hosts(ground.settings).items()}
    return Fleet(hosts, folder, settings.domain_type, settings.keep_free_bytes)


def named_hosts(settings: Settings) -> dict[str, str]:
    """Name and URI of each host."""
    chosen = (host.partition("=") for host in settings[MachinesSettings].hosts)
    return {name: uri for name, _, uri in chosen} or {LOCAL_NAME: local_uri()}


def local_uri() -> str:
    """Of this machine's libvirt: the system's where we may use it."""
    return SYSTEM_URI if os.access(SYSTEM_SOCKET, os.R_OK | os.W_OK) else OWN_URI


def programs_missing(settings: Settings) -> Sequence[str]:
    """The programs that a local host lacks."""
    if not any("://" in uri and uri.partition("://")[2].startswith("/") for uri in named_hosts(settings).values()):
        return ()
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    return [program for program in PROGRAMS if shutil.which(program, path=path) is None]
