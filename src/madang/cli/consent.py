"""`madang desktops look|looks|answer`: operators ask to look at somebody's desktop, and its person answers."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.table import Table

from madang.cli.client import PortalClient
from madang.cli.ground import out

Id = Annotated[str, typer.Argument(help="Id of a desktop, as `madang desktops list` shows it.")]
POLL_SECONDS = 1.0


def mount(app: typer.Typer) -> None:
    for command in (look, looks, answer):
        app.command()(command)


def look(
    session_id: Id,
    wait_seconds: Annotated[int, typer.Option(min=0, help="Wait so long for the answer.")] = 60,
) -> None:
    """Ask a desktop's person whether you may look (operators); prints where, once they agree."""
    path = f"/api/vnc/sessions/{session_id}/views"
    with PortalClient() as client:
        view: dict[str, Any] = client.post(path)
        out.print(f"Asked: {view['id']}.", highlight=False)
        deadline = time.monotonic() + wait_seconds
        while view["state"] == "asked" and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            view = client.get(f"{path}/{view['id']}")
        if view["state"] == "active":
            out.print(f"You may look until {view['expires_at']}:")
            out.print(f"  {client.url}/desktops/{session_id}/look/{view['id']}", soft_wrap=True)
            return
    words = {"asked": "There is no answer yet; the question stays.", "refused": "They said no."}
    out.print(words.get(view["state"], "It is over."))
    raise typer.Exit(1)


def looks(session_id: Id) -> None:
    """List the operators who ask to look at a desktop of yours, or may."""
    with PortalClient() as client:
        found = client.get(f"/api/vnc/sessions/{session_id}/views")
    if not found:
        out.print("Nobody asks to look.")
        return
    table = Table("id", "by", "state", "until")
    for view in found:
        table.add_row(view["id"], view["by"], view["state"], view["expires_at"])
    out.print(table)


def answer(
    session_id: Id,
    view_id: Annotated[str, typer.Argument(help="Id of the question, as `looks` shows it.")],
    allow: Annotated[bool, typer.Option("--allow/--deny", help="Whether they may look.")],
    minutes: Annotated[int, typer.Option(min=1, max=1440, help="For so long.")] = 15,
) -> None:
    """Let an operator look at a desktop of yours for a while, or not."""
    wish = {"allow": allow, "minutes": minutes}
    with PortalClient() as client:
        view = client.post(f"/api/vnc/sessions/{session_id}/views/{view_id}/answer", json=wish)
    out.print(f"They may look until {view['expires_at']}." if view["state"] == "active" else "They may not look.")
