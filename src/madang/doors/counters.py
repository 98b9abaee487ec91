"""What goes through the doors, for /metrics."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

_connections = Gauge("madang_door_connections", "Open connections through the doors.", ["service"])
_opened = Counter("madang_door_opened_total", "Connections that were let through.", ["service"])
_refused = Counter("madang_door_refused_total", "Connections that were refused, by reason.", ["service", "code"])
_bytes = Counter("madang_door_bytes_total", "Bytes carried.", ["service", "direction"])


class Counters:
    """The counters of one service's doors."""

    def __init__(self, service: str) -> None:
        self._service = service
        self.connections = _connections.labels(service)
        self.opened = _opened.labels(service)
        self.to_browser = _bytes.labels(service, "to_browser").inc
        self.to_engine = _bytes.labels(service, "to_engine").inc

    def refused(self, code: str) -> None:
        _refused.labels(self._service, code).inc()
