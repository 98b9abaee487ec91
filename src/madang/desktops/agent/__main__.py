"""Started by a launcher: `python -m madang.desktops.agent MADANG_SESSION=<id>`, the order on standard input."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from madang.compute import processes
from madang.desktops.agent import account, keeper, own_folder
from madang.desktops.agent.account import Account
from madang.desktops.agent.log import keep_in, log

# Of the agent's own lines, beside what the session's programs may print.
_OWN_LOG_BYTES = 256 * 1024


def main() -> int:
    began = _began()
    document = sys.stdin.buffer.read()
    try:
        # The keeper needs little of the order, and so does without msgspec: that alone saves it 5 MB.
        order = json.loads(document)
        session, folder = str(order["session"]), Path(order["folder"])
        grace_seconds = float(order.get("grace_seconds", 2.0))
        log_bytes = int(order.get("log_bytes", 1024 * 1024))
        makes_folder = bool(order.get("make_folder", False))
        person = account.look_up(order.get("account"))
    except (ValueError, LookupError, TypeError) as error:
        log(f"agent: cannot take this order: {error!r}")
        return 2
    os.umask(0o022)
    refused = _make_folder(folder, session, person, grace_seconds, log_bytes) if makes_folder else ""
    log(f"session {session} for {person.name}")

    def work(keeper_pid: int) -> int:
        from madang.desktops.agent import worker

        return worker.run(document, person, keeper_pid, began, refused)

    return keeper.keep(session, None if refused else folder, person, grace_seconds, work)


def _make_folder(folder: Path, session: str, person: Account, grace_seconds: float, log_bytes: int) -> str:
    """Makes the session's folder and has the log kept in it; says why when it cannot."""
    try:
        own_folder.make(str(folder), session, person, grace_seconds)
        keep_in(str(folder), log_bytes + _OWN_LOG_BYTES)
        own_folder.clear_remains(str(folder), session, person)
    except own_folder.FolderRefused as error:
        return str(error)
    except OSError as error:
        return f"{error.filename or folder}: {error.strerror}"
    return ""


def _began() -> float:
    """When this process was started (epoch): Python itself has taken a moment since."""
    process = processes.look(os.getpid())
    if process is None:
        return time.time()
    try:
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return time.time()
    return time.time() - max(0.0, uptime - process.started * processes.TICK)


if __name__ == "__main__":
    sys.exit(main())
