"""`madang`: the commands."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from madang import __version__
from madang.kernel.errors import MadangError

app = typer.Typer(
    name="madang",
    help="Remote desktops, machines, classes and jobs on machines you own.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def run() -> None:
    """The entry point. Groups are mounted here so that each command loads only what it needs."""
    from madang.cli import (
        consent,
        deploy,
        desktops,
        ground,
        inside,
        lifetime,
        machine_copies,
        machine_disks,
        machines,
        operators,
        people,
        presets,
        sharing,
        site,
    )

    app.add_typer(people.app, name="people")
    for room in (lifetime, sharing, consent, inside):
        room.mount(desktops.app)
    app.add_typer(desktops.app, name="desktops")
    machine_copies.mount(machines.app)
    machines.app.add_typer(machine_disks.app, name="disk")
    app.add_typer(machines.app, name="machines")
    app.add_typer(presets.app, name="presets")
    operators.mount(app)
    app.add_typer(deploy.app, name="deploy")
    site.mount(app)
    try:
        app()
    except MadangError as error:
        ground.show(error)
        raise SystemExit(1) from None


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@app.command()
def openapi(indent: Annotated[int, typer.Option(help="Spaces of indentation.")] = 2) -> None:
    """Print the OpenAPI description of the API."""
    from madang.cli.ground import run as run_async
    from madang.cli.site import describe_api

    typer.echo(msgspec.json.format(msgspec.json.encode(run_async(describe_api)), indent=indent).decode())
