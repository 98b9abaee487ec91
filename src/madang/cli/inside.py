"""`madang desktops files|upload|download|log|picture|repair|native`: what is done inside a desktop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from madang.cli.client import PortalClient
from madang.cli.ground import out
from madang.kernel.errors import InvalidInput

Id = Annotated[str, typer.Argument(help="Id of a desktop, as `madang desktops list` shows it.")]
PART_BYTES = 1_048_576


def mount(app: typer.Typer) -> None:
    for command in (files, upload, download, log, picture, repair, native):
        app.command()(command)


def files(session_id: Id, path: Annotated[str, typer.Argument(help="A folder; empty: where uploads go.")] = "") -> None:
    """List a folder of the desktop's person."""
    with PortalClient() as client:
        found = client.get(f"/api/vnc/sessions/{session_id}/files", params={"path": path})
    out.print(found["folder"], soft_wrap=True, highlight=False, markup=False)
    table = Table("name", "kind", "size")
    for entry in found["entries"]:
        size = f"{entry['size']:,}" if entry["kind"] == "file" else ""
        table.add_row(Text(entry["name"]), Text(entry["kind"]), size)
    out.print(table)
    if found["truncated"]:
        out.print("There are more; these are the first.")


def upload(
    session_id: Id,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A file of this machine.")],
    folder: Annotated[str, typer.Option(help="Where to; empty: where uploads go.")] = "",
) -> None:
    """Put a file into the desktop's home; what is there already is never written over."""
    size = file.stat().st_size
    with PortalClient() as client, _progress() as progress, file.open("rb") as source:
        task = progress.add_task(escape(file.name), total=size)
        done = client.put(
            f"/api/vnc/sessions/{session_id}/files/content",
            params={"folder": folder, "name": file.name},
            headers={"content-length": str(size), "content-type": "application/octet-stream"},
            content=_parts(source, lambda count: progress.advance(task, count)),
            timeout=None,
        )
    out.print(f"{done['path']}  ({done['size']:,} bytes)", soft_wrap=True, highlight=False, markup=False)


def download(
    session_id: Id,
    path: Annotated[str, typer.Argument(help="A file, absolute or from the home folder.")],
    to: Annotated[Path | None, typer.Option(help="A file or folder of this machine; else the name it has.")] = None,
) -> None:
    """Fetch a file from the desktop's home."""
    name = Path(path).name
    target = Path(name) if to is None else (to / name if to.is_dir() else to)
    if target.exists():
        raise InvalidInput(f"{target} is there already.", hint="Name another file with --to.")
    part = target.with_name(f".{target.name}.part")
    try:
        with (
            PortalClient() as client,
            _progress() as progress,
            client.download(f"/api/vnc/sessions/{session_id}/files/content", params={"path": path}) as answer,
            part.open("wb") as file,
        ):
            task = progress.add_task(escape(name), total=int(answer.headers.get("content-length", 0)))
            for data in answer.iter_raw(PART_BYTES):
                file.write(data)
                progress.advance(task, len(data))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    out.print(str(target), soft_wrap=True, highlight=False, markup=False)


def log(session_id: Id) -> None:
    """Print the last part of a desktop's log."""
    with PortalClient() as client:
        typer.echo(client.text(f"/api/vnc/sessions/{session_id}/log"))


def picture(
    session_id: Id,
    file: Annotated[Path, typer.Argument(help="Where to write it (WebP).")],
    width: Annotated[int, typer.Option(min=120, max=1920, help="In pixels.")] = 1024,
) -> None:
    """Keep what the desktop shows as a picture."""
    with (
        PortalClient() as client,
        client.download(f"/api/vnc/sessions/{session_id}/picture", params={"width": width}) as answer,
    ):
        file.write_bytes(answer.read())
    out.print(str(file), soft_wrap=True, highlight=False, markup=False)


def repair(session_id: Id) -> None:
    """Bring back what died or hangs around the programs; the programs stay."""
    with PortalClient() as client:
        did = client.post(f"/api/vnc/sessions/{session_id}/repair")["did"]
    out.print(f"Brought back: {', '.join(did)}." if did else "Nothing was broken.", markup=False)


def native(
    session_id: Id,
    certificate: Annotated[Path | None, typer.Option(help="Write the certificate there (PEM).")] = None,
) -> None:
    """Let a native VNC client in, once: prints host, port and the one-time password."""
    with PortalClient() as client:
        door: dict[str, Any] = client.post(f"/api/vnc/sessions/{session_id}/native")
    if certificate is not None:
        certificate.write_text(door["certificate"], encoding="ascii")
    shown = certificate or "CERTIFICATE.pem"
    out.print(f"password     {door['password']}  (once, until {door['expires_at']})", highlight=False)
    out.print(f"fingerprint  {door['fingerprint']}", highlight=False, soft_wrap=True, markup=False)
    command = f"vncviewer -SecurityTypes X509Vnc -X509CA {shown} {door['host']}::{door['port']}"
    out.print(command, highlight=False, soft_wrap=True, markup=False)


def _parts(source: BinaryIO, told: Any) -> Iterator[bytes]:
    while data := source.read(PART_BYTES):
        yield data
        told(len(data))


def _progress() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
