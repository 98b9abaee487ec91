"""A desktop through nginx: TLS, WebSockets, whom the portal believes."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any

import httpx
from tests.daemons.deploy.conftest import Site
from tests.daemons.portal.conftest import forget
from tests.support.people import Client
from tests.support.rfb import Viewer, open_socket, refusal
from tests.support.waiting import eventually


def redeem(site: Site, browser: Client) -> httpx.Response:
    token = site.one.link_for("kim").partition("#")[2]
    answer = browser.post("/api/identity/links/redeem", json={"token": token})
    assert answer.status_code == 200, answer.text
    browser.headers["x-csrf-token"] = answer.json()["csrf_token"]
    return answer


def test_a_desktop_by_a_browser(whole: Site) -> None:
    """Sign in, hear of one's desktop, look at it: everything by cookie, over TLS."""
    with whole.browser() as kim:
        cookie = redeem(whole, kim).headers["set-cookie"]
        assert "; Secure" in cookie and "; HttpOnly" in cookie
        assert kim.get("/api/identity/me").json()["person"]["name"] == "kim"
        live = open_socket(f"{whole.proxy.ws_url}/api/live", kim.socket_headers, ssl=whole.proxy.trust)
        session = kim.start_desktop()["id"]
        states = hear_until(live, session, "ready")
        assert "starting" in states, states
        with Viewer(kim, session, ssl=whole.proxy.trust) as viewer:
            assert viewer.works()
            assert len(viewer.picture(0, 0, viewer.width, viewer.height)) == viewer.width * viewer.height * 4
        live.close()
        forget(kim, session)


def hear_until(live: Any, session: str, state: str) -> list[str]:
    heard: list[str] = []

    def hear() -> bool:
        event = json.loads(live.recv(10))
        if event.get("session", {}).get("id") == session:
            heard.append(event["session"]["state"])
        return state in heard

    eventually(hear, 20, lambda: f"no {state}, but {heard}")
    return heard


def test_no_page_of_another_site_gets_in(whole: Site) -> None:
    with whole.browser() as kim:
        redeem(whole, kim)
        foreign = {"origin": "https://evil.example"}
        answer = kim.post("/api/vnc/sessions", json={}, headers=foreign)
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
        # The client does not choose which site this is.
        answer = kim.post("/api/vnc/sessions", json={}, headers=foreign | {"host": "evil.example"})
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
        for path in ("/api/live", "/vncproxy/nothing"):
            headers = kim.socket_headers | {"Origin": "https://evil.example"}
            status, problem = refusal(whole.proxy.ws_url + path, headers, ssl=whole.proxy.trust)
            assert (status, problem["code"]) == (403, "foreign_origin")


def test_addresses_are_believed_from_nginx_only(whole: Site) -> None:
    """What a client says of its address is never believed; nginx says what it saw."""
    lie = {"x-forwarded-for": "6.6.6.6", "x-real-ip": "6.6.6.6", "forwarded": "for=6.6.6.6"}
    with whole.browser("127.0.0.5") as through:
        through.headers.update(lie)
        redeem(whole, through)
        assert own_address(through) == "127.0.0.5"
    direct = httpx.HTTPTransport(local_address="127.0.0.5")
    with Client(whole.one.url, {"origin": whole.proxy.url} | lie, transport=direct) as past:
        redeem(whole, past)
        past.headers["cookie"] = "; ".join(f"{each.name}={each.value}" for each in past.cookies.jar)
        assert own_address(past) == "127.0.0.5"


def own_address(client: Client) -> str:
    sign_ins = client.get("/api/identity/sign-ins").json()
    return str(next(each["address"] for each in sign_ins if each["current"]))


def test_http_sends_people_to_https(whole: Site) -> None:
    address = f"http://127.0.0.1:{whole.proxy.http_port}/desktops?a=b"
    answer = httpx.get(address, headers={"host": "evil.example"}, trust_env=False)
    assert (answer.status_code, answer.headers["location"]) == (308, f"{whole.proxy.url}/desktops?a=b")


def test_headers_of_page_and_files(whole: Site) -> None:
    with whole.browser() as browser:
        page = browser.get("/", headers={"accept": "text/html"})
        assert page.status_code == 200
        for name in ("content-security-policy", "x-frame-options", "x-content-type-options"):
            assert len(page.headers.get_list(name)) == 1, name
        assert page.headers["cache-control"] == "no-cache"
        script = page.text.partition('src="/assets/')[2].partition('"')[0]
        answer = browser.get(f"/assets/{script}")
        assert "immutable" in answer.headers["cache-control"] and answer.headers["content-encoding"] == "gzip"
        assert browser.get("/assets/none.js").status_code == 404
        assert browser.get("/metrics").status_code == 404, "figures are not everybody's"
        assert browser.get("/ready").json() == {"ready": True, "reasons": []}


def test_a_body_that_is_too_large_is_a_problem(whole: Site) -> None:
    with whole.kim() as kim:
        answer = kim.post("/api/vnc/sessions", content=b" " * 1_100_000)
        assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
        assert answer.json()["status"] == 413
        answer = kim.post("/api/vnc/sessions", content=b" " * 900_000)
        assert answer.status_code == 422, "the portal's own answer"
    kept = whole.proxy.folder / "bodies"
    assert not [path for path in kept.rglob("*") if path.is_file()], "bodies are not written to disk"


def test_while_no_portal_answers(whole: Site) -> None:
    with contextlib.ExitStack() as again, whole.browser() as browser:
        for portal in whole.portals:
            again.callback(portal.start)
            portal.kill()
        answer = browser.get("/api/identity/me")
        assert (answer.status_code, answer.json()["code"]) == (503, "portal_away")
        assert answer.headers["retry-after"] == "1"
        page = browser.get("/desktops", headers={"accept": "text/html,*/*"})
        assert page.status_code == 503 and "http-equiv" in page.text
        assert page.headers["content-type"].startswith("text/html")
    with whole.browser() as browser:
        eventually(lambda: browser.get("/api/identity/me").status_code == 401, 5, "not back")


def test_the_command_line(whole: Site) -> None:
    """It goes to the site's own address, and trusts what the machine trusts."""
    mine = {"MADANG_PERSON": "kim"}
    done = whole.one.cli("desktops", "list", SSL_CERT_FILE=str(whole.proxy.certificate), **mine)
    assert done.returncode == 0
    done = whole.one.cli("desktops", "list", check=False, **mine)
    assert done.returncode == 1
    assert "not trusted" in done.stderr and "SSL_CERT_FILE" in done.stderr and "MADANG_URL" in done.stderr


def test_an_upload_reaches_the_portal_while_it_is_sent(whole: Site) -> None:
    """nginx keeps nothing of it: the portal answers long before the end, as nobody has this desktop."""
    token = whole.one.token_for("kim")
    head = (
        "PUT /api/vnc/sessions/nothing/files/content?folder=&name=a HTTP/1.1\r\n"
        f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Length: 500000000\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", whole.proxy.port), timeout=10) as plain,
        whole.proxy.trust.wrap_socket(plain, server_hostname="127.0.0.1") as sending,
    ):
        sending.sendall(head.encode() + b"a" * 500_000)
        answer = sending.recv(1000).decode()
    assert answer.startswith("HTTP/1.1 40"), answer
    assert not [path for path in (whole.proxy.folder / "bodies").rglob("*") if path.is_file()]
