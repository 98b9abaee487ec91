"""`madang desktops`: one's own desktops, through the portal's API."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from madang.cli.client import PortalClient
from madang.cli.ground import out
from madang.kernel.errors import NotFound

app = typer.Typer(help="Desktops: list, start, open, end.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="Id of a desktop, as `madang desktops list` shows it.")]
POLL_SECONDS = 0.2


@app.command("list")
def list_desktops(
    everybody: Annotated[bool, typer.Option("--all", help="Of all people (operators).")] = False,
    ended: Annotated[bool, typer.Option(help="Also those that ended lately.")] = False,
) -> None:
    """List desktops."""
    with PortalClient() as client:
        found = client.get("/api/vnc/sessions", params={"ended": ended, "all": everybody})
    if not found:
        out.print("No desktops. `madang desktops start` starts one.")
        return
    table = Table("id", "name", "state", "owner", "preset", "node", "job", "memory", "since", "ends", "notes")
    for session in found:
        table.add_row(*map(Text, _row(session)))
    out.print(table)


def _row(session: dict[str, Any]) -> Iterator[str]:
    state = "unknown" if session["unknown_since"] else session["state"]
    if session["waiting"]:
        state = f"{state} ({session['waiting']['reason']})"
    memory = (session["pulse"] or {}).get("memory_bytes")
    yield from (session["id"], session["name"], state, session["owner"]["name"])
    yield from ((session["preset"] or {}).get("name", ""), session["node"] or "", session["job"] or "")
    yield from (f"{memory / 1e6:.0f} MB" if memory else "", session["created_at"], session["ends_at"] or "")
    yield session["notes"].partition("\n")[0][:40]


@app.command()
def start(
    name: Annotated[str, typer.Option(help="What to call it.")] = "",
    size: Annotated[str, typer.Option(help="Width and height, as in 1440x900.")] = "",
    hours: Annotated[float | None, typer.Option(min=0.02, help="It ends after so many hours.")] = None,
    preset: Annotated[str, typer.Option(help="Name of a preset; default: what was chosen last.")] = "",
    notes: Annotated[str, typer.Option(help="What it is for.")] = "",
    count: Annotated[int, typer.Option(min=1, max=10, help="So many at once.")] = 1,
    wait: Annotated[bool, typer.Option(help="Wait until it is ready.")] = True,
) -> None:
    """Start a desktop, or several."""
    wish: dict[str, Any] = {"name": name, "notes": notes, "count": count}
    if size:
        width, _, height = size.lower().partition("x")
        if not (width.isdecimal() and height.isdecimal()):
            raise typer.BadParameter("a size is written as 1440x900", param_hint="--size")
        wish |= {"width": int(width), "height": int(height)}
    if hours is not None:
        wish["time_limit_seconds"] = round(hours * 3600)
    with PortalClient() as client:
        if preset:
            wish["preset"] = _preset_id(client, preset)
        made = client.post("/api/vnc/sessions", json=wish)
        made = made if isinstance(made, list) else [made]
        if len(made) < count:
            out.print(f"There was room for {len(made)} of {count}.")
        for session in made:
            out.print(f"Desktop {session['id']} asked for.")
            if not wait:
                out.print(f"  {client.url}/desktops/{session['id']}", soft_wrap=True)
        for session in made if wait else ():
            _wait(client, session["id"])


def _preset_id(client: PortalClient, name: str) -> str:
    for preset in client.get("/api/vnc/presets"):
        if name in (preset["name"], preset["id"]):
            return str(preset["id"])
    raise NotFound(f"There is no preset {name!r} for you.", hint="madang presets list")


def _wait(client: PortalClient, session_id: str) -> None:
    told: set[str] = set()
    while True:
        session = client.get(f"/api/vnc/sessions/{session_id}")
        for stage in session["stages"]:
            if stage["seconds"] is not None and stage["name"] not in told:
                told.add(stage["name"])
                out.print(f"  {stage['name']:<16} {stage['seconds']:.2f} s", highlight=False, markup=False)
        if session["state"] == "ready":
            out.print(f"Ready: {client.url}/desktops/{session_id}", soft_wrap=True)
            return
        if session["state"] in ("failed", "ended", "ending"):
            failure = session["failure"] or {"title": "It was ended.", "detail": "", "hint": ""}
            title, *rest = (escape(failure[word]) for word in ("title", "detail", "hint"))
            out.print(f"[bold red]{title}[/] {rest[0]}\n  {rest[1]}", soft_wrap=True)
            raise typer.Exit(1)
        time.sleep(POLL_SECONDS)


@app.command("open")
def open_desktop(session_id: Id) -> None:
    """Print the address of a desktop, and open it in the browser of this machine when there is one."""
    with PortalClient() as client:
        session = client.get(f"/api/vnc/sessions/{session_id}")
        url = f"{client.url}/desktops/{session['id']}"
    out.print(url, soft_wrap=True)
    typer.launch(url)


@app.command()
def end(
    session_id: Id,
    message: Annotated[str, typer.Option(help="What its person is told (operators: of anybody's desktop).")] = "",
) -> None:
    """End a desktop; one that is over is removed from the list."""
    with PortalClient() as client:
        if message:
            ending = client.post(f"/api/vnc/sessions/{session_id}/end", json={"message": message})
        else:
            ending = client.delete(f"/api/vnc/sessions/{session_id}")
    out.print("Ending." if ending else "Removed from the list.")
