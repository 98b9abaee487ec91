"""What is stored of sessions. Times in seconds since the epoch; stages and failure as JSON."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, LargeBinary, String, Table

from madang.kernel.database import metadata

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("service", String(20), nullable=False),
    Column("person_id", String(32), nullable=False),
    Column("person_name", String(80), nullable=False),
    Column("name", String(80), nullable=False),
    Column("state", String(12), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("time_limit_seconds", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("version", Integer, nullable=False),
    Column("account", String(64)),
    Column("wanted", Boolean, nullable=False),
    Column("unknown_since", Float),
    Column("node", String(255)),
    Column("display", Integer),
    Column("pid", Integer),
    Column("pid_started", Integer),
    Column("folder", String(1024)),
    Column("launched_at", Float),
    Column("ready_at", Float),
    Column("ends_at", Float),
    Column("ending_at", Float),
    Column("ended_at", Float),
    Column("stages", LargeBinary, nullable=False),
    Column("failure", LargeBinary),
    Column("end_reason", String(32)),
    Column("agent_secret_hash", String(64)),
    Column("door_key", String(64)),
    Index("ix_sessions_person_id_created_at", "person_id", "created_at"),
    # The loop asks every few seconds for what is not over; nearly everything in the table is.
    Index("ix_sessions_ended_at", "ended_at"),
)
