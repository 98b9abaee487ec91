"""The maintenance notice as the API shows and takes it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec

from madang.desktops.policies import Notice
from madang.kernel.clock import iso_or_none
from madang.kernel.errors import InvalidInput

Moment = Annotated[str, msgspec.Meta(max_length=40, description="As 2026-11-20T15:04:05Z; without a zone: UTC.")]
LATEST = 253_402_300_799.0  # the last second that can be written


class NoticeView(msgspec.Struct, forbid_unknown_fields=True):
    """What everybody reads until `until`. From `from` on, when it says so, no new desktops start."""

    text: Annotated[str, msgspec.Meta(max_length=300)]
    blocks_start: bool = False
    begins: Moment | None = msgspec.field(default=None, name="from")
    until: Moment | None = None
    in_force: bool = False  # whether `from` has come; what is sent of it counts nothing


def notice_view(notice: Notice, now: float) -> NoticeView | None:
    """None when there is nothing to read (any more)."""
    if not notice.shown(now):
        return None
    begins, until = iso_or_none(notice.begins_at), iso_or_none(notice.ends_at)
    return NoticeView(notice.text, notice.blocks_start, begins, until, notice.in_force(now))


def parsed(view: NoticeView) -> Notice:
    """Raises InvalidInput."""
    begins, until = _epoch("from", view.begins), _epoch("until", view.until)
    if begins is not None and until is not None and begins >= until:
        raise _wrong("until", "is not after `from`")
    if any(ord(one) < 32 or 0xD800 <= ord(one) <= 0xDFFF or ord(one) == 127 for one in view.text):
        raise _wrong("text", "holds characters that cannot be shown")
    return Notice(view.text.strip(), view.blocks_start, begins, until)


def _epoch(field: str, text: str | None) -> float | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise _wrong(field, "is no time as 2026-11-20T15:04:05Z") from error
    if not 0 <= seconds <= LATEST:
        raise _wrong(field, "is out of range")
    return seconds


def _wrong(field: str, message: str) -> InvalidInput:
    return InvalidInput(f"{field} {message}.", fields=[{"field": field, "message": message}])
