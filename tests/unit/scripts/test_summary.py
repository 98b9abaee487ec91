"""scripts/test counts what its stages found, and never counts a stage that broke as one that passed."""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("madang_script_test", str(ROOT / "scripts" / "test"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    sys.modules[loader.name] = module
    loader.exec_module(module)
    return module


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "unit.xml"
    path.write_text(
        "<testsuites><testsuite><testcase name='a'/><testcase name='b'/><testcase name='c'><skipped/></testcase>"
        "<testcase name='d'><failure/></testcase><testcase name='e'><error/></testcase></testsuite></testsuites>"
    )
    return path


def test_counts_what_pytest_wrote(script: ModuleType, results: Path) -> None:
    assert script.counts_of(results, 1) == script.Counts(passed=2, failed=2, skipped=1)


def test_a_stage_that_broke_has_failed(script: ModuleType, tmp_path: Path) -> None:
    assert script.counts_of(tmp_path / "none.xml", 139) == script.Counts(failed=1)
    (tmp_path / "good.xml").write_text("<testsuite><testcase name='a'/></testsuite>")
    assert script.counts_of(tmp_path / "good.xml", 124) == script.Counts(passed=1, failed=1)


def test_a_stage_without_tests_counts_nothing(script: ModuleType, tmp_path: Path) -> None:
    assert script.counts_of(tmp_path / "none.xml", script.NO_TESTS) == script.Counts()


def test_a_command_without_results_counts_as_one(script: ModuleType, tmp_path: Path) -> None:
    assert script.counts_of(tmp_path / "none.xml", 0) == script.Counts(passed=1)


def test_the_line_at_the_end(script: ModuleType) -> None:
    assert str(script.Counts(3, 1)) == "3 passed, 1 failed"
    assert str(script.Counts(3, 0, 2)) == "3 passed, 0 failed, 2 skipped"


def test_a_stage_that_takes_too_long_is_interrupted(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(script.LIMITS, "unit", (0.3, 0))
    assert script.run("unit", ["sleep", "20"]) == 124


def test_every_folder_of_daemon_tests_is_in_one_lane(script: ModuleType) -> None:
    lanes = script.lanes_of("daemons", [])
    found = [folder for lane in lanes for folder in lane]
    there = {f"tests/daemons/{path.parent.name}" for path in (ROOT / "tests" / "daemons").glob("*/test_*.py")}
    assert len(lanes) == 2 and len(found) == len(set(found))
    assert set(found) == there
    assert script.lanes_of("daemons", ["-k", "one"]) == [] == script.lanes_of("unit", [])


def test_lanes_go_side_by_side_and_each_keeps_its_status(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def command(_stage: str, folders: list[str], results: str) -> list[str]:
        return ["sh", "-c", f"echo {results} {folders[0]}; exit {folders[0]}"]

    monkeypatch.setattr(script, "command_of", command)
    assert script.run_lanes("unit", [["0"], ["3"]]) == [0, 3]
    assert set(capfd.readouterr().out.splitlines()) == {"1| unit-1 0", "2| unit-2 3"}
