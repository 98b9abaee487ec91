"""How people reach the site, and what is doubtful about it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from madang.kernel.settings import HttpSettings


def advice(http: HttpSettings) -> Sequence[str]:
    """Sentences for the operator; none when all is well."""
    alone = _is_loopback(http.host)
    said = []
    if not alone and not http.public_url.startswith("https://"):
        said.append(
            f"{http.host}:{http.port} is reached from elsewhere without TLS: passwords and desktops can be read on the "
            "way. `madang deploy render / --public-url https://...` writes an nginx site."
        )
    if http.public_url.startswith("https://") and not alone and all(map(_is_loopback, http.trusted_proxies)):
        said.append(
            "http.trusted_proxies names no proxy of another host: behind one, everybody has the proxy's address, and "
            "wrong passwords of one lock out all."
        )
    return said


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
