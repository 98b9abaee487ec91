"""Where a host is, by its libvirt URI (https://libvirt.org/uri.html). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec


class Ssh(msgspec.Struct, frozen=True):
    """How a host is reached over ssh, in libvirt's own words."""

    host: str
    port: int | None = None
    user: str | None = None
    keyfile: str | None = None
    verify: bool = True  # its host key
    command: str = "ssh"

    def arguments(self, *options: str) -> Sequence[str]:
        """ssh as libvirt calls it (src/rpc/virnetsocket.c), and never one that asks: nobody would answer."""
        said = [self.command, "-T", "-e", "none", "-o", "BatchMode=yes"]
        said += ["-p", str(self.port)] if self.port is not None else []
        said += ["-l", self.user] if self.user is not None else []
        said += ["-i", self.keyfile] if self.keyfile is not None else []
        said += [] if self.verify else ["-o", "StrictHostKeyChecking=no"]
        return [*said, *options, "--", self.host]


class Address(msgspec.Struct, frozen=True):
    local: bool  # it is this machine: it can hand over sockets
    system: bool  # its libvirt is the whole machine's, and runs machines as an account of its own
    shown: str  # without what only the portal needs to know
    ssh: Ssh | None = None


def parse(uri: str) -> Address:
    parts = urlsplit(uri)
    local = not parts.hostname
    where = parts.hostname or ""
    if parts.username:
        where = f"{parts.username}@{where}"
    port = _port(parts.netloc)
    if port is not None:
        where = f"{where}:{port}"
    ssh = None
    if not local and parts.scheme.partition("+")[2] == "ssh":
        given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        ssh = Ssh(
            host=_host(parts.netloc),
            port=port,
            user=unquote(parts.username) if parts.username else None,
            keyfile=given.get("keyfile"),
            verify=given.get("no_verify", "0") == "0",
            command=given.get("command", "ssh"),
        )
    return Address(local, parts.path.endswith("/system"), f"{parts.scheme}://{where}{parts.path}", ssh)


def _host(place: str) -> str:
    """As it is written: a name of ssh's configuration may have capitals. IPv6 without its brackets."""
    name = place.rpartition("@")[2]
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0]


def _port(place: str) -> int | None:
    _name, colon, said = place.rpartition("@")[2].rpartition("]")[2].rpartition(":")
    return int(said) if colon and said.isdigit() else None
