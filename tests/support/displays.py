"""Ranges of X displays that no other test run on this machine uses."""

from __future__ import annotations

import os
import socket

FIRST, LAST, BLOCK = 100, 899, 10
_held: dict[int, socket.socket] = {}


def take_range() -> tuple[int, int]:
    """First and last display of a range that is ours until `give_back` or the end of this process."""
    for first in range(FIRST, LAST, BLOCK):
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            lock.bind(f"\0madang-tests-displays-{first}")
        except OSError:
            lock.close()
            continue
        if any(_taken(number) for number in range(first, first + BLOCK)):
            lock.close()
            continue
        _held[first] = lock
        return first, first + BLOCK - 1
    raise AssertionError("no range of free displays")


def give_back(first: int) -> None:
    if lock := _held.pop(first, None):
        lock.close()


def _taken(number: int) -> bool:
    return os.path.lexists(f"/tmp/.X{number}-lock") or os.path.lexists(f"/tmp/.X11-unix/X{number}")
