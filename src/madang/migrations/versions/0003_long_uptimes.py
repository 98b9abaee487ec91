"""room for the start of a process on a machine that has been up for more than 248 days"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # Clock ticks since the machine's start; SQLite's integers are large enough as they are.
    if op.get_context().dialect.name != "sqlite":
        op.alter_column("sessions", "pid_started", existing_type=sa.Integer(), type_=sa.BigInteger())
