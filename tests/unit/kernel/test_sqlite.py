"""What only a database in a file can meet."""

from pathlib import Path

import pytest

from madang.kernel.database import Database, DatabaseDamaged, DatabaseSettings, DatabaseUnavailable
from tests.unit.kernel.test_database import names


async def test_a_file_that_is_no_database_is_said_to_be_damaged(tmp_path: Path):
    file = tmp_path / "madang.sqlite3"
    file.write_bytes(b"This is not a database. " * 1000)
    database = Database(file, DatabaseSettings())
    with pytest.raises(DatabaseDamaged) as caught:
        await names(database)
    assert str(file) in caught.value.detail
    assert "backup" in caught.value.hint
    await database.close()


async def test_a_database_that_cannot_be_opened_is_unavailable(tmp_path: Path):
    database = Database(tmp_path / "missing" / "madang.sqlite3", DatabaseSettings())
    with pytest.raises(DatabaseUnavailable):
        await names(database)
    await database.close()
