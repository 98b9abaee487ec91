"""`madang deploy`: the files that put a site on hosts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from madang import services
from madang.cli.ground import out, run
from madang.deploy import facts, plan, render, units
from madang.deploy.layout import Address, Layout, ServiceProcess, address
from madang.kernel.settings import HttpSettings, Settings

app = typer.Typer(help="Put Madang on hosts: systemd units and the nginx site.", no_args_is_help=True)
WORDS = {
    plan.Fate.NEW: "new",
    plan.Fate.CHANGED: "changed",
    plan.Fate.REMOVED: "removed",
    plan.Fate.EDITED: "written anew",
}
Text = str | None


@app.callback()
def group() -> None:
    """Put Madang on hosts: systemd units and the nginx site."""


@app.command("render")
def render_files(
    folder: Annotated[Path, typer.Argument(help="Where etc/... is written: / for this host, another to look first.")],
    portals: Annotated[Text, typer.Option(help="host:port of every portal, by commas; else the one of http.*.")] = None,
    public_url: Annotated[Text, typer.Option(help="What browsers open, instead of http.public_url.")] = None,
    separate: Annotated[bool, typer.Option("--separate", help="A process for each service.")] = False,
    user: Annotated[str, typer.Option(help="Who runs the portal: root, so that desktops are people's own.")] = "root",
    program: Annotated[Text, typer.Option(help="Path of madang on the hosts, instead of this one's.")] = None,
    settings_file: Annotated[str, typer.Option(help="The settings of the portals.")] = "/etc/madang/madang.toml",
    certificate: Annotated[Text, typer.Option(help="The certificate with its chain (PEM).")] = None,
    certificate_key: Annotated[Text, typer.Option(help="The key of the certificate (PEM).")] = None,
    listen: Annotated[str, typer.Option(help="Address that nginx listens on; else all.")] = "",
    https_port: Annotated[int, typer.Option(min=1, max=65535, help="Port that browsers come to.")] = 443,
    http_port: Annotated[int, typer.Option(min=0, max=65535, help="Port that sends them to it; 0: none.")] = 80,
    check: Annotated[bool, typer.Option("--check", help="Only show what would change; exit 1 if something.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also write files anew that were edited by hand.")] = False,
) -> None:
    """Write systemd units and an nginx site; the same again says "No changes"."""
    loaded = services.load_settings()
    http = loaded[HttpSettings]
    tls = {"certificate": certificate, "certificate_key": certificate_key}
    layout = Layout(
        portals=[address(each) for each in portals.split(",")] if portals else [_own_address(http)],
        public_url=public_url or http.public_url,
        services=[_process(service.name, service.summary, loaded) for service in services.SERVICES],
        separate=separate,
        user=user,
        program=program or str(Path(sys.executable).with_name("madang")),
        settings_file=settings_file,
        state_folder=str(loaded.state_folder),
        stop_seconds=http.close_seconds + http.drain_seconds,
        ping_seconds=http.ping_seconds,
        largest_body_bytes=http.largest_body_bytes,
        largest_upload_bytes=_largest_upload(loaded),
        listen=listen,
        https_port=https_port,
        http_port=http_port,
        ipv6=facts.has_ipv6(),
        nginx=run(facts.nginx_version),
        **{name: path for name, path in tls.items() if path},
    )
    changes = plan.plan(folder.absolute(), render.files(layout), render.KNOWN, render.starters(layout))
    if check:
        _show(changes)
        return
    done = plan.apply(changes, force=force)
    for change in done:
        out.print(f"{WORDS[change.fate]:<13} {change.path}", soft_wrap=True, highlight=False)
    if not done:
        out.print("No changes.")
        return
    _say_what_next(layout, folder)


def _show(changes: list[plan.Change]) -> None:
    differing = [change for change in changes if change.fate is not plan.Fate.SAME]
    for change in differing:
        typer.echo(change.difference)
    edited = sum(change.fate is plan.Fate.EDITED for change in differing)
    if not differing:
        out.print("No changes.")
        return
    by_hand = f", {edited} of them edited by hand" if edited else ""
    out.print(f"{len(differing)} files would change{by_hand}.", highlight=False)
    raise typer.Exit(1)


def _say_what_next(layout: Layout, folder: Path) -> None:
    names = " ".join(units.names(layout))
    for_account = f"useradd --system --create-home {layout.user}; " if layout.user != "root" else ""
    out.print("\nTo take them into use, as root:", highlight=False)
    if folder.absolute() != Path("/"):
        out.print(f"  copy {folder}/etc to /etc of the hosts", soft_wrap=True, highlight=False)
    out.print(
        f"  {for_account}systemctl daemon-reload && systemctl enable --now {names}", soft_wrap=True, highlight=False
    )
    out.print("  nginx -t && systemctl reload nginx", highlight=False)


def _own_address(http: HttpSettings) -> Address:
    return Address({"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(http.host, http.host), http.port)


def _process(name: str, summary: str, loaded: Settings) -> ServiceProcess:
    """A service by what it claims: its routes, and whether there are displays, which only desktops have."""
    stated = services.find(name).claims(loaded)
    routes = [str(claim.what) for claim in stated if claim.kind == "route"]
    return ServiceProcess(name, summary, routes, any(claim.kind == "display" for claim in stated))


def _largest_upload(loaded: Settings) -> int:
    """Of all services, as far as they take files; 0: nginx sets no limit."""
    return max((getattr(section, "largest_upload_bytes", 0) for section in loaded.sections.values()), default=0)
