"""`madang presets`: what desktops are started from, through the portal's API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from madang.cli.client import PortalClient
from madang.cli.ground import out
from madang.desktops.preset import Preset
from madang.desktops.preset_files import Step, parse, plan, text_of
from madang.kernel.errors import InvalidInput, NotFound

app = typer.Typer(help="Presets: what desktops are started from (operators).", no_args_is_help=True)
PATH = "/api/vnc/presets"
Name = Annotated[str, typer.Argument(help="Name or id of a preset.")]


@app.command("list")
def list_presets() -> None:
    """List presets: all for operators, for others those that they may use."""
    with PortalClient() as client:
        found = client.get(PATH, params={"all": True})
    table = Table("name", "launcher", "size", "hours", "resources", "for", "pool", "")
    for one in found:
        state = "built-in" if one["built_in"] else "" if one["enabled"] else "off"
        size, hours = f"{one['width']}x{one['height']}", f"{one['time_limit_seconds'] / 3600:g}"
        who = ", ".join([*one["roles"], *one["people"]]) or "everybody"
        pool = str(one["pool_size"] or "")
        table.add_row(*map(Text, (one["name"], one["launcher"], size, hours, _resources(one), who, pool, state)))
    out.print(table)
    for one in found:
        for warning in one["warnings"]:
            out.print(f"{one['name']}: {warning}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def show(name: Name) -> None:
    """Print a preset as it stands in a file."""
    with PortalClient() as client:
        found = _find(client, name)
    typer.echo(text_of([_preset(found)]), nl=False)
    for warning in found["warnings"]:
        typer.echo(f"# {warning}")


@app.command()
def export() -> None:
    """Print all presets as a file for `madang presets apply`."""
    typer.echo(text_of(_stored()), nl=False)


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A TOML file.")],
    remove: Annotated[bool, typer.Option("--remove", help="Also remove presets that the file does not name.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only say what would change; exit 1 if anything.")] = False,
) -> None:
    """Make presets as a file says, and say what changes; applied again it says "No changes"."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8.") from error
    steps = plan(_stored(), parse(text), remove=remove)
    if not steps:
        out.print("No changes.")
        return
    for step in steps:
        _say(step)
    if check:
        raise typer.Exit(1)
    with PortalClient() as client:
        for step in steps:
            _take(client, step)
    out.print(f"{len(steps)} changed.")


@app.command()
def delete(name: Name) -> None:
    """Remove a preset; desktops that were started from it go on."""
    with PortalClient() as client:
        client.delete(f"{PATH}/{_find(client, name)['id']}")
    out.print("Removed.")


def _stored() -> list[Preset]:
    with PortalClient() as client:
        return [_preset(one) for one in client.get(PATH, params={"all": True}) if not one["built_in"]]


def _preset(found: dict[str, Any]) -> Preset:
    return msgspec.convert({key: found[key] for key in Preset.__struct_fields__}, Preset)


def _find(client: PortalClient, name: str) -> dict[str, Any]:
    for one in client.get(PATH, params={"all": True}):
        if name in (one["name"], one["id"]):
            return dict(one)
    raise NotFound(f"There is no preset {name!r}.", hint="madang presets list")


def _say(step: Step) -> None:
    signs = {"create": "+", "change": "~", "delete": "-"}
    out.print(f"{signs[step.do]} {step.preset.name}", highlight=False, markup=False, soft_wrap=True)
    for field, old, new in step.differences:
        out.print(f"    {field}: {old!r} -> {new!r}", highlight=False, markup=False, soft_wrap=True)


def _take(client: PortalClient, step: Step) -> None:
    body = msgspec.to_builtins(step.preset)
    match step.do:
        case "create":
            client.post(PATH, json=body)
        case "change":
            client.put(f"{PATH}/{step.preset.id}", json=body)
        case "delete":
            client.delete(f"{PATH}/{step.preset.id}")


def _resources(one: dict[str, Any]) -> str:
    memory = f"{one['memory_bytes'] / 2**30:g} GiB" if one["memory_bytes"] else ""
    cpus = f"{one['cpus']} CPUs" if one["cpus"] else ""
    gpus = f"GPU {one['gpus']}" if one["gpus"] else ""
    return ", ".join(filter(None, [one["partition"], one["qos"], cpus, memory, gpus]))
