"""The tests of stored sessions, on servers: the fixture `ground` stands on a server's database."""

from tests.unit.desktops.test_store import *  # noqa: F403

# It tells of SQLite's limits, and takes long elsewhere.
del test_more_sessions_than_a_statement_holds_values_are_read_and_forgotten  # noqa: F821
