"""All files of a site: units, nginx site, and the settings that it begins with."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from madang.deploy import site, units
from madang.deploy.layout import Layout

# Where other layouts of the same site have files.
KNOWN = (f"{units.FOLDER}/madang.service", f"{units.FOLDER}/madang[@-]*.service", site.PATH)
LOOPBACK = frozenset({"127.0.0.1", "[::1]", "localhost"})

SETTINGS = """# Settings of Madang: `madang settings` prints those in force, docs/settings.md explains all.
# Everybody here can read this file: chmod 600 before you put a password in.
[http]
public_url = {public_url}
# Where this host's portal listens; only nginx has to reach it.
host = {host}
port = {port}
# The addresses from which nginx asks: what it says of people's addresses is believed.
trusted_proxies = {proxies}
"""


def files(layout: Layout) -> Mapping[str, str]:
    """Bodies by path below the root folder."""
    return {**units.render(layout), **site.render(layout)}


def starters(layout: Layout) -> Mapping[str, str]:
    """The settings file, for a host that has none."""
    first = layout.portals[0]
    # Of several hosts each has an address of its own; its operator writes it.
    text = SETTINGS.format(
        public_url=_quoted(layout.public_url),
        host=_quoted(first.host.strip("[]")),
        port=first.port,
        proxies='["127.0.0.1"]' if first.host in LOOPBACK else '["127.0.0.1"]  # and those of other hosts with nginx',
    )
    return {layout.settings_file.lstrip("/"): text}


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
