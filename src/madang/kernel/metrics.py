"""Prometheus metrics. Names follow Prometheus' rules (base units, `_total`, `_seconds`); ids are never labels."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram, generate_latest

requests = Counter("madang_http_requests_total", "HTTP requests answered.", ["method", "route", "status"])
request_seconds = Histogram(
    "madang_http_request_seconds",
    "Time to answer an HTTP request.",
    ["route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
bugs = Counter("madang_bugs_total", "Unexpected errors, each logged with a trace.", ["room"])
loop_cycles = Counter("madang_loop_cycles_total", "Cycles of a loop.", ["loop", "outcome"])
loop_seconds = Histogram(
    "madang_loop_cycle_seconds", "Time of one cycle of a loop.", ["loop"], buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10)
)
lease_held = Gauge("madang_loop_runs_here", "1 when this process runs the loop, of several processes.", ["loop"])
live_connections = Gauge("madang_live_connections", "Pages listening to live updates.")
database_retries = Counter("madang_database_retries_total", "Writes that met another one and were run again.")
command_failures = Counter("madang_command_failures_total", "External programs that failed.", ["program"])


def exposition() -> tuple[bytes, str]:
    """What /metrics answers: body and content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
