"""`madang machines`: one's own virtual machines, through the portal's API."""

from __future__ import annotations

import re
import time
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from madang.cli.client import PortalClient
from madang.cli.ground import out
from madang.kernel.errors import InvalidInput, NotFound

app = typer.Typer(help="Machines: make, start, boot from CD or disk, delete.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(help="Name or id of a machine, as `madang machines list` shows it.")]
POLL_SECONDS = 0.5
UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
ORDERS = "cdrom_hd, hd, cdrom or hd_cdrom"


def size(text: str) -> int:
    """Bytes of 512M, 20G, 1.5T (powers of 1024). Raises InvalidInput."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", text.strip(), re.IGNORECASE)
    if found is None or (bytes_ := round(float(found[1]) * UNITS[found[2].upper()])) <= 0:
        raise InvalidInput(f"{text!r} is no size.", hint="Sizes are written as 512M or 20G.")
    return bytes_


def shown(bytes_: int | None) -> str:
    if bytes_ is None:
        return ""
    value, unit = float(bytes_), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"


def _of(part: int | None, whole: int | None) -> str:
    return "" if whole is None else f"{shown(part)} of {shown(whole)}"


@app.command("list")
def list_machines(
    everybody: Annotated[bool, typer.Option("--all", help="Of all people (operators).")] = False,
) -> None:
    """List machines."""
    with PortalClient() as client:
        found = client.get("/api/vms", params={"all": everybody})
    if not found:
        out.print("No machines. `madang machines create NAME --iso ISO` makes one.")
        return
    table = Table("id", "name", "state", "owner", "installed", "boots", "now from", "CDs", "CPUs", "memory", "disk")
    for machine in found:
        table.add_row(*map(Text, _row(machine)))
    out.print(table)


def _row(machine: dict[str, Any]) -> list[str]:
    at_work = f" ({machine['operation']['kind']})" if machine["operation"] else ""
    order = machine["boot_order"] + ("*" if machine["pending"] or machine["next_boot"] else "")
    media = ", ".join(medium["iso"] or "-" for medium in machine["current_media"])
    disk = f"{shown(machine['disk_used'])} of {shown(machine['disk_size'])}"
    return [
        machine["id"], machine["name"], machine["state"] + at_work, machine["owner"]["name"],
        machine["installation_status"], order, machine["current_boot_device"] or "", media,
        str(machine["cpus"]), shown(machine["memory_bytes"]), disk,
    ]  # fmt: skip


@app.command()
def show(which: Which) -> None:
    """Show one machine, and what is suggested for it."""
    with PortalClient() as client:
        machine = find(client, which)
    for name in (
        "id", "name", "state", "host", "installation_status", "boot_order", "current_boot_order",
        "current_boot_device", "firmware", "cpus", "network", "disk_path", "protected", "notes",
    ):  # fmt: skip
        out.print(f"{name:<20} {machine[name] if machine[name] is not None else ''}", highlight=False, markup=False)
    out.print(f"{'memory':<20} {shown(machine['memory_bytes'])}", highlight=False)
    out.print(f"{'disk':<20} {shown(machine['disk_used'])} of {shown(machine['disk_size'])}", highlight=False)
    for medium in machine["current_media"]:
        out.print(f"{medium['target']:<20} {medium['iso'] or 'empty'}", highlight=False, markup=False)
    for one in machine["pending"]:
        out.print(f"at the next start     {one['what']}: {one['from']} -> {one['to']}", highlight=False, markup=False)
    if once := machine["next_boot"]:
        out.print(f"the next start alone  {once['boot_order']} ({once['why']})", highlight=False, markup=False)
    for one in machine["suggestions"]:
        out.print(f"suggested             {one['code']} {one['boot_order'] or one['iso'] or ''}", markup=False)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    iso: Annotated[str, typer.Option(help="Name of an ISO of the catalogue (`madang machines isos`).")] = "",
    drivers: Annotated[str, typer.Option(help="Name of a second ISO, as with drivers.")] = "",
    cpus: Annotated[int | None, typer.Option(min=1, help="How many CPUs.")] = None,
    memory: Annotated[str, typer.Option(help="As in 2G.")] = "",
    disk: Annotated[str, typer.Option(help="As in 20G.")] = "",
    boot_order: Annotated[str, typer.Option(help=f"{ORDERS}; default: the site's.")] = "",
    firmware: Annotated[str, typer.Option(help="bios or uefi.")] = "bios",
    network: Annotated[str, typer.Option(help="Default: the site's first.")] = "",
    host: Annotated[str, typer.Option(help="Default: where there is most room.")] = "",
    notes: Annotated[str, typer.Option(help="What it is for.")] = "",
    start_it: Annotated[bool, typer.Option("--start", help="Start it at once.")] = False,
) -> None:
    """Make a machine."""
    wish: dict[str, Any] = {"name": name, "notes": notes, "firmware": firmware, "start": start_it, "cpus": cpus}
    wish |= {"memory_bytes": size(memory) if memory else None, "disk_bytes": size(disk) if disk else None}
    wish |= {"boot_order": boot_order or None, "network": network or None, "host": host or None}
    with PortalClient() as client:
        wish |= {"iso_path": _iso(client, iso), "second_iso_path": _iso(client, drivers)}
        made = waited(client, client.post("/api/vms", json=wish))
        out.print(f"Machine {made['id']} is {made['state']}.")


@app.command()
def start(
    which: Which,
    cd_once: Annotated[bool, typer.Option("--cd-once", help="Boot the CD this once.")] = False,
) -> None:
    """Start a machine."""
    with PortalClient() as client:
        machine = find(client, which)
        if cd_once:
            client.post(f"/api/vms/{machine['id']}/boot-order/once", json={"boot_order": "cdrom"})
        _act(client, machine, "start")


def _power(action: str, help_text: str) -> None:
    def command(which: Which) -> None:
        with PortalClient() as client:
            _act(client, find(client, which), action)

    command.__doc__ = help_text
    app.command(action.replace("_", "-"))(command)


_power("shut_down", "Ask a machine's system to shut down.")
_power("restart", "Shut a machine down and start it with what is pending.")
_power("reset", "Press a machine's reset button.")
_power("force_off", "Turn a machine off at once.")
_power("pause", "Pause a machine.")
_power("resume", "Go on with a paused machine.")


def _act(client: PortalClient, machine: dict[str, Any], action: str) -> None:
    done = waited(client, client.post(f"/api/vms/{machine['id']}/action", json={"action": action}))
    out.print(f"{escape(done['name'])} is {done['state']}.")


@app.command("boot-order")
def boot_order_of(
    which: Which,
    order: Annotated[str, typer.Argument(help=f"{ORDERS}; none: show it.")] = "",
    now: Annotated[bool, typer.Option("--now", help="Restart a machine that runs.")] = False,
    discard: Annotated[bool, typer.Option("--discard", help="Drop what is pending.")] = False,
) -> None:
    """Show or change from what a machine boots."""
    with PortalClient() as client:
        machine = find(client, which)
        base = f"/api/vms/{machine['id']}/boot-order"
        if discard:
            machine = waited(client, client.post(f"{base}/discard"))
        elif order:
            wish = {"boot_order": order, "apply": "now" if now else "next_start"}
            machine = waited(client, client.post(base, json=wish))
        pending = [one for one in machine["pending"] if one["what"] == "boot_order"]
        later = " from its next start on" if pending else ""
        out.print(f"{escape(machine['name'])} boots {machine['boot_order']}{later}.")


@app.command()
def hardware(
    which: Which,
    cpus: Annotated[int | None, typer.Option(min=1, help="How many CPUs.")] = None,
    memory: Annotated[str, typer.Option(help="As in 2G.")] = "",
    network: Annotated[str, typer.Option(help="One of the site's networks.")] = "",
    now: Annotated[bool, typer.Option("--now", help="Restart a machine that runs.")] = False,
    discard: Annotated[bool, typer.Option("--discard", help="Drop what is pending.")] = False,
) -> None:
    """Show or change a machine's CPUs, memory and network."""
    wish: dict[str, Any] = {"cpus": cpus, "memory_bytes": size(memory) if memory else None, "network": network or None}
    with PortalClient() as client:
        machine = find(client, which)
        base = f"/api/vms/{machine['id']}/hardware"
        if discard:
            machine = waited(client, client.post(f"{base}/discard"))
        elif any(wish.values()):
            machine = waited(client, client.patch(base, json=wish | {"apply": "now" if now else "next_start"}))
        has = f"{machine['cpus']} CPUs, {shown(machine['memory_bytes'])} of memory, network {machine['network']}"
        pending = [one for one in machine["pending"] if one["what"] != "boot_order"]
        out.print(f"{escape(machine['name'])}: {has}{' from its next start on' if pending else ''}.", highlight=False)


@app.command()
def insert(
    which: Which,
    iso: Annotated[str, typer.Argument(help="Name of an ISO of the catalogue.")],
    drive: Annotated[str, typer.Option(help="Which drive; default: the first empty one.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Open a tray that the guest holds.")] = False,
) -> None:
    """Put an ISO into a drive."""
    with PortalClient() as client:
        wish = {"iso_path": _iso(client, iso), "target": drive or None, "force": force}
        _media(client, find(client, which), "attach", wish)


@app.command()
def eject(
    which: Which,
    drive: Annotated[str, typer.Option(help="Which drive; default: all.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Open a tray that the guest holds.")] = False,
) -> None:
    """Empty a drive, or all."""
    with PortalClient() as client:
        _media(client, find(client, which), "detach", {"target": drive or None, "force": force})


def _media(client: PortalClient, machine: dict[str, Any], what: str, wish: dict[str, Any]) -> None:
    done = waited(client, client.post(f"/api/vms/{machine['id']}/media/{what}", json=wish))
    for medium in done["current_media"]:
        out.print(f"{medium['target']}: {medium['iso'] or 'empty'}", highlight=False, markup=False)


@app.command()
def installed(
    which: Which,
    eject_it: Annotated[bool, typer.Option("--eject", help="Empty its drives too.")] = False,
    boot_order: Annotated[str, typer.Option(help=f"{ORDERS}; default: as it is.")] = "",
) -> None:
    """Say that a machine's system is installed."""
    wish = {"eject": eject_it, "boot_order": boot_order or None}
    with PortalClient() as client:
        machine = find(client, which)
        done = waited(client, client.post(f"/api/vms/{machine['id']}/complete-installation", json=wish))
        out.print(f"{escape(done['name'])}: {done['installation_status']}, boots {done['boot_order']}.")


@app.command()
def resize(which: Which, gb: Annotated[int, typer.Argument(min=1, help="The disk's new size in GB (1024³).")]) -> None:
    """Make a machine's disk larger."""
    with PortalClient() as client:
        machine = find(client, which)
        done = waited(client, client.post(f"/api/vms/{machine['id']}/disk/resize", json={"size_gb": gb}))
        out.print(f"{escape(done['name'])} has {shown(done['disk_size'])} of disk.")


@app.command()
def delete(
    which: Which,
    keep_disk: Annotated[bool, typer.Option("--keep-disk", help="Leave its disk where it is.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a machine that does not run."""
    with PortalClient() as client:
        machine = find(client, which)
        if not yes and typer.prompt(f"Type the name {machine['name']!r} to delete it") != machine["name"]:
            raise InvalidInput("This is not its name. Nothing was deleted.")
        disks = "keep" if keep_disk else "remove"
        client.delete(f"/api/vms/{machine['id']}", params={"name": machine["name"], "disks": disks})
        out.print("Deleted.")


@app.command()
def isos() -> None:
    """List the ISO files that may be inserted."""
    with PortalClient() as client:
        found = client.get("/api/isos")
    table = Table("name", "label", "boots", "size", "in use by")
    for iso in found:
        boots = ", ".join(iso["boots"]) if iso["readable"] else "cannot be read"
        using = ", ".join(user["name"] for user in iso["used_by"])
        table.add_row(*map(Text, (iso["name"], iso["label"], boots, shown(iso["size"]), using)))
    out.print(table)


@app.command()
def operations(which: Which) -> None:
    """List what is, was or will be done to a machine."""
    with PortalClient() as client:
        found = client.get(f"/api/vms/{find(client, which)['id']}/operations")
    table = Table("id", "what", "state", "by", "begun", "ended", "why it failed")
    for one in found:
        why = (one["failure"] or {}).get("title", "")
        row = (one["id"], one["kind"], one["state"], one["asked_by"], one["created_at"], one["ended_at"] or "", why)
        table.add_row(*map(Text, row))
    out.print(table)


@app.command()
def hosts() -> None:
    """List the hosts of machines, whether they answer and what room they have (operators)."""
    with PortalClient() as client:
        found = client.get("/api/vms/hosts")
    table = Table("name", "URI", "answers", "machines", "running", "CPUs", "memory free", "pool free", "problem")
    for one in found:
        answers = "yes" if one["connected"] else f"not since {one['down_since']}"
        has = one["capacity"]
        sizes = (one["pool"]["free"], one["pool"]["total"]) if one["pool"] else (None, None)
        row = (
            one["name"], one["uri"], answers, str(one["machines"]), str(has["running"] if has else ""),
            str(has["cpus"] if has else ""), _of(has["memory_free"], has["memory_bytes"]) if has else "", _of(*sizes),
            one["problem"] or (one["storage_problem"] or {}).get("detail", ""),
        )  # fmt: skip
        table.add_row(*map(Text, row))
    out.print(table)


@app.command()
def strangers() -> None:
    """List machines that libvirt has and nobody here (operators)."""
    with PortalClient() as client:
        found = client.get("/api/vms/strangers")
    table = Table("id", "name", "host", "state", "CPUs", "memory", "disk")
    for one in found:
        memory, disk = shown(one["memory_bytes"]), one["disk_path"] or ""
        table.add_row(*map(Text, (one["id"], one["name"], one["host"], one["state"], str(one["cpus"]), memory, disk)))
    out.print(table)


@app.command()
def adopt(
    which: Annotated[str, typer.Argument(help="Name or id, as `madang machines strangers` shows it.")],
    to: Annotated[str, typer.Option(help="Name of the person whose it will be; default: one's own.")] = "",
    name: Annotated[str, typer.Option(help="What to call it; default: as it is called.")] = "",
) -> None:
    """Take a machine of libvirt over as it is (operators)."""
    with PortalClient() as client:
        found = [one for one in client.get("/api/vms/strangers") if which in (one["name"], one["id"])]
        if len(found) != 1:
            raise NotFound(f"{len(found)} machines are called {which!r}.", hint="madang machines strangers")
        wish = {"host": found[0]["host"], "person": to, "name": name}
        taken = client.post(f"/api/vms/strangers/{found[0]['id']}/adopt", json=wish)
        out.print(f"{escape(taken['name'])} belongs to {taken['owner']['name']} now.")


@app.command()
def snapshot(which: Which, title: Annotated[str, typer.Argument(help="What to call it.")]) -> None:
    """Keep a machine as it is now."""
    with PortalClient() as client:
        machine = find(client, which)
        waited(client, client.post(f"/api/vms/{machine['id']}/snapshots", json={"title": title}))
        out.print("Taken.")


@app.command()
def snapshots(which: Which) -> None:
    """List a machine's snapshots."""
    with PortalClient() as client:
        found = client.get(f"/api/vms/{find(client, which)['id']}/snapshots")
    table = Table("id", "title", "taken", "machine was", "now")
    for one in found:
        row = (one["name"], one["title"], one["created_at"], one["state"], "*" if one["current"] else "")
        table.add_row(*map(Text, row))
    out.print(table)


@app.command()
def revert(which: Which, taken: Annotated[str, typer.Argument(help="Id of a snapshot.")]) -> None:
    """Make a machine what it was; what came since is lost."""
    with PortalClient() as client:
        machine = find(client, which)
        done = waited(client, client.post(f"/api/vms/{machine['id']}/snapshots/{taken}/revert"))
        out.print(f"{escape(done['name'])} is as it was, and {done['state']}.")


@app.command()
def backup(which: Which) -> None:
    """Back a machine up, also while it runs."""
    with PortalClient() as client:
        machine = find(client, which)
        waited(client, client.post(f"/api/vms/{machine['id']}/backups"))
        newest = client.get(f"/api/vms/{machine['id']}/backups")[0]
        out.print(f"Backup {newest['id']} has {shown(newest['size'])}.")


@app.command()
def backups(
    which: Annotated[str, typer.Argument(help="Name or id of a machine; none: all of one's own.")] = "",
) -> None:
    """List backups, also of machines that are gone."""
    with PortalClient() as client:
        path = f"/api/vms/{find(client, which)['id']}/backups" if which else "/api/vms/backups"
        found = client.get(path)
    table = Table("id", "of", "made", "size", "verified")
    for one in found:
        row = (one["id"], one["machine_name"], one["created_at"], shown(one["size"]), one["verified_at"] or "")
        table.add_row(*map(Text, row))
    out.print(table)


@app.command()
def restore(
    backup_id: Annotated[str, typer.Argument(help="Id of a backup, as `madang machines backups` shows it.")],
    name: Annotated[str, typer.Option("--new", help="Into a new machine of this name.")] = "",
) -> None:
    """Put a backup over its machine, or into a new one."""
    with PortalClient() as client:
        if name:
            done = waited(client, client.post(f"/api/vms/backups/{backup_id}/new", json={"name": name}))
        else:
            of = [one["machine_id"] for one in client.get("/api/vms/backups") if one["id"] == backup_id]
            if not of:
                raise NotFound(f"There is no backup {backup_id!r} of yours.", hint="madang machines backups")
            done = waited(client, client.post(f"/api/vms/{of[0]}/backups/{backup_id}/restore"))
        out.print(f"{escape(done['name'])} is restored, and {done['state']}.")


def find(client: PortalClient, which: str) -> dict[str, Any]:
    """One's own machine of this name or id, or anybody's of this id for operators. Raises NotFound, InvalidInput."""
    named = [one for one in client.get("/api/vms") if which in (one["name"], one["id"])]
    if len(named) > 1:
        raise InvalidInput(f"{len(named)} machines are called {which!r}.", hint="Say which by its id.")
    if named:
        return dict(named[0])
    if re.fullmatch(r"[0-9a-f-]{36}", which):
        return dict(client.get(f"/api/vms/{which}"))
    raise NotFound(f"There is no machine {which!r} of yours.", hint="madang machines list")


def _iso(client: PortalClient, name: str) -> str | None:
    """The catalogue's path of an ISO. Raises NotFound."""
    if not name:
        return None
    for iso in client.get("/api/isos"):
        if name in (iso["name"], iso["path"]):
            return str(iso["path"])
    raise NotFound(f"There is no ISO {name!r} in the catalogue.", hint="madang machines isos")


def waited(client: PortalClient, machine: dict[str, Any]) -> dict[str, Any]:
    """The machine once the operation that it was answered with is over. Ends with why, where it failed."""
    operation = machine["operation"]
    while operation is not None and operation["state"] in ("queued", "running"):
        time.sleep(POLL_SECONDS)
        operation = client.get(f"/api/vms/{machine['id']}/operations/{operation['id']}")
        if operation["state"] in ("failed", "cancelled"):
            failure = operation["failure"] or {"title": "It was cancelled.", "detail": "", "hint": ""}
            title, detail, hint = (escape(failure[word]) for word in ("title", "detail", "hint"))
            out.print(f"[bold red]{title}[/] {detail}\n  {hint}", soft_wrap=True)
            raise typer.Exit(1)
    return dict(client.get(f"/api/vms/{machine['id']}")) if machine["operation"] else machine
