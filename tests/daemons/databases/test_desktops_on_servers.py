"""The tests of presets, usage, and what people do with desktops, on servers: `ground` stands on a server's database."""

import pytest

from tests.unit.desktops.conftest import house, make_house, ordinary_user  # noqa: F401  (fixtures)
from tests.unit.desktops.test_lifetime import *  # noqa: F403
from tests.unit.desktops.test_presets import *  # noqa: F403
from tests.unit.desktops.test_usage import *  # noqa: F403

pytestmark = pytest.mark.timeout(60)
