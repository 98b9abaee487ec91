"""Started by a launcher: `python -m madang.desktops.agent MADANG_SESSION=<id>`, the order on standard input."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from madang.compute import processes
from madang.desktops.agent import account, keeper
from madang.desktops.agent.log import log


def main() -> int:
    began = _began()
    document = sys.stdin.buffer.read()
    try:
        # The keeper needs little of the order, and so does without msgspec: that alone saves it 5 MB.
        order = json.loads(document)
        session, folder = str(order["session"]), Path(order["folder"])
        grace_seconds = float(order.get("grace_seconds", 2.0))
        person = account.look_up(order["account"])
    except (ValueError, LookupError, TypeError) as error:
        log(f"agent: cannot take this order: {error!r}")
        return 2
    os.umask(0o022)
    log(f"session {session} for {person.name}")

    def work(keeper_pid: int) -> int:
        from madang.desktops.agent import worker

        return worker.run(document, person, keeper_pid, began)

    return keeper.keep(session, folder, person, grace_seconds, work)


def _began() -> float:
    """When this process was started (epoch): Python itself has taken a moment since."""
    process = processes.look(os.getpid())
    if process is None:
        return time.time()
    return time.time() - max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - process.started * processes.TICK)


if __name__ == "__main__":
    sys.exit(main())
