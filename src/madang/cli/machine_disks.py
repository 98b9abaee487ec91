"""`madang machines disk`: further disks of one's own machines, through the portal's API."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from madang.cli.client import PortalClient
from madang.cli.ground import out
from madang.cli.machines import Which, find, shown, waited
from madang.kernel.errors import InvalidInput, NotFound

app = typer.Typer(help="Further disks: add, move, grow, delete.", no_args_is_help=True)

WhichDisk = Annotated[str, typer.Argument(help="Name or id of a disk, as `madang machines disk list` shows it.")]


@app.command("list")
def list_disks() -> None:
    """List one's own further disks, and in which machines they are."""
    with PortalClient() as client:
        found = client.get("/api/vms/disks")
        names = {machine["id"]: machine["name"] for machine in client.get("/api/vms")} if found else {}
    table = Table("id", "name", "size", "takes", "host", "in machine")
    for disk in found:
        where = names.get(disk["machine_id"], disk["machine_id"] or "")
        sizes = shown(disk["size"]), shown(disk["used"])
        table.add_row(*map(Text, (disk["id"], disk["name"], *sizes, disk["host"], where)))
    out.print(table)


@app.command()
def add(
    which: Which,
    name: Annotated[str, typer.Argument(help="What to call the disk.")],
    gb: Annotated[int, typer.Argument(min=1, help="Its size in GB (1024³).")],
) -> None:
    """Make another disk for a machine."""
    with PortalClient() as client:
        machine = find(client, which)
        waited(client, client.post(f"/api/vms/{machine['id']}/disks", json={"name": name, "size_gb": gb}))
        out.print(f"{escape(machine['name'])} has the disk {escape(name)}.")


@app.command()
def attach(which: Which, disk: WhichDisk) -> None:
    """Put a disk that is in no machine into one."""
    _put(which, disk, "attach", "is in")


@app.command()
def detach(which: Which, disk: WhichDisk) -> None:
    """Take a disk away from a machine; it is kept."""
    _put(which, disk, "detach", "is not in")


def _put(which: str, disk: str, what: str, words: str) -> None:
    with PortalClient() as client:
        machine, found = find(client, which), _disk(client, disk)
        waited(client, client.post(f"/api/vms/{machine['id']}/disks/{what}", json={"disk": found["id"]}))
        out.print(f"{escape(found['name'])} {words} {escape(machine['name'])} now.")


@app.command()
def move(disk: WhichDisk, to: Which) -> None:
    """Move a disk from its machine to another one."""
    with PortalClient() as client:
        found, other = _disk(client, disk), find(client, to)
        if found["machine_id"] is None:
            raise InvalidInput("It is in no machine.", hint="madang machines disk attach")
        wish = {"disk": found["id"], "to": other["id"]}
        waited(client, client.post(f"/api/vms/{found['machine_id']}/disks/move", json=wish))
        waited(client, client.get(f"/api/vms/{other['id']}"))  # which takes it once the first one has let go
        now = _disk(client, found["id"])["machine_id"]
        where = (
            f"in {escape(other['name'])}" if now == other["id"] else "in no machine" if now is None else "where it was"
        )
        out.print(f"{escape(found['name'])} is {where} now.")


@app.command()
def grow(disk: WhichDisk, gb: Annotated[int, typer.Argument(min=1, help="Its new size in GB (1024³).")]) -> None:
    """Make a disk larger."""
    with PortalClient() as client:
        found = _disk(client, disk)
        grown = client.post(f"/api/vms/disks/{found['id']}/resize", json={"size_gb": gb})
        if grown["machine_id"] is not None:
            waited(client, client.get(f"/api/vms/{grown['machine_id']}"))
        out.print(f"{escape(found['name'])} has {shown(_disk(client, found['id'])['size'])}.")


@app.command()
def delete(
    disk: WhichDisk,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a disk that is in no machine, with all that is on it."""
    with PortalClient() as client:
        found = _disk(client, disk)
        if not yes and typer.prompt(f"Type the name {found['name']!r} to delete it") != found["name"]:
            raise InvalidInput("This is not its name. Nothing was deleted.")
        client.delete(f"/api/vms/disks/{found['id']}", params={"name": found["name"]})
        out.print("Deleted.")


def _disk(client: PortalClient, which: str) -> dict[str, Any]:
    """One's own disk of this name or id. Raises NotFound, InvalidInput."""
    named = [disk for disk in client.get("/api/vms/disks") if which in (disk["name"], disk["id"])]
    if len(named) > 1:
        raise InvalidInput(f"{len(named)} disks are called {which!r}.", hint="Say which by its id.")
    if not named:
        raise NotFound(f"There is no disk {which!r} of yours.", hint="madang machines disk list")
    return dict(named[0])
