"""The life of a session, from the starter's first word to the last report."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
import traceback
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec

from madang.compute import processes, remains
from madang.compute.order import AgentDoor, AgentOrder, Failure, Instruction, Pulse, Report, Stage
from madang.desktops.agent import failures, own_folder, rfb
from madang.desktops.agent.account import Account
from madang.desktops.agent.aside import AsideFailed
from madang.desktops.agent.clock import Clock
from madang.desktops.agent.door import Door, NoFreePort
from madang.desktops.agent.guest import Guest, Refusal
from madang.desktops.agent.link import Link
from madang.desktops.agent.log import log, tail_text
from madang.desktops.agent.output import Output
from madang.desktops.agent.pulse import Meter
from madang.desktops.agent.screen import TROUBLE, Screen
from madang.desktops.agent.starter import Word
from madang.desktops.agent.verbs import Verbs

# Between the first exit of a piece of the desktop and the judgement why: the true reason may come second.
_JUDGE_SECONDS = 0.3
_PIECES = ("display_ready", "desktop", "bus")
_UNKNOWN_STATUS = 255
# A scheduler asks its jobs to end a little before their time is over.
_NEAR_END_SECONDS = 15.0
# Of the log, with the last report: a report has to stay below 64 KB, however its bytes have to be written.
_TAIL_BYTES = 16_384


def run(
    order: AgentOrder,
    account: Account,
    output: Output,
    words: int,
    keeper: int,
    began: float,
    failure: Failure | None = None,
) -> int:
    """Returns the exit status: 0 ended as asked, 1 failed. With a failure all there is to do is to report it."""
    os.environ["XAUTHORITY"] = str(Path(order.folder) / "Xauthority")
    life = Life(order, account, output, words, keeper, began)
    status = asyncio.run(life.run(failure))
    # A thread may still wait for a display that is stopped: exit without waiting for it.
    os._exit(status)


class Life:
    def __init__(
        self, order: AgentOrder, account: Account, output: Output, words: int, keeper: int, began: float
    ) -> None:
        self._order = order
        self._account = account
        self._output = output
        self._words = words
        self._unread = b""
        self._keeper = keeper
        self._deadline = began + order.start_seconds
        self._ends_at = order.ends_at
        self._folder = Path(order.folder)
        self._report = Report(
            pid=keeper,
            pid_started=_started(keeper),
            node=socket.gethostname(),
            stages=[Stage("agent", began)],
            job=os.environ.get("SLURM_JOB_ID", ""),
            restarts=_number(os.environ.get("SLURM_RESTART_COUNT", "")),
        )
        self._clock = Clock()
        self._link = Link(order, self._clock, self._obey)
        self._verbs = Verbs(order, account, self._clock, output.end)
        self._door = Door(
            self._folder,
            order.session,
            order.door_key,
            self._clock.now,
            {**self._verbs.all, "instruct": self._be_instructed},
        )
        self._door_ready: asyncio.Task[None] | None = None
        self._meter = Meter(os.getpid())
        self._screen: Screen | None = None
        self._pids: dict[str, int] = {}
        self._exits: dict[int, int] = {}
        self._judging = False
        self._over = asyncio.Event()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, failure: Failure | None = None) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked_by_signal)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        self._output.follow()
        os.set_blocking(self._words, False)
        loop.add_reader(self._words, self._listen)
        self._reap()
        link = self._keep(self._link.run())
        heart = self._keep(self._beat())
        self._tell()
        if failure is not None:
            self._fail(failure)
        elif self._order.door_ports is not None:
            self._door_ready = self._keep(self._open_door(self._order.door_ports))
        await self._over.wait()
        heart.cancel()
        await self._end(cleans=failure is None)
        await self._say_goodbye(link)
        return 1 if self._report.state == "failed" else 0

    # What makes a session end. The first reason stands.

    def _stop(self, reason: str, failure: Failure | None = None) -> None:
        if self._over.is_set():
            return
        if failure is not None:
            log(f"failed: {failure.code}: {failure.title} {failure.detail}")
        log(f"ending: {reason}")
        self._report.state = "ending"
        self._report.end_reason = reason
        self._report.failure = failure
        self._over.set()
        self._next_stage(None, time.time())

    def _fail(self, failure: Failure) -> None:
        self._stop("failed", failure)

    def _asked_by_signal(self) -> None:
        # The kernel sends one too when the keeper is gone: somebody killed it.
        if os.getppid() != self._keeper:
            self._fail(failures.agent_lost())
        elif self._ends_at is not None and self._clock.now() >= self._ends_at - _NEAR_END_SECONDS:
            self._stop("time_limit")
        else:
            self._stop("terminated")

    def _obey(self, instruction: Instruction) -> None:
        if instruction.do == "end":
            self._stop(instruction.reason)
        elif instruction.do == "time":
            self._ends_at = instruction.ends_at
            log(f"time limit: {instruction.ends_at}")
            self._wake.set()
        elif instruction.do == "size":
            self._keep(self._resize(instruction.width, instruction.height))
        elif instruction.do == "shut":
            self._verbs.shut()
        elif instruction.do == "hello":
            self._tell()  # again, by the clock that is known now

    async def _resize(self, width: int, height: int) -> None:
        try:
            await rfb.resize(self._verbs.desktop, width, height)
        except (OSError, TimeoutError, Refusal) as error:
            log(f"screen: not {width}x{height}: {error}")
        self._wake.set()  # the next pulse says what it is

    async def _be_instructed(self, guest: Guest) -> None:
        """The verb `instruct`: a portal without a link to this agent comes through the door."""
        try:
            instruction = msgspec.convert(guest.request.get("instruction"), Instruction)
        except msgspec.ValidationError as error:
            raise Refusal("request_invalid", "This instruction cannot be understood.", str(error)) from error
        await guest.say()
        self._link.take(instruction)

    # The start.

    def _listen(self) -> None:
        """Takes what the starter says."""
        try:
            data = os.read(self._words, 65536)
        except BlockingIOError:
            return
        self._unread += data
        *lines, self._unread = self._unread.split(b"\n")
        try:
            for line in lines:
                self._hear(msgspec.json.decode(line, type=Word))
        except Exception as error:  # of a callback, the loop would only say that there was one
            self._fail_of_bug(error)
        if not data:
            asyncio.get_running_loop().remove_reader(self._words)
            if "desktop" not in self._pids:
                self._fail(failures.agent_error("The starter ended before the desktop was started."))

    def _hear(self, word: Word) -> None:
        if word.pid:
            self._pids[word.what] = word.pid
        if word.failure is not None:
            self._fail(word.failure)
        elif word.what == "display":
            self._next_stage("display", word.at)
        elif word.what == "display_ready":
            self._report.display = word.number
            self._next_stage("window_manager", word.at)
        elif word.what == "desktop":
            self._keep(self._finish_start(self._report.display or 0))
        self._judge_exits()

    def _next_stage(self, name: str | None, at: float) -> None:
        stages = self._report.stages
        if stages and stages[-1].seconds is None:
            stages[-1].seconds = round(max(0.0, at - stages[-1].started_at), 3)
        if name is not None:
            stages.append(Stage(name, at))
        self._tell()

    async def _open_door(self, ports: tuple[int, int]) -> None:
        """The door for other hosts."""
        try:
            own = await self._verbs.certificate()
            port = self._door.open_tls(ports, own.context)
        except NoFreePort as error:
            self._fail(failures.no_free_port(str(error)))
        except (AsideFailed, OSError) as error:
            self._fail(failures.door_failed(str(error)))
        else:
            self._report.door = AgentDoor(port, own.fingerprint)
            self._tell()

    async def _finish_start(self, number: int) -> None:
        self._screen = Screen(number)
        self._verbs.display = number
        try:
            self._door.open()
            there = await self._screen.window_manager(max(0.1, self._deadline - time.time()))
            if there:
                self._next_stage("desktop", time.time())
                there = await self._screen.desktop(max(0.1, self._deadline - time.time()))
        except TROUBLE as error:
            # The display or its folder went away: its exit says why, if it comes.
            await asyncio.sleep(0.5)
            self._fail(failures.display_failed(str(error)))
            return
        if self._door_ready is not None:
            await asyncio.wait((self._door_ready,))
        if self._over.is_set():
            return
        if not there:
            self._fail(failures.start_timeout(self._order.start_seconds, self._report.stages[-1].name))
            return
        self._report.state = "ready"
        self._next_stage(None, time.time())
        log(f"ready on display :{number}")
        self._keep(self._feel())

    # While it lives.

    def _reap(self) -> None:
        """Takes the exit statuses of children, also of orphans that became ours."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                self._exits[pid] = os.waitstatus_to_exitcode(status)
        self._judge_exits()

    def _judge_exits(self) -> None:
        pieces = [self._pids.get(name, 0) for name in _PIECES]
        if not self._judging and any(pid in self._exits for pid in pieces):
            self._judging = True
            self._keep(self._judge(*pieces))
        elif all(pieces) and not self._judging:
            self._exits.clear()

    def _look_for_lost_pieces(self) -> None:
        """Not every exit is told to us: a piece may have ended as the child of somebody else, who then ended too."""
        for name in _PIECES:
            pid = self._pids.get(name)
            if pid and pid not in self._exits and processes.look(pid) is None:
                self._exits[pid] = _UNKNOWN_STATUS
        self._judge_exits()

    async def _judge(self, display: int, desktop: int, bus: int) -> None:
        """What one of the pieces' exit means. A display takes the others with it, and so does being asked to end."""
        await asyncio.sleep(_JUDGE_SECONDS)
        if display in self._exits:
            self._fail(failures.display_lost(f"Xvnc {_told(self._exits[display])}."))
        elif bus in self._exits:
            # Nothing but the end of a session ends the bus, and the session manager may leave in good order without it.
            self._fail(failures.desktop_lost(f"The session's message bus {_told(self._exits[bus])}."))
        elif self._exits.get(desktop) == 0:
            self._stop("logged_out")
        else:
            self._fail(failures.desktop_lost(f"xfce4-session {_told(self._exits[desktop])}."))

    async def _beat(self) -> None:
        """The heartbeat: a pulse and a report; and the time limit, to the second."""
        while True:
            until = self._order.heartbeat_seconds
            if self._ends_at is not None:
                until = min(until, self._ends_at - self._clock.now())
            if self._report.state == "starting":
                until = min(until, self._deadline + 0.5 - time.time())
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(0.05, until))
            if self._ends_at is not None and self._clock.now() >= self._ends_at:
                self._stop("time_limit")
            elif self._report.state == "starting" and time.time() > self._deadline:
                stage = self._report.stages[-1].name
                self._fail(failures.start_timeout(self._order.start_seconds, stage))
            else:
                await self._feel()

    async def _feel(self) -> None:
        """Takes the pulse and reports it."""
        self._look_for_lost_pieces()
        cpu_percent, memory_bytes = self._meter.read()
        seen = await self._screen.look() if self._screen and self._report.state == "ready" else None
        idle, width, height = seen or (None, self._order.width, self._order.height)
        self._report.pulse = Pulse(time.time(), idle, cpu_percent, memory_bytes, width, height)
        self._tell()

    # The end.

    async def _end(self, *, cleans: bool) -> None:
        """Ends every process and removes every file of the session, as far as the account may.

        Without `cleans` the folder is somebody else's.
        """
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._words)
        self._door.close()
        self._verbs.close()
        if self._screen:
            self._screen.close()
        grace = self._order.grace_seconds
        session, uid, me = self._order.session, self._account.uid, os.getpid()
        display = self._pids.get("display_ready", 0)
        # Programs first, their display last: those that save something at the end still have a screen.
        starters = own_folder.ancestors(os.getpid()) | {self._keeper}
        spared = starters | ({display} - {0})
        ended = await asyncio.to_thread(remains.end_processes, session, uid, grace, root=me, spare=spared)
        ended |= await asyncio.to_thread(remains.end_processes, session, uid, grace, root=me, spare=starters)
        self._reap()
        self._output.drain()
        if display:
            ended.add(display)
        remains.clear_display_files(uid, ended, self._report.display)
        if cleans:
            await asyncio.to_thread(remains.remove_folder, self._folder)

    async def _say_goodbye(self, link: asyncio.Task[None]) -> None:
        self._report.state = "failed" if self._report.failure else "ended"
        self._report.pulse = None
        log(f"{self._report.state}")
        self._report.log_tail = tail_text(_TAIL_BYTES)
        self._tell()
        # A portal that is being restarted should still hear why the session ended.
        seconds = self._order.bye_seconds if self._link.connected else self._order.away_seconds
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._link.dismissed.wait(), seconds)
        link.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(link, 1)

    def _tell(self) -> None:
        self._link.send(self._clock.translated(self._report))

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs beside the rest; a bug in it ends the session, with its trace in the log, rather than half of it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._kept)
        return task

    def _kept(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail_of_bug(error)

    def _fail_of_bug(self, error: BaseException) -> None:
        log("".join(traceback.format_exception(error)))
        self._fail(failures.agent_error(repr(error)))


def _told(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def _started(pid: int) -> int:
    process = processes.look(pid)
    return process.started if process else 0


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
