"""Tests that are shared with tests/daemons say what they found, too."""

import pytest

pytest.register_assert_rewrite("tests.support.live_behaviour")
