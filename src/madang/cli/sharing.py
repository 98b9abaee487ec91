"""`madang desktops share|shares|unshare`: links by which others look at a desktop, or use it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from madang.cli.client import PortalClient
from madang.cli.ground import out

Id = Annotated[str, typer.Argument(help="Id of a desktop, as `madang desktops list` shows it.")]


def mount(app: typer.Typer) -> None:
    for command in (share, shares, unshare):
        app.command()(command)


def share(
    session_id: Id,
    control: Annotated[bool, typer.Option("--control", help="Let them use it too, not only look.")] = False,
    hours: Annotated[float, typer.Option(min=0.02, help="The link is good for so many hours.")] = 1.0,
    label: Annotated[str, typer.Option(help="What you remember it by.")] = "",
    guests: Annotated[bool, typer.Option("--guests", help="Also for people who cannot sign in here.")] = False,
) -> None:
    """Make a link to a desktop; it is printed this once."""
    wish = {
        "mode": "control" if control else "view",
        "expires_in_seconds": round(hours * 3600),
        "label": label,
        "guests": guests,
    }
    with PortalClient() as client:
        made = client.post(f"/api/vnc/sessions/{session_id}/shares", json=wish)
    out.print(made["link"], soft_wrap=True, highlight=False, markup=False)
    out.print(f"Until {made['expires_at']}. `madang desktops unshare {session_id} {made['id']}` takes it back.")


def shares(session_id: Id) -> None:
    """List the links to a desktop, and who looks at it now."""
    with PortalClient() as client:
        found = client.get(f"/api/vnc/sessions/{session_id}/shares")
        there = client.get(f"/api/vnc/sessions/{session_id}/watchers")
    table = Table("id", "mode", "for", "until", "label", "watching")
    for one in found:
        who = "everybody" if one["guests"] else "people of this site"
        row = (one["id"], one["mode"], who, one["expires_at"], one["label"], str(one["watching"] or ""))
        table.add_row(*map(Text, row))
    out.print(table if found else "It is not shared.")
    for one in there:
        name = one["name"] or "somebody without a name"
        out.print(
            f"{name}: {one['mode']}, via {one['via']}, since {one['since']}",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip


def unshare(session_id: Id, share_id: Annotated[str, typer.Argument(help="Id of the link.")]) -> None:
    """Take a link back; whoever came by it is shut out at once."""
    with PortalClient() as client:
        client.delete(f"/api/vnc/sessions/{session_id}/shares/{share_id}")
    out.print("Taken back.")
