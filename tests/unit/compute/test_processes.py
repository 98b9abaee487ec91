"""Processes are found by their mark and ended without hitting strangers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from madang.compute import processes, remains

SLEEP = "import time; print(flush=True); time.sleep(60)"
DEAF = f"import signal; signal.signal(15, 1); signal.signal(1, 1); {SLEEP}"


@pytest.fixture
def session() -> str:
    return f"unit-{os.getpid()}-{time.monotonic_ns()}"


class Children:
    def __init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, script: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen([sys.executable, "-c", script, *arguments], env=environment, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        self.started.append(child)
        return child


@pytest.fixture
def children() -> Iterator[Children]:
    children = Children()
    yield children
    for child in children.started:
        child.kill()
        child.communicate()


def test_looks_at_itself() -> None:
    process = processes.look(os.getpid())
    assert process is not None
    assert process.running and process.parent == os.getppid() and process.rss > 100
    assert processes.owner(process.pid) == os.getuid()
    assert processes.look(2**22 + 1) is None


def test_a_name_with_brackets_and_spaces(children: Children) -> None:
    script = "open('/proc/self/comm', 'w').write(') S 1 (x'); " + SLEEP
    child = children.start(script)
    process = processes.look(child.pid)
    assert process is not None
    assert process.name == ") S 1 (x"
    assert process.parent == os.getpid()


def test_found_by_environment_or_argument_of_the_right_user(children: Children, session: str) -> None:
    mark = remains.marker(session)
    one = children.start(SLEEP, MADANG_SESSION=session)
    two = children.start(SLEEP, mark)
    children.start(SLEEP, f"{mark}x", MADANG_SESSION=f"{session}-2")
    everything = processes.snapshot()
    assert set(processes.marked(mark, {os.getuid()}, everything)) == {one.pid, two.pid}
    assert not processes.marked(mark, {os.getuid() + 1}, everything)


def test_ends_those_who_listen_and_those_who_do_not(children: Children, session: str) -> None:
    kind = children.start(SLEEP, MADANG_SESSION=session)
    deaf = children.start(DEAF, MADANG_SESSION=session)
    stopped = children.start(SLEEP, MADANG_SESSION=session)
    stopped.send_signal(signal.SIGSTOP)
    stranger = children.start(SLEEP, MADANG_SESSION="another")
    began = time.monotonic()
    ended = remains.end_processes(session, os.getuid(), 0.3)
    assert ended == {kind.pid, deaf.pid, stopped.pid}
    assert time.monotonic() - began < 2
    assert [kind.wait(2), deaf.wait(2)] == [-15, -9]
    assert stopped.wait(2) in (-15, -1)
    assert stranger.poll() is None


def test_returns_at_once_when_there_is_nobody(session: str) -> None:
    began = time.monotonic()
    assert remains.end_processes(session, os.getuid(), 5) == set()
    assert time.monotonic() - began < 1


def test_spares_and_descends(children: Children, session: str) -> None:
    parent = children.start(
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], env={{}}); {SLEEP}",
        MADANG_SESSION=session,
    )
    deadline = time.monotonic() + 5
    while not (found := processes.descendants([parent.pid], processes.snapshot())) and time.monotonic() < deadline:
        time.sleep(0.02)
    ended = remains.end_processes(session, os.getuid(), 0.5)
    assert ended == {parent.pid, *found}
    assert not any(process.running for pid in found if (process := processes.look(pid)))


def test_one_that_has_itself_replaced_when_asked(children: Children, session: str) -> None:
    script = (
        "import os, signal, sys, time\n"
        "def again(*_):\n    if os.fork(): os._exit(0)\n    os.setsid()\n"
        "signal.signal(15, again); signal.signal(1, again)\nprint(flush=True)\n"
        "while True: time.sleep(60)\n"
    )
    child = children.start(script, MADANG_SESSION=session)
    assert len(remains.end_processes(session, os.getuid(), 0.5)) > 1
    # Nobody is left who could hold its output open.
    child.communicate(timeout=2)


def test_a_pid_given_to_another_is_left_alone(children: Children) -> None:
    child = children.start(SLEEP)
    process = processes.look(child.pid)
    assert process is not None
    assert not processes.send(process._replace(started=process.started - 1), signal.SIGKILL)
    assert child.poll() is None
    assert processes.send(process, signal.SIGKILL)
    assert child.wait(2) == -9
    assert not processes.send(process, signal.SIGKILL)
