"""Plain lines with the time, to standard error: the session's log file."""

from __future__ import annotations

import contextlib
import os
import time


def log(text: str) -> None:
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
    # A full disk under the log must not end a desktop.
    with contextlib.suppress(OSError):
        os.write(2, f"{stamp} {text}\n".encode("utf-8", "replace"))
