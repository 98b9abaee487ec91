"""The figures of the bench: percentiles, targets, and how they are written down."""

import pytest
from bench import report
from bench.machine import Machine
from bench.results import Outcome, Peer, Row, Target, median, percentile


@pytest.mark.parametrize(
    ("samples", "percent", "expected"),
    [([3.0], 95, 3.0), ([1, 2, 3, 4], 50, 2.5), ([4, 1, 3, 2], 0, 1), ([4, 1, 3, 2], 100, 4), (range(101), 95, 95)],
)
def test_percentile(samples, percent, expected):
    assert percentile(list(samples), percent) == pytest.approx(expected)


def test_without_samples_there_is_no_percentile():
    with pytest.raises(ValueError, match="no samples"):
        median([])


@pytest.mark.parametrize(
    ("target", "value", "verdict"),
    [
        (Target(at_most=2), 2.0, "met"),
        (Target(at_most=2), 2.01, "MISSED"),
        (Target(at_least=0.9), 0.9, "met"),
        (Target(at_least=0.9), 0.89, "MISSED"),
        (None, 5, ""),
    ],
)
def test_verdict(target, value, verdict):
    assert Row("something", value, "s", target).verdict == verdict


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0.00"), (0.0412, "0.041"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (2719.2, "2,719")],
)
def test_number(value, shown):
    assert report.number(value) == shown


MACHINE = Machine(2, "a processor", 8.0, "Debian", "3.11", {"Xvnc": "1.12"})


def outcome(name, *rows, trouble=""):
    return Outcome(name, name.title(), "How it is done.", "2026-11-20 16:00 UTC", 1.0, list(rows), 0.5, trouble)


def test_what_is_missed_is_said_first():
    rows = Row("quick", 1, "s", Target(at_most=2), [Peer("other", 3)]), Row("slow", 3, "s", Target(at_most=2))
    text = report.markdown(report.Run(MACHINE, [outcome("start", *rows)]))
    assert "**1 of 2 targets met. Missed: slow.**" in text
    assert "| quick | 1.00 s | ≤ 2 s | met | other: 3.00 s | 1 |" in text
    assert "| slow | 3.00 s | ≤ 2 s | MISSED |  | 1 |" in text


def test_what_could_not_be_measured_is_said():
    assert "Could not be measured: no Xvnc" in report.markdown(
        report.Run(MACHINE, [outcome("start", trouble="no Xvnc")])
    )


def test_a_run_of_some_measures_leaves_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(report, "LAST", tmp_path / "last.json")
    report.keep(MACHINE, [outcome("start", Row("a", 1, "s")), outcome("door", Row("b", 2, "s"))])
    report.keep(MACHINE, [outcome("door", Row("b", 3, "s"))])
    kept = {one.measure: one.rows[0].value for one in report.last().outcomes}
    assert kept == {"start": 1, "door": 3}
