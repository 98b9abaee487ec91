"""The short-lived process that checks and starts a session's programs, as the account.

It runs beside the worker's slow imports, starts everything with nothing but the standard library, tells the worker
through a pipe (one JSON document a line), and exits; its children become the worker's.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from madang.compute.order import AgentOrder, Failure
from madang.desktops.agent import display, failures, preflight, xfce
from madang.desktops.agent.account import Account, become
from madang.desktops.agent.failures import SessionFailed

# Held until this process is gone: a Popen object that is dropped takes the exit status that the worker waits for.
_started: list[subprocess.Popen[bytes]] = []


class Word(msgspec.Struct, omit_defaults=True):
    """What the starter says: a process it started (and when), or why it could not."""

    what: Literal["display", "display_ready", "bus", "desktop", "failed"]
    at: float
    pid: int = 0
    number: int = 0
    failure: Failure | None = None


def run(order: AgentOrder, account: Account, output: int, words: int, deadline: float) -> None:
    """Starts everything; output is where the programs print, words the pipe to the worker. Raises nothing."""

    def say(word: Word) -> None:
        os.write(words, msgspec.json.encode(word) + b"\n")

    try:
        become(account)
        os.umask(0o077)
        preflight.check(order, account)
        os.umask(0o022)
        _start(order, account, output, deadline, say)
    except SessionFailed as error:
        say(Word("failed", time.time(), failure=error.failure))
    except OSError as error:
        say(Word("failed", time.time(), failure=failures.of_error(order.folder, error)))
    except Exception as error:
        say(Word("failed", time.time(), failure=failures.agent_error(repr(error))))


def _start(order: AgentOrder, account: Account, output: int, deadline: float, say: Callable[[Word], None]) -> None:
    folder = Path(order.folder)
    xfce.write_settings(folder)
    environment = xfce.environment(order, account)
    say(Word("display", time.time()))
    server = display.start(order, environment, output, deadline)
    say(Word("display_ready", time.time(), server.process.pid, server.number))
    _started.append(server.process)
    environment["DISPLAY"] = f":{server.number}"
    bus = xfce.start_bus(environment, account.home, output, deadline)
    _started.append(bus)
    say(Word("bus", time.time(), bus.pid))
    session = xfce.start_session(environment, account.home, output)
    _started.append(session)
    say(Word("desktop", time.time(), session.pid))
