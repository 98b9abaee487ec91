"""scripts/test counts what its stages found, and never counts a stage that broke as one that passed."""

import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

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
    tests = ROOT / "tests" / "daemons"
    there = {path.parent.relative_to(ROOT).as_posix() for path in tests.rglob("test_*.py")}
    assert len(lanes) == 4 and len(found) == len(set(found))
    assert set(found) == there
    assert script.lanes_of("daemons", ["-k", "one"]) == [] == script.lanes_of("unit", [])


def test_every_test_of_the_browser_is_in_one_lane(script: ModuleType) -> None:
    desktops, machines = script.lanes_of("browser", [])
    assert machines == ["tests/browser/machines"]
    tests = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / "browser").rglob("test_*.py")}
    assert set(desktops) == {test for test in tests if not test.startswith("tests/browser/machines/")}


def test_lanes_go_side_by_side_and_each_keeps_its_status(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def command(_stage: str, folders: list[str], results: str) -> list[str]:
        return ["sh", "-c", f"echo {results} {folders[0]}; exit {folders[0]}"]

    monkeypatch.setattr(script, "command_of", command)
    assert script.run_lanes("unit", [["0"], ["3"]]) == [0, 3]
    assert set(capfd.readouterr().out.splitlines()) == {"1| unit-1 0", "2| unit-2 3"}


FAILED = "<testcase classname='tests.daemons.pair.test_a' name='{0}'><failure/></testcase>"
PASSED = "<testcase classname='tests.daemons.pair.test_a' name='{0}'/>"


def suite(*cases: str) -> str:
    return f"<testsuite>{''.join(cases)}</testsuite>"


@pytest.fixture
def again(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs a stage whose pytest writes the first text, and the second when it is run once more."""

    def run_stage(first: str, second: str, stage: str = "daemons", status: int = 1) -> Any:
        (tmp_path / "second").write_text(second)

        def command(_stage: str, arguments: list[str], results: str) -> list[str]:
            (tmp_path / "asked").write_text("\n".join(arguments))
            failed = int("<failure/>" in second)
            return ["sh", "-c", f"cp {tmp_path}/second {tmp_path}/{results}.xml; exit {failed}"]

        monkeypatch.setattr(script, "RESULTS", tmp_path)
        monkeypatch.setattr(script, "command_of", command)
        (tmp_path / f"{stage}.xml").write_text(first)
        return script.run_again(stage, [stage], [status])

    return run_stage


def test_the_few_that_failed_are_run_once_more(again: Callable[..., Any], tmp_path: Path) -> None:
    first = suite(PASSED.format("a"), FAILED.format("b[x/y]"), FAILED.format("c"), FAILED.format("c"))
    counts, unsteady = again(first, suite(PASSED.format("b[x/y]"), PASSED.format("c")))
    assert (tmp_path / "asked").read_text().splitlines() == [
        "tests/daemons/pair/test_a.py::b[x/y]", "tests/daemons/pair/test_a.py::c",
    ]  # fmt: skip
    # The failure of a test and that of its clean-up were two.
    assert (counts.passed, counts.failed) == (2, -3)
    assert unsteady == ["tests/daemons/pair/test_a.py::b[x/y]", "tests/daemons/pair/test_a.py::c"]


def test_who_fails_twice_has_failed(again: Callable[..., Any]) -> None:
    first = suite(FAILED.format("b"), FAILED.format("c"))
    counts, unsteady = again(first, suite(FAILED.format("b"), PASSED.format("c")))
    assert (counts.passed, counts.failed) == (1, -1)
    assert unsteady == ["tests/daemons/pair/test_a.py::c"]


@pytest.mark.parametrize(
    ("stage", "status", "failures"), [("unit", 1, 1), ("daemons", 124, 1), ("daemons", 2, 1), ("daemons", 1, 9)]
)
def test_nothing_is_run_once_more_where_it_is_no_accident(
    again: Callable[..., Any], tmp_path: Path, stage: str, status: int, failures: int
) -> None:
    first = suite(*(FAILED.format(f"t{number}") for number in range(failures)))
    counts, unsteady = again(first, suite(), stage, status)
    assert (counts.passed, counts.failed, unsteady) == (0, 0, [])
    assert not (tmp_path / "asked").exists()


def test_one_that_breaks_off_changes_nothing(again: Callable[..., Any], script: ModuleType) -> None:
    counts, unsteady = again(suite(FAILED.format("b")), "")
    assert (counts, unsteady) == (script.Counts(), [])
