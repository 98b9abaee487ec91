"""What the commands about the site as a whole print."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from madang.cli.main import app


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MADANG_SITE_STATE_FOLDER", str(tmp_path))
    return tmp_path


def test_the_description_of_the_api_is_json_and_names_every_operation_once(state: Path):
    printed = CliRunner().invoke(app, ["openapi"])
    assert printed.exit_code == 0, printed.output
    paths = json.loads(printed.stdout)["paths"]
    names = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert {"listDesktops", "createDesktop", "getDesktop", "renameDesktop", "endDesktop", "desktopLog"} <= set(names)
    assert len(names) == len(set(names))
