"""What is rendered is right for systemd and nginx, and the second time there is nothing to do."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.support.portal import PortalProcess
from tests.support.proxy import Proxy

LAYOUTS = [
    pytest.param([], ["madang.service"], id="one portal"),
    pytest.param(
        ["--separate"],
        ["madang-identity.service", "madang-machines.service", "madang-vnc.service"],
        id="a process for each service",
    ),
    pytest.param(["--portals", "127.0.0.1:8080,127.0.0.1:8081"], ["madang@.service"], id="two portals on this host"),
    pytest.param(["--portals", "10.0.0.1:8080,10.0.0.2:8080"], ["madang.service"], id="portals on two hosts"),
    pytest.param(
        ["--portals", "10.0.0.1:8080,10.0.0.2:8080", "--separate"],
        ["madang-identity.service", "madang-machines.service", "madang-vnc.service"],
        id="services on two hosts",
    ),
    pytest.param(["--user", "www-data"], ["madang.service"], id="as an ordinary user"),
]


@pytest.fixture(scope="module")
def host() -> Iterator[PortalProcess]:
    """Somewhere to run the command line; no portal runs."""
    portal = PortalProcess()
    yield portal
    portal.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as proxy:
        yield proxy


@pytest.mark.parametrize(("options", "units"), LAYOUTS)
def test_systemd_and_nginx_take_it(
    host: PortalProcess, proxy: Proxy, options: Sequence[str], units: Sequence[str]
) -> None:
    proxy.render([host], *options)
    folder = proxy.folder / "root/etc/systemd/system"
    assert sorted(path.name for path in folder.iterdir()) == units
    verify([path.rename(instance_of(path)) for path in folder.iterdir()])
    done = proxy.test()
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr and "warn" not in proxy.log, done.stderr


def instance_of(unit: Path) -> Path:
    """A template cannot be verified, one of its instances can."""
    return unit.with_name(unit.name.replace("@.", "@8080."))


def verify(units: Sequence[Path]) -> None:
    command = ["systemd-analyze", "verify", "--man=no", *map(str, units)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    # It also says what is wrong with this machine's own units.
    said = [line for line in done.stderr.splitlines() if "madang" in line]
    assert (done.returncode, said) == (0, []), done.stderr


def test_the_second_time_there_is_nothing_to_do(host: PortalProcess, proxy: Proxy) -> None:
    assert "new" in proxy.render([host]).stdout
    assert proxy.render([host]).stdout == "No changes.\n"
    assert proxy.render([host], "--check").stdout == "No changes.\n"


def test_what_would_change_is_shown_and_not_done(host: PortalProcess, proxy: Proxy) -> None:
    proxy.render([host])
    before = files(proxy)
    shown = checked(host, proxy, "--portals", "127.0.0.1:1,127.0.0.1:2")
    assert "+    server 127.0.0.1:2" in shown and "-    server" in shown
    assert "3 files would change." in shown
    assert files(proxy) == before
    proxy.render([host], "--portals", "127.0.0.1:1,127.0.0.1:2")
    names = {path.name for path in files(proxy)}
    assert "madang@.service" in names and "madang.service" not in names, "what an earlier layout left is removed"


def test_what_somebody_edited_is_kept(host: PortalProcess, proxy: Proxy) -> None:
    proxy.render([host])
    unit = proxy.folder / "root/etc/systemd/system/madang.service"
    settings = proxy.folder / "root/etc/madang/madang.toml"
    edited = unit.read_text().replace("RestartSec=1", "RestartSec=9")
    unit.write_text(edited)
    settings.write_text("# mine\n")
    assert "1 of them edited by hand" in checked(host, proxy)
    refused = proxy.render([host], "--https-port", "1", check=False)
    assert refused.returncode == 1 and "Edited by hand" in refused.stderr and "--force" in refused.stderr
    assert unit.read_text() == edited
    assert "listen 127.0.0.1:1 " not in (proxy.folder / "root/etc/nginx/conf.d/madang.conf").read_text()
    assert "written anew" in proxy.render([host], "--force").stdout
    assert unit.with_name("madang.service.old").read_text() == edited
    assert "RestartSec=1\n" in unit.read_text()
    assert settings.read_text() == "# mine\n", "settings are the operator's"


def test_the_settings_that_are_written_are_valid(host: PortalProcess, proxy: Proxy) -> None:
    proxy.render([host])
    settings = str(proxy.folder / "root/etc/madang/madang.toml")
    host.environment = {name: value for name, value in host.environment.items() if "MADANG_HTTP" not in name}
    said = host.cli("settings", MADANG_CONFIG=settings).stdout
    assert proxy.url in said and str(host.port) in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--public-url", "http://desk.example.org"], "behind TLS"),
        (["--public-url", "https://desk.example.org;}"], "behind TLS"),
        (["--portals", "10.0.0.1"], "host:port"),
        (["--portals", "10.0.0.1:1,10.0.0.1:1"], "address of its own"),
        (["--portals", "10.0.0.1:1;,10.0.0.1:2"], "host:port"),
        (["--portals", "10.0.0.1:1,10.0.0.1:2", "--separate"], "--separate"),
        (["--certificate", "/a b"], "whole path"),
        (["--user", "a;b"], "Unix account"),
        (["--program", "madang"], "whole path"),
        (["--listen", "1.2.3.4; "], "listen on"),
    ],
)
def test_what_cannot_be_rendered(host: PortalProcess, proxy: Proxy, options: Sequence[str], words: str) -> None:
    done = proxy.render([host], *options, check=False)
    assert done.returncode == 1 and words in done.stderr, done.stderr
    assert not files(proxy)


def checked(host: PortalProcess, proxy: Proxy, *options: str) -> str:
    """`--check`, which has something to say."""
    done = proxy.render([host], "--check", *options, check=False)
    assert done.returncode == 1, done.stderr
    return done.stdout


def files(proxy: Proxy) -> dict[Path, str]:
    return {path: path.read_text() for path in (proxy.folder / "root").rglob("*") if path.is_file()}
