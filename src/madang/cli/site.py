"""`madang up|serve|doctor|claims|settings`: the site as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from madang import services
from madang.cli.ground import err, out
from madang.deploy.advice import advice
from madang.kernel import supervision
from madang.kernel.claims import overlaps
from madang.kernel.ground import Ground, Service
from madang.kernel.settings import HttpSettings, Settings
from madang.settings_page import markdown

Host = Annotated[str | None, typer.Option(help="Address to listen on, instead of http.host.")]
Port = Annotated[int | None, typer.Option(help="TCP port to listen on, instead of http.port.")]


def mount(app: typer.Typer) -> None:
    for command in (up, serve, doctor, claims, settings):
        app.command()(command)


def up(
    host: Host = None,
    port: Port = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="Other portals run beside this one on the same state folder.")
    ] = False,
) -> None:
    """Run all services in this process."""
    _serve(services.SERVICES, host, port, shared=shared)


def serve(
    name: Annotated[str, typer.Argument(help="The service, one of those that `madang doctor` lists.")],
    host: Host = None,
    port: Port = None,
) -> None:
    """Run one service in this process; others may run beside it on the same state folder."""
    _serve([services.find(name)], host, port, shared=True)


def _serve(chosen: Sequence[Service], host: str | None, port: int | None, *, shared: bool) -> None:
    import uvloop

    from madang.portal import Portal

    given = {"HOST": host, "PORT": str(port) if port is not None else None}
    loaded = services.load_settings({f"MADANG_HTTP_{key}": value for key, value in given.items() if value is not None})
    services.refuse_overlaps(loaded)
    portal = Portal(loaded, chosen, shared=shared)
    # `up` and `serve identity` know people, so only they can greet the first administrator.
    greets = any(service.name == "identity" for service in chosen)
    try:
        uvloop.run(portal.run(lambda ground: _announce(ground, loaded, chosen, greets)))
    except KeyboardInterrupt:
        err.print("Stopped. Desktops that were running go on.")


async def _announce(ground: Ground, loaded: Settings, chosen: Sequence[Service], greets: bool) -> None:
    names = ", ".join(service.name for service in chosen)
    out.print(f"Madang ({names}) is ready at [bold]{loaded.public_url}[/]", soft_wrap=True)
    for service in chosen:
        for missing in service.missing(loaded):
            out.print(f"  {service.name}: {missing.what} is missing; this brings it: {missing.command}", soft_wrap=True)
    if greets:
        from madang.identity.people import FIRST_NAME, first_administrator

        link = await first_administrator(ground)
        # What goes to systemd's journal is kept there, and others than root may read it.
        out.print(
            f"  Sign in as the first administrator with this link, once:\n  {link}"
            if link and not supervision.to_journal()
            else f"  A new sign-in link, should you need one: madang people link {FIRST_NAME if link else 'NAME'}",
            soft_wrap=True,
            highlight=False,
        )


def doctor() -> None:
    """Say for each service whether its engine is there, and the one command that brings it."""
    loaded = services.load_settings()
    complete = True
    for service in services.SERVICES:
        missing = service.missing(loaded)
        complete = complete and not missing
        mark = "[green]ready[/]" if not missing else "[yellow]incomplete[/]"
        out.print(f"{service.name:<10} {mark}  {service.summary}", highlight=False, soft_wrap=True)
        for item in missing:
            out.print(f"{'':<10} {item.what} is missing. This brings it:\n{'':<10}   {item.command}", soft_wrap=True)
    out.print(f"{'site':<10} {loaded.public_url}", highlight=False, soft_wrap=True)
    for sentence in advice(loaded[HttpSettings]):
        out.print(f"{'':<10} {sentence}", highlight=False, soft_wrap=True)
    if not complete:
        raise typer.Exit(1)


def claims() -> None:
    """Print what each service takes of this host; exit 1 when two take the same."""
    stated = services.all_claims(services.load_settings())
    table = Table("service", "kind", "what")
    for claim in stated:
        table.add_row(claim.service, claim.kind, str(claim.what))
    out.print(table)
    collisions = list(overlaps(stated))
    for first, second in collisions:
        err.print(f"[bold red]Both claim the same:[/] {first} and {second}")
    if collisions:
        raise typer.Exit(1)


def settings(
    document: Annotated[bool, typer.Option("--markdown", help="Print docs/settings.md instead.")] = False,
) -> None:
    """Print every setting in force."""
    if document:
        typer.echo(markdown(services.sections()), nl=False)
        return
    import msgspec

    loaded = services.load_settings()
    table = Table("setting", "value")
    for name, section in loaded.sections.items():
        for key, value in msgspec.to_builtins(section).items():
            table.add_row(f"{name}.{key}", str(value))
    out.print(f"From {loaded.file or 'defaults (no madang.toml)'}", soft_wrap=True)
    out.print(table)


async def describe_api() -> Any:
    from madang.cli.ground import open_ground
    from madang.portal import assemble

    async with open_ground() as ground:
        app = assemble(ground, services.SERVICES)
        return app.litestar.openapi_schema.to_schema()
