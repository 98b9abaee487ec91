"""What systemd is told of this process (https://www.freedesktop.org/software/systemd/man/sd_notify.html).

`systemctl start` returns once the portal answers, and a portal that hangs (its event loop no longer turns) is killed
and started again. Without systemd all of it does nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


def to_journal() -> bool:
    """Whether standard output goes to the journal; the variable alone is also inherited by terminals."""
    with contextlib.suppress(OSError):
        found = os.fstat(1)
        return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
    return False


class Manager:
    """systemd, if it started this process and wants to hear of it."""

    def __init__(self) -> None:
        # Taken out of the environment: it is ours, not of what we start.
        address, watched, _ = (os.environ.pop(name, "") for name in VARIABLES)
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._watches = bool(watched)

    def ready(self) -> None:
        self._say("READY=1")

    def alive(self) -> None:
        """To be said more often than the unit's WatchdogSec."""
        if self._watches:
            self._say("WATCHDOG=1")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    def _say(self, what: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one_way:
            one_way.setblocking(False)
            one_way.sendto(what.encode(), self._address)
