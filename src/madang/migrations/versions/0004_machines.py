"""machines"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    size = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "machines",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("person_name", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("notes", sa.String(length=2000), nullable=False),
        sa.Column("host", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("cpus", sa.Integer(), nullable=False),
        sa.Column("memory_bytes", size, nullable=False),
        sa.Column("firmware", sa.String(length=8), nullable=False),
        sa.Column("network", sa.String(length=80), nullable=False),
        sa.Column("disk_path", sa.String(length=4096), nullable=False),
        sa.Column("disk_bytes", size, nullable=False),
        sa.Column("disk_used", size, nullable=True),
        sa.Column("boot_order", sa.String(length=12), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("media", sa.LargeBinary(), nullable=False),
        sa.Column("missing", sa.LargeBinary(), nullable=False),
        sa.Column("run", sa.LargeBinary(), nullable=True),
        sa.Column("unknown_since", sa.Double(), nullable=True),
        sa.Column("asked_off_at", sa.Double(), nullable=True),
        sa.Column("next_boot", sa.String(length=12), nullable=True),
        sa.Column("next_boot_why", sa.String(length=12), nullable=True),
        sa.Column("installation", sa.String(length=20), nullable=False),
        sa.Column("installing_from", sa.String(length=4096), nullable=True),
        sa.Column("installed_at", sa.Double(), nullable=True),
        sa.Column("sign", sa.String(length=12), nullable=True),
        sa.Column("grew_at", sa.Double(), nullable=True),
        sa.Column("outside", sa.LargeBinary(), nullable=False),
        sa.Column("dismissed", sa.LargeBinary(), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("adopted", sa.Boolean(), nullable=False),
        sa.Column("template", sa.Boolean(), nullable=False),
        sa.Column("parent", sa.String(length=36), nullable=True),
        sa.Column("cloned_from", sa.String(length=80), nullable=True),
        sa.Column("shares", sa.LargeBinary(), nullable=False),
        sa.Column("failure", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_machines")),
    )
    with op.batch_alter_table("machines", schema=None) as batch_op:
        batch_op.create_index("ix_machines_person_id_created_at", ["person_id", "created_at"], unique=False)
        batch_op.create_index("ix_machines_parent", ["parent"], unique=False)

    op.create_table(
        "machine_shares",
        sa.Column("machine_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("machine_id", "person_id", name=op.f("pk_machine_shares")),
    )
    with op.batch_alter_table("machine_shares", schema=None) as batch_op:
        batch_op.create_index("ix_machine_shares_person_id", ["person_id"], unique=False)

    op.create_table(
        "machine_disks",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("host", sa.String(length=40), nullable=False),
        sa.Column("path", sa.String(length=4096), nullable=False),
        sa.Column("size_bytes", size, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("machine_id", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_machine_disks")),
    )
    with op.batch_alter_table("machine_disks", schema=None) as batch_op:
        batch_op.create_index("ix_machine_disks_machine_id", ["machine_id"], unique=False)
        batch_op.create_index("ix_machine_disks_person_id", ["person_id"], unique=False)

    op.create_table(
        "machine_operations",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("machine_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("asked_by", sa.String(length=80), nullable=False),
        sa.Column("given", sa.LargeBinary(), nullable=False),
        sa.Column("holder", sa.String(length=300), nullable=True),
        sa.Column("beat", sa.Integer(), nullable=False),
        sa.Column("progress", sa.Double(), nullable=True),
        sa.Column("stage", sa.String(length=40), nullable=False),
        sa.Column("cancel", sa.Boolean(), nullable=False),
        sa.Column("result", sa.LargeBinary(), nullable=False),
        sa.Column("failure", sa.LargeBinary(), nullable=True),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_machine_operations")),
    )
    with op.batch_alter_table("machine_operations", schema=None) as batch_op:
        batch_op.create_index("ix_machine_operations_machine_id_created_at", ["machine_id", "created_at"], unique=False)
        batch_op.create_index("ix_machine_operations_ended_at", ["ended_at"], unique=False)

    op.create_table(
        "machine_boot_presets",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("boot_order", sa.String(length=12), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_machine_boot_presets")),
    )
    with op.batch_alter_table("machine_boot_presets", schema=None) as batch_op:
        batch_op.create_index("ix_machine_boot_presets_person_id", ["person_id"], unique=False)

    op.create_table(
        "iso_uploads",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("size", size, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("used_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_iso_uploads")),
    )
    with op.batch_alter_table("iso_uploads", schema=None) as batch_op:
        batch_op.create_index("ix_iso_uploads_person_id", ["person_id"], unique=False)
