"""Where logs go, and what never gets there."""

import contextlib
import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from madang.kernel import log


@pytest.fixture(autouse=True)
def _configured() -> Iterator[None]:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    log.configure("info", "json")
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


@pytest.mark.parametrize("room", [log.logger("tests"), logging.getLogger("library")])
def test_a_logger_writes_to_what_standard_error_is_now(room):
    first, second = io.StringIO(), io.StringIO()
    for output, text in ((first, "one"), (second, "two")):
        with contextlib.redirect_stderr(output):
            room.warning(text)
    first.close()
    with contextlib.redirect_stderr(second):
        room.warning("three")
    assert [json.loads(line)["event"] for line in second.getvalue().splitlines()] == ["two", "three"]


def test_secrets_are_masked():
    output = io.StringIO()
    with contextlib.redirect_stderr(output):
        log.logger("tests").warning("said", password="hunter2", agent_token="mdg_x", session="s1")
    assert "hunter2" not in output.getvalue() and "mdg_x" not in output.getvalue() and "s1" in output.getvalue()
