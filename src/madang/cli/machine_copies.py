"""`madang machines`: templates, and backups that come by themselves."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from madang.cli.client import PortalClient
from madang.cli.ground import out
from madang.cli.machines import Which, find, shown, waited
from madang.kernel.errors import InvalidInput


def mount(app: typer.Typer) -> None:
    for command in (template, templates, clone):
        app.command()(command)
    app.command("backup-schedule")(backup_schedule)


def template(
    which: Which,
    off: Annotated[bool, typer.Option("--off", help="Make it a machine again.")] = False,
    everybody: Annotated[
        bool | None, typer.Option("--everybody/--not-everybody", help="Offer it to everybody, or no more (operators).")
    ] = None,
) -> None:
    """Make a machine a template, of which others are made."""
    with PortalClient() as client:
        wish = {"template": not off, "everybody": everybody}
        done = client.post(f"/api/vms/{find(client, which)['id']}/template", json=wish)
        whose = ", for everybody" if done["everybody"] else ""
        out.print(f"{escape(done['name'])} is a {'template' if done['template'] else 'machine'}{whose}.")


def templates() -> None:
    """List what machines can be made of: one's own templates, and those for everybody."""
    with PortalClient() as client:
        found = client.get("/api/vms/templates")
    table = Table("id", "name", "whose", "host", "CPUs", "memory", "disk", "installed")
    for one in found:
        whose = ("own, for everybody" if one["everybody"] else "own") if one["own"] else "for everybody"
        memory, disk = shown(one["memory_bytes"]), shown(one["disk_size"])
        row = (one["id"], one["name"], whose, one["host"], str(one["cpus"]), memory, disk, one["installation_status"])
        table.add_row(*map(Text, row))
    out.print(table)


def clone(
    which: Annotated[str, typer.Argument(help="Name or id of a template, as `madang machines templates` shows it.")],
    name: Annotated[str, typer.Argument(help="What to call the new one.")],
    linked: Annotated[bool, typer.Option("--linked", help="Keep only the difference to the template's disk.")] = False,
) -> None:
    """Make a machine of a template."""
    with PortalClient() as client:
        wish = {"name": name, "linked": linked}
        made = waited(client, client.post(f"/api/vms/{_template(client, which)}/clone", json=wish))
        out.print(f"Machine {made['id']} is {made['state']}.")


def _template(client: PortalClient, which: str) -> str:
    """The id of a template of this name or id, or of a machine. Raises NotFound, InvalidInput."""
    named = [one["id"] for one in client.get("/api/vms/templates") if which in (one["name"], one["id"])]
    if len(named) > 1:
        raise InvalidInput(f"{len(named)} templates are called {which!r}.", hint="Say which by its id.")
    return str(named[0] if named else find(client, which)["id"])


def backup_schedule(
    which: Which,
    every: Annotated[str, typer.Option(help="off, daily, weekly, or site: whenever the site's are.")] = "",
    hour: Annotated[
        int | None, typer.Option(min=0, max=23, help="In the site's time zone; default: the site's.")
    ] = None,
    weekday: Annotated[str, typer.Option(help="Of weekly ones, as in monday; default: the site's.")] = "",
) -> None:
    """Show or choose when a machine is backed up by itself."""
    if (hour is not None or weekday) and not every:
        raise InvalidInput("Say also how often: --every daily or weekly.")
    with PortalClient() as client:
        machine = find(client, which)
        path = f"/api/vms/{machine['id']}/backup-schedule"
        if every:
            now = client.put(path, json={"every": every, "hour": hour, "weekday": weekday or None})
        else:
            now = client.get(path)
    out.print(f"{escape(machine['name'])}: {_said(now)}", highlight=False)
    if now["next_at"]:
        out.print(f"Next: {now['next_at']}", highlight=False)
    if now["failure"]:
        out.print(f"[bold red]The last backup failed:[/] {escape(now['failure']['detail'])}", soft_wrap=True)


def _said(schedule: dict[str, Any]) -> str:
    whose = "chosen" if schedule["own"] else "the site's"
    if schedule["every"] == "off":
        return f"not backed up by itself ({whose})"
    when = f"{schedule['every']} at {schedule['hour']:02}:00 {schedule['time_zone']}"
    return f"{when} on {schedule['weekday']} ({whose})" if schedule["every"] == "weekly" else f"{when} ({whose})"
