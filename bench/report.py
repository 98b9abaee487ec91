"""Outcomes as a table for the terminal, as JSON, and as docs/performance.md."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench.machine import Machine
from bench.results import Outcome, Row

HERE = Path(__file__).parent
RESULTS = HERE / "results"
LAST = HERE / "last.json"
DOCUMENT = HERE.parent / "docs/performance.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


class Run(msgspec.Struct):
    """A run of the bench; in the last one each measure stands as it was measured last."""

    machine: Machine
    outcomes: list[Outcome]


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def number(value: float) -> str:
    """Three figures that count: 1234, 123, 12.3, 1.23, 0.123, and at least 0.001."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 or value == 0 else f"{value:.3f}"


def show(outcome: Outcome) -> None:
    """Print one outcome."""
    table = Table(title=f"{outcome.measure}: {outcome.title} ({outcome.seconds:.0f} s)", title_justify="left")
    for heading in ("what", "value", "target", "", "peers in the same run"):
        table.add_column(heading, justify="right" if heading in ("value", "target") else "left")
    for row in outcome.rows:
        colour = {"met": "green", "MISSED": "bold red"}.get(row.verdict, "")
        verdict = f"[{colour}]{row.verdict}[/]" if colour else ""
        table.add_row(row.what, f"{number(row.value)} {row.unit}", str(row.target or ""), verdict, _peers(row))
    console = Console(width=150)
    console.print(table)
    if outcome.trouble:
        console.print(f"[bold red]{outcome.measure} could not be measured:[/] {outcome.trouble}", highlight=False)


def _peers(row: Row) -> str:
    return ", ".join(f"{peer.name}: {number(peer.value)} {row.unit}" for peer in row.peers)


def keep(machine: Machine, outcomes: Sequence[Outcome]) -> Path:
    """Write this run to results/, and its measures into last.json in place of older ones."""
    RESULTS.mkdir(exist_ok=True)
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    file = RESULTS / f"{stamp}.json"
    file.write_bytes(_encode(Run(machine, list(outcomes))))
    known = {outcome.measure: outcome for outcome in last().outcomes} if LAST.exists() else {}
    known |= {outcome.measure: outcome for outcome in outcomes}
    LAST.write_bytes(_encode(Run(machine, list(known.values()))))
    return file


def last() -> Run:
    return msgspec.json.decode(LAST.read_bytes(), type=Run)


def _encode(run: Run) -> bytes:
    return msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n"


def write_document(order: Sequence[str]) -> None:
    """Put the last figures between the markers of docs/performance.md."""
    run = last()
    run.outcomes.sort(key=lambda outcome: order.index(outcome.measure))
    text = DOCUMENT.read_text()
    measured = f"{BEGIN}\n{markdown(run)}\n{END}"
    replaced, count = re.subn(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: measured, text, flags=re.DOTALL)
    if count != 1:
        raise SystemExit(f"{DOCUMENT.name} must hold {BEGIN} and {END} once")
    DOCUMENT.write_text(replaced)


def markdown(run: Run) -> str:
    return "\n\n".join([_summary(run), *(_section(outcome) for outcome in run.outcomes)])


def _summary(run: Run) -> str:
    machine = run.machine
    rows = [row for outcome in run.outcomes for row in outcome.rows if row.target]
    missed = [row.what for row in rows if row.verdict == "MISSED"]
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    where = (
        f"{machine.cores} cores ({machine.processor}), {machine.memory_gigabytes:g} GB memory, {machine.system}, no GPU"
    )
    said = f"{len(rows) - len(missed)} of {len(rows)} targets met."
    said += f" Missed: {'; '.join(missed)}." if missed else ""
    return f"{where}; Python {machine.python}, {versions}.\n\n**{said}**"


def _section(outcome: Outcome) -> str:
    lines = [
        f"### {outcome.title}",
        "",
        outcome.method,
        "",
        f"`.venv/bin/python -m bench {outcome.measure}`, {outcome.at}, {outcome.seconds:.0f} s; "
        f"load of the machine before: {outcome.load_before:.1f}.",
        "",
    ]
    if outcome.trouble:
        return "\n".join([*lines, f"Could not be measured: {outcome.trouble}"])
    return "\n".join([*lines, *_table(outcome.rows)])


def _table(rows: Iterable[Row]) -> list[str]:
    lines = ["| what | measured | target | | peers in the same run | samples |", "|---|--:|--:|---|---|--:|"]
    for row in rows:
        target = f"{row.target} {row.unit}" if row.target else ""
        cells = (row.what, f"{number(row.value)} {row.unit}", target, row.verdict, _peers(row), str(row.samples))
        lines.append(f"| {' | '.join(cells)} |")
    return lines
