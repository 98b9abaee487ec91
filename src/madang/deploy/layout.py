"""What the files of a site are rendered from: its portals, its address, where things are. Values only.

Every value ends up in a unit or an nginx site, so it is checked to be one word that cannot become something else there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from madang.kernel.errors import InvalidInput

WORD = re.compile(r"[A-Za-z0-9_./:@+~-]+")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\]")
PUBLIC_URL = re.compile(rf"https://({HOST.pattern})(:[0-9]{{1,5}})?")
ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
# A portal pings its WebSockets: whoever hears nothing for so many pings hears nothing any more.
SILENT_PINGS = 3
SHORTEST_SILENCE_SECONDS = 60


class Address(msgspec.Struct, frozen=True, order=True):
    """Where a portal listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class ServiceProcess(msgspec.Struct, frozen=True):
    """One service of a site, as far as its files need to know it."""

    name: str
    summary: str
    routes: Sequence[str]
    starts_desktops: bool


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """One site. Raises InvalidInput for what cannot be rendered."""

    portals: Sequence[Address]
    public_url: str
    services: Sequence[ServiceProcess]
    separate: bool = False  # a process for each service, on the ports from the portal's on
    user: str = "root"
    program: str = "/usr/bin/madang"
    settings_file: str = "/etc/madang/madang.toml"
    state_folder: str = "/var/lib/madang"
    stop_seconds: float = 1.0
    ping_seconds: float = 20.0
    largest_body_bytes: int = 1_000_000
    largest_upload_bytes: int = 0  # 0: nginx sets no limit, the portal does
    certificate: str = "/etc/madang/tls/certificate.pem"
    certificate_key: str = "/etc/madang/tls/key.pem"
    listen: str = ""  # nginx's own address; empty: all
    https_port: int = 443
    http_port: int = 80  # 0: nobody is sent on to https
    ipv6: bool = True
    nginx: tuple[int, ...] = ()  # its version, as far as it is known

    def __post_init__(self) -> None:
        if not PUBLIC_URL.fullmatch(self.public_url):
            raise InvalidInput(
                f"{self.public_url or 'Nothing'} is no address for browsers behind TLS.",
                hint="Give --public-url (or set http.public_url) as in https://madang.example.org.",
            )
        if not self.portals or len(set(self.portals)) < len(self.portals):
            raise InvalidInput("Each portal needs an address of its own.", hint="As in --portals 10.0.0.1:8080.")
        words = (self.program, self.settings_file, self.state_folder, self.certificate, self.certificate_key)
        for word in words:
            if not WORD.fullmatch(word) or not word.startswith("/"):
                raise InvalidInput(f"{word!r} cannot stand in a unit or an nginx site.", hint="Give a whole path.")
        if not ACCOUNT.fullmatch(self.user):
            raise InvalidInput(f"{self.user!r} is no name of a Unix account.")
        if self.listen and not HOST.fullmatch(self.listen):
            raise InvalidInput(f"{self.listen!r} is no address to listen on.")
        if self.separate and (self.several_on_a_host or len({portal.port for portal in self.portals}) > 1):
            raise InvalidInput(
                "With a process for each service, a host has one of each, on the same ports everywhere.",
                hint="Leave out --separate, or name one portal a host, all on the same port.",
            )

    @property
    def server_name(self) -> str:
        """The host of the public URL."""
        host = urlsplit(self.public_url).netloc
        return host if host.endswith("]") else host.rsplit(":", 1)[0]

    @property
    def authority(self) -> str:
        """Host and, where it is not https's own, port: what browsers send as Host."""
        return urlsplit(self.public_url).netloc

    @property
    def several_on_a_host(self) -> bool:
        return len({address.host for address in self.portals}) < len(self.portals)

    @property
    def silent_seconds(self) -> int:
        """A connection on which nothing came for so long is dead."""
        return max(SHORTEST_SILENCE_SECONDS, round(SILENT_PINGS * self.ping_seconds))

    def processes(self) -> Mapping[str, Sequence[Address]]:
        """Addresses of the processes, by service; the name "" when each serves everything."""
        if not self.separate:
            return {"": self.portals}
        return {
            service.name: [Address(portal.host, portal.port + number) for portal in self.portals]
            for number, service in enumerate(self.services)
        }


def address(text: str) -> Address:
    """As somebody writes it: host:port, [address]:port. Raises InvalidInput."""
    host, _, port = text.strip().rpartition(":")
    if not HOST.fullmatch(host) or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise InvalidInput(f"{text!r} is no address of a portal.", hint="Write host:port, as in 10.0.0.1:8080.")
    return Address(host, int(port))
