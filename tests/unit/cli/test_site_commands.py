"""What the commands about the site as a whole print."""

import json
import os
import subprocess
import sys
from pathlib import Path

COMMAND = "from madang.cli.main import run; run()"


def test_the_description_of_the_api_is_json_and_names_every_operation_once(tmp_path: Path):
    # A process of its own: commands set up logging for theirs.
    environment = os.environ | {"MADANG_SITE_STATE_FOLDER": str(tmp_path)}
    printed = subprocess.run(
        [sys.executable, "-c", COMMAND, "openapi"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    paths = json.loads(printed.stdout)["paths"]
    names = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert {"listDesktops", "createDesktop", "getDesktop", "describeDesktop", "endDesktop", "desktopLog"} <= set(names)
    assert len(names) == len(set(names))
