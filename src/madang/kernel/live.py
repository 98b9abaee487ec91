"""Live state: records with an expiry, counters, leases, and messages between processes. It may be lost at any time.

Embedded (`live_embedded.py`): an SQLite file that processes of one host share. Redis (`live_redis.py`): for portals on
several hosts. Both do the same; one suite of tests runs on both. Whoever uses it treats an empty answer as "not known
yet" and rebuilds it from reality. So while it cannot be read or written at all (a full disk, Redis killed), records
are not there and messages are not sent; only what guards something (marks, counters, leases) raises Unavailable.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol

import msgspec

from madang.kernel.errors import Unavailable

Handler = Callable[[bytes], Awaitable[None]]
GapHandler = Callable[[], None]


class LiveStateUnavailable(Unavailable):
    code = "live_state_unavailable"
    title = "The portal's live state cannot be used right now"


class LiveSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What portals tell each other: heartbeats, events, leases. Empty: a file that processes of one host share."""

    url: Annotated[
        str,
        msgspec.Meta(
            description="Empty: embedded. `redis://host:port/0`, `rediss://...` (TLS), `unix:///path/redis.sock`, "
            "`sentinel://host:port,host:port/service-name`, `sentinels://...` (TLS). `user@` may stand before the "
            "host, a password never.",
        ),
    ] = ""
    password_file: Annotated[str, msgspec.Meta(description="File whose first line is Redis' password.")] = ""
    sentinel_password_file: Annotated[
        str, msgspec.Meta(description="The same for the sentinels; empty: they ask for none.")
    ] = ""
    ca_file: Annotated[
        str, msgspec.Meta(description="Certificates (PEM) that Redis' own is checked with; empty: this host's.")
    ] = ""
    prefix: Annotated[
        str,
        msgspec.Meta(
            min_length=1, max_length=100, description="All keys in Redis begin so: several sites may share one."
        ),
    ] = "madang:"
    seconds: Annotated[float, msgspec.Meta(gt=0, le=30, description="A call of Redis is given up after so long.")] = 2.0
    retry_seconds: Annotated[
        float,
        msgspec.Meta(
            gt=0, le=30, description="Redis that does not answer is tried this often; nobody waits for it meanwhile."
        ),
    ] = 0.5
    connections: Annotated[int, msgspec.Meta(ge=1, le=256, description="Open connections to Redis at most.")] = 8
    lease_seconds: Annotated[
        float,
        msgspec.Meta(
            ge=1,
            le=60,
            description="A portal that is gone is replaced after so long at most, and a third of it: each loop runs in "
            "one portal, which says three times within it that it is still there.",
        ),
    ] = 3.0
    tell_seconds: Annotated[
        float,
        msgspec.Meta(
            gt=0,
            le=60,
            description="Portals tell each other this often whose pages are open and who looks at what; three times as "
            "long it is believed.",
        ),
    ] = 5.0

    def __post_init__(self) -> None:
        """Raises ValueError that does not repeat the address: a password in it would end in a log."""
        if self.url and "://" not in self.url:
            raise ValueError("url has no scheme (redis://, rediss://, unix://, sentinel://, sentinels://)")
        scheme, _, rest = self.url.partition("://")
        if self.url and scheme not in ("redis", "rediss", "unix", "sentinel", "sentinels"):
            raise ValueError(f"url has the unknown scheme {scheme}://")
        if ":" in rest.rpartition("@")[0]:
            raise ValueError("url holds a password: write it into a file and name that as password_file")


class Live(Protocol):
    """What every kind of live state does. Keys are text, values anything that msgspec writes as JSON."""

    @property
    def shared(self) -> bool:
        """Whether other processes serve people too."""

    @property
    def reachable(self) -> bool:
        """Whether the last call could be done: an empty answer then means that there is nothing."""

    async def start(self) -> None:
        """Begin to hear messages. Never waits long: what cannot be used now is tried again."""

    async def stop(self) -> None: ...

    async def put(self, key: str, value: Any, seconds: float) -> None:
        """Keep a record for so long."""

    async def put_many(self, records: Mapping[str, Any], seconds: float) -> None:
        """The same for several at once, which costs little more than one."""

    async def get(self, key: str) -> Any | None:
        """The record, or None when there is none (any more)."""

    async def get_many(self, prefix: str) -> dict[str, Any]:
        """Every record whose key starts so."""

    async def delete(self, key: str) -> None: ...

    async def add(self, key: str, seconds: float) -> bool:
        """Keep a mark; False when it was there already. Raises Unavailable."""

    async def count(self, key: str, seconds: float) -> int:
        """Count one more; the count begins anew `seconds` after the first. Raises Unavailable."""

    async def hold(self, keys: Sequence[str], holder: str, seconds: float) -> frozenset[str]:
        """Take or renew leases; gives those of them that are this holder's now. Raises Unavailable."""

    async def release(self, keys: Sequence[str], holder: str) -> None:
        """Give back those of the leases that are this holder's."""

    async def publish(self, message: bytes) -> None:
        """Tell the other processes."""

    def on_message(self, handler: Handler) -> None:
        """Hear what other processes publish (never one's own)."""

    def on_gap(self, handler: GapHandler) -> None:
        """Be told that messages may have been missed."""


def make_live(settings: LiveSettings, file: Path, *, shared: bool) -> Live:
    """The live state that the settings ask for. Raises SettingError.

    `file` is the embedded one's, `shared` whether other processes of this host use it too.
    """
    if not settings.url:
        from madang.kernel.live_embedded import EmbeddedLive

        return EmbeddedLive(file, shared=shared)
    # Loaded only where it is used: it would be a good part of the start of a portal on a laptop.
    from madang.kernel.live_redis import redis_live

    return redis_live(settings)
