"""The measures: one module each, with TITLE, METHOD and measure(plan)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """For whom is measured and how often: `quick` is for working on the bench, its figures mean little."""

    user: str
    quick: bool = False

    def times(self, many: int, few: int) -> int:
        return few if self.quick else many
