"""Alembic's entry: runs the steps on the connection that `configuration` holds; whoever gave it commits."""

from collections.abc import Callable
from typing import Any

from alembic import context
from alembic.ddl.mysql import MariaDBImpl
from sqlalchemy.exc import DBAPIError

from madang.desktops import tables as _desktops  # noqa: F401  (registers the tables)
from madang.identity import tables as _identity  # noqa: F401
from madang.kernel import site_secret as _site_secret  # noqa: F401
from madang.kernel.database import metadata
from madang.machines import tables as _machines  # noqa: F401

# MariaDB's errors when a table, a column or an index is there already, or the one to be dropped is not any more.
DONE_ALREADY = {1050, 1051, 1060, 1061, 1091}


class RepeatableSteps(MariaDBImpl):
    """Each change of a table commits by itself there, so a step that was cut off has left some of its changes."""

    __dialect__ = "mariadb"

    def _exec(self, construct: Any, *arguments: Any, **options: Any) -> Any:
        run: Callable[..., Any] = super()._exec
        try:
            return run(construct, *arguments, **options)
        except DBAPIError as error:
            if error.orig is None or error.orig.args[0] not in DONE_ALREADY:
                raise
            return None


# SQLite cannot alter most of a table in place: Alembic's batch mode writes it anew.
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
