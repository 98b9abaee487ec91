"""What a service takes of a host, and whether two services take the same.

A claim is stated, never derived from what happens to run: `madang claims` prints the table and services refuse to
start on an overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import PurePosixPath

import msgspec


class Range(msgspec.Struct, frozen=True, order=True):
    """Whole numbers from first to last, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


class Claim(msgspec.Struct, frozen=True):
    """One thing that a service takes: kind is one of display, port, key, folder, route."""

    service: str
    kind: str
    what: Range | str

    def __str__(self) -> str:
        return f"{self.service}: {self.kind} {self.what}"

    def overlaps(self, other: Claim) -> bool:
        """Whether both take something in common. Claims of one service never overlap: they are one owner's."""
        if self.service == other.service or self.kind != other.kind:
            return False
        if isinstance(self.what, Range) and isinstance(other.what, Range):
            return self.what.first <= other.what.last and other.what.first <= self.what.last
        ours, theirs = str(self.what), str(other.what)
        if self.kind == "folder":
            return _one_holds_the_other(ours, theirs)
        ours, theirs = ours.rstrip("*"), theirs.rstrip("*")
        return ours.startswith(theirs) or theirs.startswith(ours)


def _one_holds_the_other(ours: str, theirs: str) -> bool:
    a, b = PurePosixPath(ours), PurePosixPath(theirs)
    return a == b or a in b.parents or b in a.parents


def overlaps(claims: Iterable[Claim]) -> Iterator[tuple[Claim, Claim]]:
    """Every pair of claims that collide."""
    return ((a, b) for a, b in combinations(claims, 2) if a.overlaps(b))
