"""presets, sharing, schedulers, usage"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "site_values",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_site_values")),
    )
    op.create_table(
        "choices",
        sa.Column("service", sa.String(length=20), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("service", "person_id", name=op.f("pk_choices")),
    )
    op.create_table(
        "operator_settings",
        sa.Column("service", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("service", "name", name=op.f("pk_operator_settings")),
    )
    op.create_table(
        "presets",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("service", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_presets")),
        sa.UniqueConstraint("service", "name", name=op.f("uq_presets_service_name")),
    )
    op.create_table(
        "shares",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("service", sa.String(length=20), nullable=False),
        sa.Column("session_id", sa.String(length=20), nullable=False),
        sa.Column("via", sa.String(length=12), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("mode", sa.String(length=12), nullable=False),
        sa.Column("label", sa.String(length=80), nullable=False),
        sa.Column("guests", sa.Boolean(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=True),
        sa.Column("person_id", sa.String(length=32), nullable=True),
        sa.Column("person_name", sa.String(length=80), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shares")),
    )
    with op.batch_alter_table("shares", schema=None) as batch_op:
        batch_op.create_index("ix_shares_session_id", ["session_id"], unique=False)
        batch_op.create_index("ix_shares_token_hash", ["token_hash"], unique=False)

    op.create_table(
        "usage",
        sa.Column("session_id", sa.String(length=20), nullable=False),
        sa.Column("service", sa.String(length=20), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("person_name", sa.String(length=80), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=True),
        sa.Column("preset_name", sa.String(length=80), nullable=True),
        sa.Column("launcher", sa.String(length=16), nullable=False),
        sa.Column("node", sa.String(length=255), nullable=True),
        sa.Column("cpus", sa.Integer(), nullable=False),
        sa.Column("gpus", sa.Integer(), nullable=False),
        sa.Column("memory_bytes", sa.Double(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("ended_at", sa.Double(), nullable=False),
        sa.Column("end_reason", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_usage")),
    )
    with op.batch_alter_table("usage", schema=None) as batch_op:
        batch_op.create_index("ix_usage_ended_at", ["ended_at"], unique=False)

    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("notes", sa.String(length=2000), server_default="", nullable=False))
        batch_op.add_column(sa.Column("launcher", sa.String(length=16), server_default="local", nullable=False))
        batch_op.add_column(sa.Column("preset", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("preset_name", sa.String(length=80), nullable=True))
        batch_op.add_column(sa.Column("terms", sa.LargeBinary(), nullable=True))
        batch_op.add_column(sa.Column("unknown_reason", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("waiting", sa.LargeBinary(), nullable=True))
        batch_op.add_column(sa.Column("job", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("host", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("door_port", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("door_fingerprint", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("started_at", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("job_ends_at", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("end_message", sa.String(length=500), nullable=True))
        batch_op.add_column(sa.Column("restarts", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("pooled_until", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("kept_at", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("idle_warned_at", sa.Double(), nullable=True))
