"""`python -m bench [NAME ...]`: measure all or those named; see docs/performance.md."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import time
import traceback
from types import FrameType

from bench import machine, processes, report
from bench.account import account
from bench.measures import Plan
from bench.results import Outcome

MEASURES = (
    "start", "pool", "cluster", "latency", "proxy", "door", "lists", "idle", "crowd", "portals", "page",
    "machines", "machine_backup", "machine_list", "console",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures Madang side by side with peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASURES)}; all when none is named")
    parser.add_argument("--quick", action="store_true", help="few samples, nothing kept: to try the bench itself")
    parser.add_argument("--write-docs", action="store_true", help="only write docs/performance.md from bench/last.json")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(MEASURES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    if chosen.write_docs:
        report.write_document(MEASURES)
        return 0
    signal.signal(signal.SIGTERM, _interrupt)
    outcomes = []
    with account() as user:
        for name in chosen.names or MEASURES:
            outcomes.append(_measure(name, Plan(user, chosen.quick)))
            report.show(outcomes[-1])
    if not chosen.quick:
        report.keep(machine.describe(), outcomes)
    return 1 if any(outcome.failed for outcome in outcomes) else 0


def _measure(name: str, plan: Plan) -> Outcome:
    module = importlib.import_module(f"bench.measures.{name}")
    outcome = Outcome(name, module.TITLE, module.METHOD, report.now(), 0.0, [], machine.load())
    began = time.monotonic()
    try:
        outcome.rows = module.measure(plan)
    except processes.Trouble as error:
        outcome.trouble = str(error)
    except Exception as error:
        traceback.print_exc()
        outcome.trouble = f"{type(error).__name__}: {error}".splitlines()[0]
    finally:
        processes.stop_all()
    outcome.seconds = time.monotonic() - began
    return outcome


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # As Ctrl-C: everything that was started is stopped on the way out.
    raise KeyboardInterrupt


if __name__ == "__main__":
    os.umask(0o022)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Interrupted; what was started is ended, nothing is kept.", file=sys.stderr)
        sys.exit(130)
