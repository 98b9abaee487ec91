"""Numbers that people may choose within a site's limits."""

from __future__ import annotations

from madang.kernel.errors import InvalidInput


def within(field: str, value: int | None, default: int, least: int, most: int) -> int:
    """The value, or the default. Raises InvalidInput that names the field."""
    if value is None:
        return min(max(default, least), most)
    if not least <= value <= most:
        message = f"must be from {least} to {most}"
        raise InvalidInput(f"{field} {message}.", fields=[{"field": field, "message": message}])
    return value
