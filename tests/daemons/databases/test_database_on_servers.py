"""The tests of transactions and errors, on servers: the fixture `settings` names a server's database."""

from tests.unit.kernel.test_database import *  # noqa: F403

del settings  # noqa: F821  # of the file in the test's folder; conftest.py has the one that counts here
