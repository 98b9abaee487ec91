"""What a measurement gives: rows, each a value with its target and the peers measured in the same run."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Target(msgspec.Struct, frozen=True):
    """What a value has to be: `at_most` or `at_least` so much."""

    at_most: float | None = None
    at_least: float | None = None

    def met(self, value: float) -> bool:
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    def __str__(self) -> str:
        return f"≤ {self.at_most:g}" if self.at_most is not None else f"≥ {self.at_least:g}"


class Peer(msgspec.Struct, frozen=True):
    """The same thing measured of something else in the same run."""

    name: str
    value: float


class Row(msgspec.Struct):
    """One measured value. Without a target it is further information."""

    what: str
    value: float
    unit: str
    target: Target | None = None
    peers: list[Peer] = []
    samples: int = 1

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        return "met" if self.target.met(self.value) else "MISSED"


class Outcome(msgspec.Struct):
    """What one measure found, when, and how long it took."""

    measure: str
    title: str
    method: str
    at: str
    seconds: float
    rows: list[Row]
    load_before: float = 0.0
    trouble: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.trouble) or any(row.verdict == "MISSED" for row in self.rows)


def percentile(samples: Sequence[float], percent: float) -> float:
    """By linear interpolation between the closest ranks. Raises ValueError without samples."""
    if not samples:
        raise ValueError("no samples")
    ordered = sorted(samples)
    rank = (len(ordered) - 1) * percent / 100
    below = int(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (rank - below)


def median(samples: Sequence[float]) -> float:
    return percentile(samples, 50)
