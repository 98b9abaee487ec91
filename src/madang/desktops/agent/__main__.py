"""Started by a launcher: `python -m madang.desktops.agent MADANG_SESSION=<id>`, the order on standard input."""

from __future__ import annotations

import os
import sys
import time

import msgspec

from madang.compute import processes
from madang.compute.order import AgentOrder
from madang.desktops.agent import account, keeper, worker
from madang.desktops.agent.log import log


def main() -> int:
    began = _began()
    try:
        order = msgspec.json.decode(sys.stdin.buffer.read(), type=AgentOrder)
    except msgspec.MsgspecError as error:
        log(f"agent: not an order: {error}")
        return 2
    os.umask(0o022)
    try:
        person = account.look_up(order.account)
    except KeyError:
        log(f"agent: there is no account {order.account}")
        return 2
    log(f"session {order.session} for {person.name}, {order.width}x{order.height}")
    return keeper.keep(order, person, lambda pid: worker.run(order, person, pid, began))


def _began() -> float:
    """When this process was started (epoch): Python itself has taken a moment since."""
    process = processes.look(os.getpid())
    if process is None:
        return time.time()
    return time.time() - max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - process.started * processes.TICK)


if __name__ == "__main__":
    sys.exit(main())
