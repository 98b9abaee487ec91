"""`madang desktops extend|keep|note|rename`: what is done about a desktop that runs."""

from __future__ import annotations

from typing import Annotated

import typer

from madang.cli.client import PortalClient
from madang.cli.ground import out

Id = Annotated[str, typer.Argument(help="Id of a desktop, as `madang desktops list` shows it.")]


def mount(app: typer.Typer) -> None:
    for command in (extend, keep, note, rename):
        app.command()(command)


def extend(session_id: Id, hours: Annotated[float, typer.Option(min=0.02, help="So much later.")] = 1.0) -> None:
    """Let a desktop end later, within what its preset (and the cluster) allows."""
    with PortalClient() as client:
        session = client.post(f"/api/vnc/sessions/{session_id}/extend", json={"seconds": round(hours * 3600)})
    out.print(f"It ends at {session['ends_at']}.", highlight=False)


def keep(session_id: Id) -> None:
    """Put off the stop of an idle desktop."""
    with PortalClient() as client:
        client.post(f"/api/vnc/sessions/{session_id}/keep")
    out.print("It is kept.")


def note(session_id: Id, text: Annotated[str, typer.Argument(help="Empty: none.")]) -> None:
    """Write down what a desktop is for."""
    with PortalClient() as client:
        client.patch(f"/api/vnc/sessions/{session_id}", json={"notes": text})
    out.print("Noted.")


def rename(session_id: Id, name: Annotated[str, typer.Argument(help="What to call it.")]) -> None:
    """Give a desktop another name."""
    with PortalClient() as client:
        client.patch(f"/api/vnc/sessions/{session_id}", json={"name": name})
    out.print("Renamed.")
