"""What is rendered for which layout; tests/daemons/deploy has systemd and nginx read it."""

from __future__ import annotations

from typing import Any

import pytest

from madang.deploy import render, site, units
from madang.deploy.layout import Address, Layout, ServiceProcess, address
from madang.kernel.errors import InvalidInput

SERVICES = [
    ServiceProcess("identity", "People", ["/api/identity/"], False),
    ServiceProcess("vnc", "Desktops", ["/vnc", "/vncproxy/", "/api/vnc/"], True),
]
HERE = Address("127.0.0.1", 8080)
TWO_HOSTS = [Address("10.0.0.1", 8080), Address("10.0.0.2", 8080)]


def layout(**more: Any) -> Layout:
    return Layout(**{"portals": [HERE], "public_url": "https://desk.example.org", "services": SERVICES} | more)


def unit(which: Layout, name: str) -> str:
    return units.render(which)[f"{units.FOLDER}/{name}.service"]


def nginx(which: Layout) -> str:
    return site.render(which)[site.PATH]


def test_desktops_outlive_the_unit_and_inherit_nothing() -> None:
    text = unit(layout(), "madang")
    for line in ("KillMode=process", "OOMPolicy=continue", "TasksMax=infinity", "Restart=always", "Type=notify"):
        assert f"\n{line}\n" in text
    assert "Private" not in text and "NoNewPrivileges" not in text and "Protect" not in text
    assert "secret" not in text.lower() and "password" not in text.lower()


def test_only_a_process_without_desktops_is_locked_in() -> None:
    apart = layout(separate=True)
    assert "NoNewPrivileges=yes" in unit(apart, "madang-identity")
    assert "NoNewPrivileges" not in unit(apart, "madang-vnc") and "KillMode=process" in unit(apart, "madang-vnc")


@pytest.mark.parametrize(
    ("more", "names", "started"),
    [
        ({}, ["madang"], ["madang up"]),
        ({"portals": TWO_HOSTS}, ["madang"], ["madang up"]),
        (
            {"portals": [HERE, Address("127.0.0.1", 8081)]},
            ["madang@8080", "madang@8081"],
            ["madang up --shared --port %i"],
        ),
        (
            {"separate": True},
            ["madang-identity", "madang-vnc"],
            ["madang serve identity --port 8080", "madang serve vnc --port 8081"],
        ),
    ],
)
def test_which_units_there_are(more: dict[str, Any], names: list[str], started: list[str]) -> None:
    which = layout(**more)
    assert units.names(which) == names
    texts = units.render(which).values()
    assert [line.partition("=/usr/bin/")[2] for text in texts for line in text.splitlines() if "ExecStart" in line] == (
        started
    )


def test_a_stop_may_take_what_the_settings_say() -> None:
    assert "TimeoutStopSec=41\n" in unit(layout(stop_seconds=30.5), "madang")


def test_an_ordinary_user_and_a_state_folder_elsewhere() -> None:
    text = unit(layout(user="desk", state_folder="/srv/madang"), "madang")
    assert "\nUser=desk\n" in text and "StateDirectory" not in text
    assert "User=" not in unit(layout(), "madang") and "StateDirectory=madang\n" in unit(layout(), "madang")


def test_the_site_says_its_own_name() -> None:
    text = nginx(layout(public_url="https://desk.example.org:8443", https_port=8443))
    assert "proxy_set_header Host desk.example.org:8443;" in text
    assert "server_name desk.example.org;" in text
    assert "return 308 https://desk.example.org:8443$request_uri;" in text
    assert "$host" not in text and "$proxy_add_x_forwarded_for" not in text


@pytest.mark.parametrize(
    ("version", "listen"),
    [((), "443 ssl;"), ((1, 22, 1), "443 ssl http2;"), ((1, 25, 1), "443 ssl;\n"), ((1, 26, 3), "443 ssl;\n")],
)
def test_http2_as_this_nginx_says_it(version: tuple[int, ...], listen: str) -> None:
    text = nginx(layout(nginx=version))
    assert f"    listen {listen}" in text
    assert ("http2 on;" in text) == (version >= (1, 25, 1))


def test_each_service_has_its_process() -> None:
    text = nginx(layout(separate=True, portals=TWO_HOSTS))
    assert "upstream madang_identity {" in text and "upstream madang_vnc {" in text
    assert "server 10.0.0.2:8081 max_fails=1" in text.partition("upstream madang_vnc {")[2].partition("}")[0]
    after = text.partition("location /vncproxy/ {")[2]
    assert "proxy_pass http://madang_vnc;" in after.partition("}")[0]
    assert "location /vnc {" not in text, "that is a place in the page"


def test_a_single_portal_is_never_given_up() -> None:
    assert "backup" not in nginx(layout())
    assert nginx(layout(portals=TWO_HOSTS)).count("backup;") == 2


def test_uploads_are_limited_as_the_portal_says() -> None:
    assert "client_max_body_size 5000;" in nginx(layout(largest_upload_bytes=5000))
    assert "client_max_body_size 0;" in nginx(layout())


def test_nobody_need_be_sent_to_https() -> None:
    assert "308" not in nginx(layout(http_port=0))
    assert nginx(layout(ipv6=False)).count("[::]") == 0
    assert "listen 10.1.1.1:443 ssl" in nginx(layout(listen="10.1.1.1"))


def test_a_silence_is_longer_than_pings() -> None:
    assert "proxy_read_timeout 60s;" in nginx(layout(ping_seconds=2))
    assert "proxy_read_timeout 300s;" in nginx(layout(ping_seconds=100))


def test_the_settings_that_a_host_begins_with() -> None:
    text = render.starters(layout(portals=[Address("[::1]", 99)]))["etc/madang/madang.toml"]
    assert 'host = "::1"' in text and "port = 99" in text and 'public_url = "https://desk.example.org"' in text


@pytest.mark.parametrize("text", ["", "8080", "host", "host:", "host:0", "host:99999", "a b:80", "a;:80", "::1:80"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InvalidInput):
        address(text)


def test_addresses() -> None:
    assert str(address(" [::1]:80 ")) == "[::1]:80"
    assert address("desk-1.example.org:8080") == Address("desk-1.example.org", 8080)


@pytest.mark.parametrize(
    "wrong",
    [
        {"public_url": ""},
        {"public_url": "https://a b"},
        {"public_url": "https://a/path"},
        {"public_url": "https://user@a"},
        {"public_url": "https://a:b"},
        {"program": "/a;b"},
        {"certificate": "relative.pem"},
        {"certificate_key": "/key'"},
        {"state_folder": "/a\nExecStart=/bin/sh"},
        {"settings_file": "/a$b"},
        {"user": "Kim"},
        {"listen": "::1"},
        {"portals": []},
        {"separate": True, "portals": [Address("a", 1), Address("b", 2)]},
    ],
)
def test_what_is_no_layout(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        layout(**wrong)
