"""Plain lines with the time, to standard error: the session's log file.

On another host than the portal's it is a file in the session's own folder, of which the newest part is kept.
"""

from __future__ import annotations

import contextlib
import os
import time

_NAME = "session.log"
_limit_bytes = 0  # 0: a launcher keeps the file, and we only write to it


def log(text: str) -> None:
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
    write(f"{stamp} {text}\n".encode("utf-8", "replace"))


def write(data: bytes) -> None:
    # A full disk under the log must not end a desktop.
    with contextlib.suppress(OSError):
        os.write(2, data)
        if _limit_bytes and os.fstat(2).st_size > _limit_bytes:
            _shorten()


def keep_in(folder: str, limit_bytes: int) -> None:
    """From now on this process and those it forks log to a file of that folder. Raises OSError."""
    global _limit_bytes
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(os.path.join(folder, _NAME), flags, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    _limit_bytes = limit_bytes


def is_ours() -> bool:
    """Whether the log is a file that only this agent can read."""
    return _limit_bytes > 0


def tail(most_bytes: int) -> bytes:
    """The end of our own log, also when its file is removed already. Raises OSError."""
    size = os.fstat(2).st_size
    start = max(0, size - most_bytes)
    return os.pread(2, size - start, start)


def tail_text(most_bytes: int) -> str:
    """The same as text without what a terminal would obey, cut at a line; empty when there is none."""
    try:
        text = tail(most_bytes).decode("utf-8", "replace") if is_ours() else ""
    except OSError:
        return ""
    text = "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")
    return text if len(text) < most_bytes // 2 else text[text.find("\n") + 1 :]


def _shorten() -> None:
    newest = tail(_limit_bytes // 2)
    os.ftruncate(2, 0)
    os.write(2, b"[earlier lines are left out]\n" + newest[newest.find(b"\n") + 1 :])
