"""backups by themselves and templates for everybody"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    with op.batch_alter_table("machines", schema=None) as batch_op:
        batch_op.add_column(sa.Column("offered", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column("backup_plan", sa.LargeBinary(), nullable=True))
