"""What is read of this host before anything is rendered."""

from __future__ import annotations

import re
from pathlib import Path

from madang.kernel import commands
from madang.kernel.errors import CommandFailed

VERSION = re.compile(r"nginx/(\d+)\.(\d+)\.(\d+)")


async def nginx_version() -> tuple[int, ...]:
    """As in (1, 22, 1); empty when there is no nginx here."""
    try:
        # Daemons are not in an ordinary user's PATH.
        done = await commands.run(["nginx", "-v"], environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    except CommandFailed:
        return ()
    found = VERSION.search(done.stderr)
    return tuple(int(part) for part in found.groups()) if found else ()


def has_ipv6() -> bool:
    """Whether this host has an address of it at all; nginx does not start on [::] otherwise."""
    return Path("/proc/net/if_inet6").exists()
