"""The worker, before its loop runs: start the starter, load what is slow to load, become the account.

As root everything is imported before root is given up: the portal's installation may not be readable for the account.
"""

from __future__ import annotations

import os
import signal
import time

import msgspec

from madang.compute.order import AgentOrder
from madang.desktops.agent import aside, failures, prctl, starter
from madang.desktops.agent.account import Account, become
from madang.desktops.agent.output import Output


def run(document: bytes, account: Account, keeper: int, began: float, refused: str = "") -> int:
    """Runs a session from its start to its end; returns the exit status.

    document is the order as it came in; began says when the agent did (epoch); refused why there is no folder for the
    session, which then can only be told to the portal.
    """
    order = msgspec.json.decode(document, type=AgentOrder)
    prctl.adopt_orphans()
    deadline = time.monotonic() + order.start_seconds
    output = Output(order.log_bytes)
    words, words_end = os.pipe()
    if not refused and os.fork() == 0:
        _be_starter(order, account, output, words_end, deadline)
    os.close(words_end)

    from madang.desktops.agent import life

    aside.hold_places()
    become(account)
    prctl.hide_memory()
    prctl.end_with_parent(keeper)
    failure = failures.folder_refused(refused) if refused else None
    return life.run(order, account, output, words, keeper, began, failure)


def _be_starter(order: AgentOrder, account: Account, output: Output, words: int, deadline: float) -> None:
    status = 1
    try:
        # What the starter starts inherits its mask.
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        starter.run(order, account, output.end, words, deadline)
        status = 0
    finally:
        os._exit(status)
