"""`madang limits|notice|usage`: what operators set and read."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from madang.cli.client import PortalClient
from madang.cli.ground import out
from madang.kernel.errors import InvalidInput


def mount(app: typer.Typer) -> None:
    for command in (limits, notice, usage):
        app.command()(command)


def limits(
    per_person: Annotated[
        str, typer.Option(help="Running desktops of one person; `default`: as the settings say.")
    ] = "",
    of_site: Annotated[str, typer.Option(help="Running desktops of everybody; `none`: no such limit.")] = "",
    person: Annotated[list[str], typer.Option(help="NAME=COUNT for one person; NAME= takes it away.")] = [],  # noqa: B006
) -> None:
    """Show the limits on running desktops, or set some of them."""
    with PortalClient() as client:
        found = client.get("/api/vnc/limits")
        if per_person or of_site or person:
            found = client.put("/api/vnc/limits", json=_changed(found, per_person, of_site, person))
    default = found["default_sessions_per_person"]
    mine = found["sessions_per_person"]
    out.print(f"each person: {default} (settings)" if mine is None else f"each person: {mine}", highlight=False)
    of_all = found["sessions_of_site"]
    out.print(f"the whole site: {'no limit' if of_all is None else of_all}", highlight=False)
    for one in found["people"]:
        out.print(f"{one['name']}: {one['sessions']}", highlight=False, markup=False)


def _changed(found: dict[str, Any], per_person: str, of_site: str, people: list[str]) -> dict[str, Any]:
    new = dict(found)
    if per_person:
        new["sessions_per_person"] = None if per_person == "default" else _number("--per-person", per_person)
    if of_site:
        new["sessions_of_site"] = None if of_site == "none" else _number("--of-site", of_site)
    counts = {one["name"]: one["sessions"] for one in found["people"]}
    for text in people:
        name, equals, count = text.partition("=")
        if not equals or not name:
            raise InvalidInput(f"{text!r} is not NAME=COUNT.")
        if count:
            counts[name] = _number(name, count)
        else:
            counts.pop(name, None)
    new["people"] = [{"name": name, "sessions": count} for name, count in counts.items()]
    return new


def _number(what: str, text: str) -> int:
    if not text.isdecimal():
        raise InvalidInput(f"{what}: {text!r} is no number.")
    return int(text)


def notice(
    text: Annotated[str | None, typer.Argument(help="What everybody reads; empty takes it away.")] = None,
    begins: Annotated[str, typer.Option("--from", help="When the maintenance begins, as 2026-12-01T09:00+09:00.")] = "",
    until: Annotated[str, typer.Option(help="When it is over, and the notice goes.")] = "",
    block: Annotated[bool, typer.Option("--block", help="No new desktops start meanwhile.")] = False,
) -> None:
    """Show the maintenance notice, or set it."""
    with PortalClient() as client:
        if text is None:
            found = client.get("/api/vnc/notice")
        else:
            body = {"text": text, "blocks_start": block, "from": begins or None, "until": until or None}
            found = client.put("/api/vnc/notice", json=body)
    if found is None:
        out.print("There is no notice.")
        return
    out.print(found["text"], highlight=False, markup=False, soft_wrap=True)
    times = f"from {found['from'] or 'now on'} until {found['until'] or 'it is taken away'}"
    out.print(f"  {times}{'; no new desktops start' if found['blocks_start'] else ''}", highlight=False)


def usage(
    begin: Annotated[str, typer.Option("--from", help="First day (UTC), as 2026-11-01; default: 30 days ago.")] = "",
    end: Annotated[str, typer.Option("--to", help="Last day.")] = "",
    csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
) -> None:
    """Who used how much."""
    days = {name: day for name, day in (("from", begin), ("to", end)) if day}
    with PortalClient() as client:
        if csv:
            typer.echo(client.text("/api/vnc/usage.csv", params=days), nl=False)
            return
        found = client.get("/api/vnc/usage", params=days)
    table = Table("person", "account", "preset", "launcher", "desktops", "hours", "CPU hours", "GPU hours")
    for one in found:
        numbers = (f"{one[key]:.1f}" for key in ("hours", "cpu_hours", "gpu_hours"))
        names = (one["person"], one["account"], one["preset"], one["launcher"], str(one["sessions"]))
        table.add_row(*map(Text, (*names, *numbers)))
    out.print(table if found else "Nothing was used.")
