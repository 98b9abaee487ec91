"""scripts/lib.sh: a step shows its output only when it fails, and says what to do; stamps remember what was done."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "lib.sh", tmp_path / "scripts")
    return tmp_path


def bash(checkout: Path, script: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", "-euo", "pipefail", "-c", f'source "$0/scripts/lib.sh"; {script}', checkout]
    return subprocess.run(command, capture_output=True, text=True, timeout=20)


def test_a_step_that_works_is_one_line_with_its_seconds(checkout: Path) -> None:
    done = bash(checkout, "step 'Counting' 'count again' echo hidden")
    assert done.returncode == 0
    assert "Counting: done in 0." in done.stdout
    assert "hidden" not in done.stdout


def test_a_step_that_fails_shows_its_output_and_what_to_do(checkout: Path) -> None:
    done = bash(checkout, "step 'Counting' 'count again' bash -c 'echo seen; exit 3'; echo 'never here'")
    assert done.returncode == 1
    assert "exit status 3" in done.stderr
    assert "    seen" in done.stderr
    assert "What to do: count again" in done.stderr
    assert "never here" not in done.stdout


def test_a_stamp_holds_for_the_same_inputs_only(checkout: Path) -> None:
    (checkout / "a").write_text("1")
    script = (
        f"stamp it \"$(hash_of '{checkout}/a' -- word)\"; stamped it \"$(hash_of '{checkout}/a' -- word)\"; echo same; "
    )
    assert bash(checkout, script).stdout == "same\n"
    assert bash(checkout, f"stamped it \"$(hash_of '{checkout}/a' -- other)\" || echo differs").stdout == "differs\n"
    (checkout / "a").write_text("2")
    assert bash(checkout, f"stamped it \"$(hash_of '{checkout}/a' -- word)\" || echo differs").stdout == "differs\n"


def test_sources_do_not_count_what_was_installed_beside_them(checkout: Path) -> None:
    (checkout / "web" / "node_modules").mkdir(parents=True)
    (checkout / "web" / "index.html").write_text("1")
    before = bash(checkout, "sources_hash web").stdout
    (checkout / "web" / "node_modules" / "x").write_text("1")
    assert bash(checkout, "sources_hash web").stdout == before
    (checkout / "web" / "index.html").write_text("2")
    assert bash(checkout, "sources_hash web").stdout != before
