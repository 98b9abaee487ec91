"""How often somebody may try a password: counted per name and per address, in live state, so for all processes.

A lock only stops new tries. Whoever is signed in already stays so, and a one-time link is not asked for a password, so
nobody can be kept out by others who try their name. Names are counted whether or not they exist.
"""

from __future__ import annotations

import hashlib
import ipaddress

from madang.identity.counting import Counting
from madang.identity.settings import IdentitySettings
from madang.kernel import clock
from madang.kernel.errors import TooManyAttempts
from madang.kernel.live import Live

IPV6_NETWORK_BITS = 64  # what one household or machine is given as a whole


class Attempts:
    """Say `refuse_locked` before looking at a password, then `failed` or `succeeded`."""

    def __init__(self, live: Live, settings: IdentitySettings) -> None:
        self._live = Counting(live)
        self._settings = settings

    async def refuse_locked(self, name: str, address: str) -> None:
        """Raise TooManyAttempts with the seconds to wait while the name or the address is locked."""
        locks = [await self._live.get(f"identity:lock:{key}") for key in _keys(name, address)]
        until = max((float(lock) for lock in locks if lock is not None), default=0.0)
        if (wait := until - clock.now()) > 0:
            raise TooManyAttempts(
                "Too many wrong passwords.",
                hint="Wait, or ask an administrator for a one-time sign-in link.",
                retry_after=wait,
            )

    async def failed(self, name: str, address: str) -> bool:
        """Count a wrong password. True when this one locked the name or the address."""
        settings = self._settings
        limits = (settings.attempts_per_name, settings.attempts_per_address)
        locked = False
        for key, limit in zip(_keys(name, address), limits, strict=True):
            if await self._live.count(f"identity:failures:{key}", settings.attempts_minutes * 60) >= limit:
                await self._lock(key)
                locked = True
        return locked

    async def succeeded(self, name: str) -> None:
        """Forget what was counted for the name. The address goes on: who knows one password may guess at others."""
        key = _keys(name, "")[0]
        for kind in ("failures", "locks", "lock"):
            await self._live.delete(f"identity:{kind}:{key}")

    async def _lock(self, key: str) -> None:
        settings = self._settings
        number = await self._live.count(f"identity:locks:{key}", settings.lock_memory_hours * 3600)
        seconds = 60 * min(settings.lock_minutes * 2.0 ** min(number - 1, 32), settings.lock_minutes_most)
        await self._live.put(f"identity:lock:{key}", clock.now() + seconds, seconds)
        await self._live.delete(f"identity:failures:{key}")


def _keys(name: str, address: str) -> tuple[str, str]:
    # Hashed: a name may be anything, and now and then it is a password typed into the wrong field.
    return f"name:{_digest(name)}", f"address:{_digest(network_of(address))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def network_of(address: str) -> str:
    """What counts as one address: of IPv6, a whole network."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, IPV6_NETWORK_BITS), strict=False))
    return str(parsed)
