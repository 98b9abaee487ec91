"""Threads that nobody waits for."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from madang.machines.hosts.threads import Threads


def test_so_many_at_once_and_what_they_give() -> None:
    threads = Threads(2, "test")
    both, go = threading.Barrier(2, timeout=10), threading.Event()

    def meet() -> str:
        both.wait()
        assert go.wait(10)
        return threading.current_thread().name

    first, second = threads.submit(meet), threads.submit(meet)
    third = threads.submit(int, "7")
    go.set()
    assert {first.result(10), second.result(10)} == {"test 1", "test 2"}
    assert third.result(10) == 7
    with pytest.raises(ValueError, match="invalid literal"):
        threads.submit(int, "x").result(10)
    threads.shutdown()
    with pytest.raises(RuntimeError):
        threads.submit(int, "1")


def test_what_waits_is_cancelled_and_what_hangs_is_left() -> None:
    threads = Threads(1, "test")
    begun, never = threading.Event(), threading.Event()
    threads.submit(lambda: (begun.set(), never.wait()))
    assert begun.wait(10)
    waits = threads.submit(int, "1")
    threads.shutdown(cancel_futures=True)
    assert waits.cancelled()
    never.set()


def test_python_ends_without_them() -> None:
    program = (
        "import threading\n"
        "from madang.machines.hosts.threads import Threads\n"
        "begun = threading.Event()\n"
        "Threads(1, 'test').submit(lambda: (begun.set(), threading.Event().wait()))\n"
        "begun.wait()\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=30).returncode == 0
