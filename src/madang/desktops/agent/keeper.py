"""The first process: it starts the worker, waits, and cleans up whatever ended the worker.

As root it stays root, with the little code there is here, and for two reasons: the account cannot end it, and the
session's folder lies in a folder in which only root may remove it. It loads next to nothing: it is there for as long as
the session is.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from madang.compute import processes, remains
from madang.desktops.agent import prctl
from madang.desktops.agent.account import Account
from madang.desktops.agent.log import log
from madang.desktops.agent.own_folder import ancestors

KILLED = 70


def keep(session: str, folder: Path | None, account: Account, grace_seconds: float, work: Callable[[int], int]) -> int:
    """Forks; runs work(pid of the keeper) in the child. Returns, in the parent, the agent's exit status.

    folder is removed in the end; None: the session has none.
    """
    keeper = os.getpid()
    prctl.adopt_orphans()
    prctl.hide_memory()
    signals = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    worker = os.fork()
    if worker == 0:
        _work(keeper, work)

    def forward(number: int, _frame: object) -> None:
        # Asking the keeper to end is asking the worker: it does so cleanly, and tells the portal.
        os.kill(worker, signal.SIGTERM)

    for number in signals:
        signal.signal(number, forward)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    status = _wait_for(worker)
    for number in signals:
        signal.signal(number, lambda *_: None)
    if status not in (0, 1):
        log(f"the agent's worker ended with {status}: ending the session")
    reap = processes.reap
    spared = ancestors(keeper)
    ended = remains.end_processes(session, account.uid, grace_seconds, root=keeper, spare=spared, after_round=reap)
    remains.clear_display_files(account.uid, ended)
    if folder is not None:
        remains.remove_folder(folder)
    return status if status in (0, 1) else KILLED


def _work(keeper: int, work: Callable[[int], int]) -> None:
    status = KILLED
    try:
        # The signals stay blocked until the worker's loop can answer them: not even an early one is a rough end.
        status = work(keeper)
    except BaseException:
        import traceback

        log(f"agent: {traceback.format_exc()}")
    finally:
        os._exit(status)


def _wait_for(worker: int) -> int:
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == worker:
            return os.waitstatus_to_exitcode(status)
