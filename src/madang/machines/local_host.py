"""The hosts as the settings name them; without any, this machine's own libvirt.

That is the system's where we may use it, and else one of our own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from madang.kernel.ground import Ground
from madang.kernel.settings import Settings
from madang.machines.fleet import Fleet
from madang.machines.hosts import address
from madang.machines.hosts.host import Host
from madang.machines.own_libvirt import OwnLibvirt
from madang.machines.settings import MachinesSettings, pool_folder

SYSTEM_SOCKET = Path("/run/libvirt/libvirt-sock")
SYSTEM_URI = "qemu:///system"
LOCAL_NAME = "this"
PROGRAMS = ("libvirtd", "qemu-img", "qemu-system-x86_64")
SEARCHED = "/usr/sbin:/usr/bin:/sbin:/bin"


def fleet_of(ground: Ground) -> Fleet:
    settings, folder = ground.settings[MachinesSettings], pool_folder(ground.settings)
    account, own = settings.account or None, None
    named = dict(_split(host) for host in settings.hosts)
    if not named and _system_runs():
        named = {LOCAL_NAME: SYSTEM_URI}
    elif not named:
        own = OwnLibvirt(folder, ground.state_folder, account)
        account, named = own.account, {LOCAL_NAME: own.uri}
    hosts = {
        name: Host(name, uri, folder, account=account if _is_session(uri) else None) for name, uri in named.items()
    }
    return Fleet(hosts, folder, settings.domain_type, settings.keep_free_bytes, own)


def _split(host: str) -> tuple[str, str]:
    name, _, uri = host.partition("=")
    return name, uri


def _system_runs() -> bool:
    return os.access(SYSTEM_SOCKET, os.R_OK | os.W_OK)


def _is_session(uri: str) -> bool:
    return "/session" in uri


def programs_missing(settings: Settings) -> Sequence[str]:
    """The programs that this machine lacks: as a host, and for hosts on the network, whose disks are made here."""
    addresses = [address.parse(_split(host)[1]) for host in settings[MachinesSettings].hosts]
    is_host = not addresses or any(each.local for each in addresses)
    wanted = [*(PROGRAMS if is_host else ("qemu-img",)), *(("ssh",) if any(each.ssh for each in addresses) else ())]
    return [program for program in wanted if shutil.which(program, path=SEARCHED) is None]
