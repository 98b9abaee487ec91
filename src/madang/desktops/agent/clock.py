"""The portal's clock, as far as this host knows it: a node's own may be minutes off.

The portal's time is held against this host's monotonic clock, so that setting the host's clock does not move it.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

import msgspec

from madang.compute.order import Report, Stage

# Below this the two clocks are the same: the way takes time too.
_UNFELT_SECONDS = 0.1
# What the Date header of HTTP leaves out: on average half a second.
_DATE_SECONDS = 0.5
_LAST_SECOND = 253_402_300_799.0


class Clock:
    def __init__(self) -> None:
        self._base: float | None = None
        self._exact = False

    def learn(self, now: float) -> None:
        """The portal says what time it is."""
        if 0 < now < _LAST_SECOND:
            self._base = now - time.monotonic()
            self._exact = True

    def learn_date(self, header: str) -> None:
        """What an HTTP answer's Date says, until the portal says it more exactly."""
        if self._exact or not header:
            return
        try:
            now = parsedate_to_datetime(header).timestamp() + _DATE_SECONDS
        except (ValueError, TypeError, OverflowError):
            return
        # That is good to a second: nothing is learned from less.
        if abs(now - time.time()) > 1.0:
            self._base = now - time.monotonic()

    @property
    def offset(self) -> float:
        """What has to be added to this host's time."""
        if self._base is None:
            return 0.0
        offset = self._base + time.monotonic() - time.time()
        return offset if abs(offset) >= _UNFELT_SECONDS else 0.0

    def now(self) -> float:
        return time.time() + self.offset

    def translated(self, report: Report) -> Report:
        """A report with all its times in the portal's time."""
        offset = self.offset
        if not offset:
            return report
        stages = [Stage(stage.name, max(0.0, stage.started_at + offset), stage.seconds) for stage in report.stages]
        pulse = report.pulse and msgspec.structs.replace(report.pulse, at=max(0.0, report.pulse.at + offset))
        return msgspec.structs.replace(report, stages=stages, pulse=pulse)
