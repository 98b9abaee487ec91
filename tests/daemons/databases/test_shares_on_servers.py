"""The tests of stored shares, on servers: the fixture `ground` stands on a server's database."""

from tests.unit.desktops.test_share_store import *  # noqa: F403
