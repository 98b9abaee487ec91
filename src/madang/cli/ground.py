"""What commands share: the ground of this site, and errors printed for a person."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from madang.kernel import log
from madang.kernel.errors import MadangError
from madang.kernel.ground import Ground
from madang.kernel.settings import SiteSettings
from madang.migrations import upgrade
from madang.services import load_settings

Result = TypeVar("Result")
out = Console()
err = Console(stderr=True)


@contextlib.asynccontextmanager
async def open_ground() -> AsyncIterator[Ground]:
    """The site's ground, beside portals that may be running on it."""
    settings = load_settings()
    log.configure("warning", settings[SiteSettings].log_format)
    ground = Ground(settings, shared=True)
    await upgrade(ground.database)
    await ground.start()
    try:
        yield ground
    finally:
        await ground.stop()


def run(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a command's work; a MadangError is printed as sentence and hint, exit status 1."""
    try:
        return asyncio.run(work())
    except MadangError as error:
        show(error)
        raise typer.Exit(1) from None


def show(error: MadangError) -> None:
    # Escaped: what somebody typed may look like Rich's markup.
    err.print(f"[bold red]{escape(error.title)}.[/] {escape(error.detail)}".rstrip(), highlight=False, soft_wrap=True)
    if error.hint:
        err.print(f"  {escape(error.hint)}", highlight=False, soft_wrap=True)
