"""Writes the next step: `scripts/migration "what it does"`."""

import sys
import tempfile
from pathlib import Path

from alembic import command

from madang.migrations import configuration


def write_step(message: str) -> None:
    """A file in versions/, from the difference between a database of all steps so far and the tables."""
    number = f"{len(list((Path(__file__).parent / 'versions').glob('[0-9]*.py'))) + 1:04d}"
    with tempfile.TemporaryDirectory() as folder:
        config = configuration(Path(folder) / "empty.sqlite3")
        command.upgrade(config, "head")
        command.revision(config, message, autogenerate=True, rev_id=number)
    sys.stdout.write(f"Step {number} is written; set HEAD in migrations/__init__.py to it and read the file once.\n")


write_step(sys.argv[1])
