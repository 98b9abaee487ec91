"""The tests of people and of coming in, on servers: the fixture `ground` stands on a server's database."""

import pytest

from madang.kernel.ground import Ground
from tests.unit.identity.conftest import clock, house, ordinary_user  # noqa: F401
from tests.unit.identity.test_identity_entrance import *  # noqa: F403
from tests.unit.identity.test_identity_service import *  # noqa: F403


@pytest.fixture
async def ground(make_ground, request: pytest.FixtureRequest) -> Ground:
    """Settings as the tests on files give them."""
    cheap = {"MADANG_IDENTITY_HASH_MEMORY_KIB": "8", "MADANG_IDENTITY_HASH_ROUNDS": "1"}
    return await make_ground(**cheap | getattr(request, "param", {}))
