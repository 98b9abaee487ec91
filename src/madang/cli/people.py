"""`madang people`: who may come in."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from madang.cli.ground import open_ground, out, run
from madang.identity.accounts import own_user
from madang.identity.model import Actor, Person
from madang.identity.service import People
from madang.kernel.clock import iso

app = typer.Typer(help="People: who may come in, and as what.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The name that the person signs in with.")]


@app.command()
def add(
    name: Name,
    display_name: Annotated[str, typer.Option(help="As others see the person; default: the name.")] = "",
    role: Annotated[
        list[str], typer.Option(help="admin, operator, teacher, student, member or monitor; may be repeated.")
    ] = ["member"],  # noqa: B006  (Typer only reads it)
    account: Annotated[str | None, typer.Option(help="Unix account of their desktops; default: the name.")] = None,
) -> None:
    """Add a person and print the one-time link that lets them in."""

    async def work(people: People) -> None:
        roles: Any = tuple(role)
        person, link = await people.add(caller(), name, display_name=display_name, roles=roles, account=account)
        out.print(f"{person.name} is added ({', '.join(person.roles)}).", highlight=False)
        show_link(person.name, link)

    with_people(work)


@app.command("list")
def list_people() -> None:
    """List everybody."""

    async def work(people: People) -> None:
        table = Table("name", "display name", "roles", "account", "last sign-in", "")
        for person in await people.all():
            seen = iso(person.last_sign_in_at) if person.last_sign_in_at else "never"
            state = "disabled" if person.disabled else ""
            roles, account = ", ".join(person.roles), person.account or "none"
            # As plain text: a name may look like Rich's markup.
            table.add_row(*map(Text, (person.name, person.display_name, roles, account, seen, state)))
        out.print(table)

    with_people(work)


@app.command()
def disable(name: Name) -> None:
    """Shut a person out: sign-ins, links and API tokens end at once."""
    _switch(name, disabled=True)


@app.command()
def enable(name: Name) -> None:
    """Let a person in again, by their password or a new link."""
    _switch(name, disabled=False)


@app.command("reset-password")
def reset_password(name: Name) -> None:
    """Take a person's password away and print a one-time link to set a new one."""

    async def work(people: People) -> None:
        person = await people.by_name(name)
        show_link(person.name, await people.reset_password(caller(), person.id))

    with_people(work)


@app.command()
def link(name: Name) -> None:
    """Print a one-time sign-in link; the password stays as it is."""

    async def work(people: People) -> None:
        person = await people.by_name(name)
        show_link(person.name, await people.make_link(caller(), person.id))

    with_people(work)


def _switch(name: str, *, disabled: bool) -> None:
    async def work(people: People) -> None:
        person: Person = await people.by_name(name)
        await people.change(caller(), person.id, disabled=disabled)
        out.print(f"{person.name} is {'disabled' if disabled else 'enabled'}.", highlight=False)

    with_people(work)


def with_people(work: Callable[[People], Awaitable[None]]) -> None:
    async def on_ground() -> None:
        async with open_ground() as ground:
            await work(People(ground))

    run(on_ground)


def show_link(name: str, link: str) -> None:
    out.print(f"{name} signs in with this link, once:\n{link}", highlight=False, soft_wrap=True, markup=False)


def caller() -> Actor:
    """Who typed the command, for the audit trail."""
    return Actor(None, f"command line ({os.environ.get('SUDO_USER') or own_user()})")
