"""What is stored of sessions and beside them. Times in seconds since the epoch; what has a structure, as JSON."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, LargeBinary, String, Table, UniqueConstraint

from madang.kernel.database import metadata

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("service", String(20), nullable=False),
    Column("person_id", String(32), nullable=False),
    Column("person_name", String(80), nullable=False),
    Column("name", String(80), nullable=False),
    Column("notes", String(2000), nullable=False, server_default=""),
    Column("state", String(12), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("time_limit_seconds", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("version", Integer, nullable=False),
    Column("account", String(64)),
    Column("launcher", String(16), nullable=False, server_default="local"),
    Column("preset", String(20)),
    Column("preset_name", String(80)),
    Column("terms", LargeBinary),
    Column("wanted", Boolean, nullable=False),
    Column("unknown_since", Double),
    Column("unknown_reason", String(16)),
    Column("waiting", LargeBinary),
    Column("job", String(64)),
    Column("node", String(255)),
    Column("host", String(255)),
    Column("door_port", Integer),
    Column("door_fingerprint", String(64)),
    Column("display", Integer),
    Column("pid", Integer),
    # Clock ticks since the machine's start: more than 32 bits after 248 days.
    Column("pid_started", BigInteger().with_variant(Integer, "sqlite")),
    Column("folder", String(1024)),
    Column("launched_at", Double),
    Column("started_at", Double),
    Column("ready_at", Double),
    Column("ends_at", Double),
    Column("job_ends_at", Double),  # what the scheduler said last
    Column("ending_at", Double),
    Column("ended_at", Double),
    Column("stages", LargeBinary, nullable=False),
    Column("failure", LargeBinary),
    Column("end_reason", String(32)),
    Column("end_message", String(500)),
    Column("restarts", Integer, nullable=False, server_default="0"),
    Column("pooled_until", Double),  # set: a ready desktop of the pool that its person has not asked for yet
    Column("kept_at", Double),
    Column("idle_warned_at", Double),
    Column("agent_secret_hash", String(64)),
    Column("door_key", String(64)),
    Index("ix_sessions_person_id_created_at", "person_id", "created_at"),
    # The loop asks every few seconds for what is not over; nearly everything in the table is.
    Index("ix_sessions_ended_at", "ended_at"),
)

# What operators offer. `data` is the whole preset but for what is a column here.
presets = Table(
    "presets",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("service", String(20), nullable=False),
    Column("name", String(80), nullable=False),
    Column("position", Integer, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    UniqueConstraint("service", "name"),
)

# What a person chose last in the form for a new session.
choices = Table(
    "choices",
    metadata,
    Column("service", String(20), primary_key=True),
    Column("person_id", String(32), primary_key=True),
    Column("data", LargeBinary, nullable=False),
    Column("at", Double, nullable=False),
)

# Links by which others may look at a session or use it, and operators' requests to look at one.
shares = Table(
    "shares",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("service", String(20), nullable=False),
    Column("session_id", String(20), nullable=False),
    Column("via", String(12), nullable=False),  # link or operator
    Column("state", String(12), nullable=False),  # asked, active, refused, revoked
    Column("mode", String(12), nullable=False),  # view or control
    Column("label", String(80), nullable=False),
    Column("guests", Boolean, nullable=False),
    Column("token_hash", String(64)),
    Column("person_id", String(32)),  # the operator
    Column("person_name", String(80)),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("ix_shares_session_id", "session_id"),
    Index("ix_shares_token_hash", "token_hash"),
)

# One row for every session that is over; sessions themselves are forgotten after the retention.
usage = Table(
    "usage",
    metadata,
    Column("session_id", String(20), primary_key=True),
    Column("service", String(20), nullable=False),
    Column("person_id", String(32), nullable=False),
    Column("person_name", String(80), nullable=False),
    Column("account", String(64)),
    Column("preset_name", String(80)),
    Column("launcher", String(16), nullable=False),
    Column("node", String(255)),
    Column("cpus", Integer, nullable=False),
    Column("gpus", Integer, nullable=False),
    Column("memory_bytes", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double, nullable=False),
    Column("end_reason", String(32), nullable=False),
    Index("ix_usage_ended_at", "ended_at"),
)

# What operators set while the site runs: limits, the maintenance notice. One row a thing, its value as JSON.
operator_settings = Table(
    "operator_settings",
    metadata,
    Column("service", String(20), primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
