"""Mending a desktop around its programs, which stay: the verb `repair`.

What was stopped goes on; what is gone or does not answer is started anew. XFCE's session manager brings its pieces back
by itself, until one has died too often: it is given a moment first.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable

from madang.compute import processes
from madang.compute.order import AgentOrder
from madang.compute.processes import Process
from madang.desktops.agent import pieces, xfce
from madang.desktops.agent.account import Account
from madang.desktops.agent.aside import AsideFailed, aside
from madang.desktops.agent.guest import Guest, Refusal
from madang.desktops.agent.log import log
from madang.desktops.agent.preflight import find

_ANSWER_SECONDS = 2.0
_ASK_SECONDS = 6.0
_RETURN_SECONDS = 2.0
_START_SECONDS = 4.0
_KILLED_SECONDS = 2.0
_LOOK_SECONDS = 0.1
_ORDER = ("display", *pieces.PIECES.values(), "programs")


class Repair:
    """One at a time: who asks meanwhile gets the same answer."""

    def __init__(self, order: AgentOrder, account: Account, display: Callable[[], int | None], output: int) -> None:
        """output: where started programs print."""
        self._order = order
        self._account = account
        self._display = display
        self._output = output
        self._going_on: asyncio.Task[list[str]] | None = None

    async def __call__(self, guest: Guest) -> None:
        if self._going_on is None or self._going_on.done():
            self._going_on = asyncio.create_task(self._repair())
        did = await asyncio.shield(self._going_on)
        await guest.say(did=did)

    async def _repair(self) -> list[str]:
        number = self._display()
        if number is None:
            raise Refusal("display_missing", "The desktop has not started yet.")
        did = set(await asyncio.to_thread(self._continue_stopped))
        silent = await self._silent(number)
        for program in silent:
            if await asyncio.to_thread(_kill, program):
                did.add(pieces.PIECES[program])
        gone = [program for program in pieces.PIECES if not await _runs(program)]
        if "xfwm4" in gone and "xfwm4" not in silent:
            gone.remove("xfwm4")  # its person has chosen another window manager, which answers
        did |= {pieces.PIECES[program] for program in gone}
        for program in gone:
            if not await _comes(program, _RETURN_SECONDS):
                self._start(program, number)
        lost = [pieces.PIECES[program] for program in gone if not await _comes(program, _START_SECONDS)]
        done = [word for word in _ORDER if word in did]
        log(f"repair: {', '.join(done) or 'nothing was amiss'}")
        if lost:
            detail = f"Not brought back: {', '.join(lost)}."
            raise Refusal("repair_failed", "Not everything could be repaired.", detail, "The log says more.")
        return done

    def _continue_stopped(self) -> list[str]:
        return [word for process, word in pieces.stopped(os.getpid()).items() if _continue(process)]

    async def _silent(self, number: int) -> list[str]:
        try:
            answer = await aside(lambda: json.dumps(pieces.silent(number, _ANSWER_SECONDS)).encode(), _ASK_SECONDS)
        except AsideFailed as error:
            detail = f"Nothing can be repaired while it does not: {error}."
            hint = "Its programs may go on; wait a moment, or save what you can and start a new desktop."
            raise Refusal("display_silent", "The display does not answer.", detail, hint) from error
        return [str(program) for program in json.loads(answer)]

    def _start(self, program: str, number: int) -> None:
        path = find(program)
        if path is None:
            return
        environment = xfce.environment(self._order, self._account) | {"DISPLAY": f":{number}"}
        log(f"repair: starting {program}")
        subprocess.Popen(
            [path],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            cwd=self._account.home,
            env=environment,
            start_new_session=True,
        )


def _continue(process: Process) -> bool:
    return processes.send(process, signal.SIGCONT)


def _kill(program: str) -> bool:
    """Blocks until it is gone."""
    process = pieces.running(program, os.getpid())
    return process is not None and processes.send(process, signal.SIGKILL) and pieces.ended(process, _KILLED_SECONDS)


async def _runs(program: str) -> bool:
    return await asyncio.to_thread(pieces.running, program, os.getpid()) is not None


async def _comes(program: str, seconds: float) -> bool:
    """Whether it runs now, or does within this time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not await _runs(program):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(_LOOK_SECONDS)
    return True
