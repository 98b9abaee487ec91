"""What the session's programs print, passed on to the log up to a limit.

They write into a pipe, never into the log itself, so that none of them can fill the portal's disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os

from madang.desktops.agent import log

_PIPE_BYTES = 256 * 1024


class Output:
    """The pipe: programs get `end`, the worker passes on what comes out."""

    def __init__(self, limit_bytes: int) -> None:
        self._out, self.end = os.pipe()
        self._left = limit_bytes
        # While the worker stands still (SIGSTOP), programs go on until the pipe is full.
        with contextlib.suppress(OSError):
            fcntl.fcntl(self.end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        os.set_blocking(self._out, False)

    def follow(self) -> None:
        """From now on the running loop passes on what is printed."""
        asyncio.get_running_loop().add_reader(self._out, self.drain)

    def drain(self) -> None:
        """Passes on what is in the pipe now."""
        for _ in range(16):
            try:
                data = os.read(self._out, 65536)
            except (BlockingIOError, InterruptedError):
                return
            if not data:
                return
            if self._left > 0:
                log.write(data[: self._left])
                self._left -= len(data)
                if self._left <= 0:
                    log.write(b"\n[the session's programs print more than is kept: the rest is left out]\n")
