"""Alembic's entry: runs the steps on the database that `configuration` names."""

from alembic import context
from sqlalchemy import create_engine

from madang.desktops import tables as _desktops  # noqa: F401  (registers the tables)
from madang.identity import tables as _identity  # noqa: F401
from madang.kernel.database import metadata, own_transactions

engine = create_engine(f"sqlite:///{context.config.attributes['file']}")
own_transactions(engine)
with engine.connect() as connection:
    # SQLite cannot alter most of a table in place: Alembic's batch mode writes it anew.
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
