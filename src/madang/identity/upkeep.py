"""Removes what is out of date."""

from __future__ import annotations

from sqlalchemy import delete

from madang.identity import tables
from madang.identity.audit import Audit
from madang.identity.settings import IdentitySettings
from madang.kernel import clock
from madang.kernel.database import retried
from madang.kernel.ground import Ground
from madang.kernel.loops import Loop

DAY_SECONDS = 86400.0


def clean_up_loop(ground: Ground) -> Loop:
    settings = ground.settings[IdentitySettings]

    async def cycle() -> str:
        return await clean_up(ground)

    return Loop("identity clean-up", cycle, settings.clean_up_minutes * 60, lease=True)


async def clean_up(ground: Ground) -> str:
    """Remove ended sign-ins, links and API tokens, and the old end of the audit trail; one sentence on what went."""
    counts = await _remove(ground)
    audit_seconds = ground.settings[IdentitySettings].audit_days * DAY_SECONDS
    counts["entries of the audit trail"] = await Audit(ground).forget(clock.now() - audit_seconds)
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"Removed {said}." if said else ""


@retried
async def _remove(ground: Ground) -> dict[str, int]:
    settings, now = ground.settings[IdentitySettings], clock.now()
    sign_ins, links, tokens = tables.sign_ins, tables.sign_in_links, tables.api_tokens
    idle_since = now - settings.idle_hours * 3600
    async with ground.database.write() as connection:
        removed = {
            "sign-ins": delete(sign_ins).where((sign_ins.c.expires_at < now) | (sign_ins.c.last_seen_at < idle_since)),
            "links": delete(links).where((links.c.expires_at < now) | links.c.used_at.is_not(None)),
            "API tokens": delete(tokens).where(tokens.c.expires_at < now),
        }
        return {name: (await connection.execute(statement)).rowcount for name, statement in removed.items()}
