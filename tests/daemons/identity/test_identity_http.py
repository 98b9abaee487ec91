"""Identity over real HTTP: the whole way of a person, and what is refused."""

from __future__ import annotations

import asyncio
import sqlite3

import httpx
import pytest
from identity_portal import PASSWORD, Portal, running_portal

from madang.identity.people import first_administrator


async def test_the_way_of_a_first_administrator(tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with running_portal(tmp_path) as portal, portal.browser() as browser:
        link = await first_administrator(portal.ground)
        assert link and link.startswith(f"{portal.url}/welcome#")
        token = link.partition("#")[2]
        answer = await browser.enter("/links/redeem", token=token)
        set_cookie = answer.headers["set-cookie"]
        assert set_cookie.startswith("madang_sign_in=") and "HttpOnly; SameSite=Lax" in set_cookie
        assert "Secure" not in set_cookie and "Domain" not in set_cookie
        assert answer.headers["cache-control"] == "no-store"
        me = answer.json()
        assert me["must_set_password"] and "people.manage" in me["permissions"]
        assert set(me["site"]) == {"name", "mode", "user", "version", "services"}
        assert (await browser.enter("/links/redeem", token=token)).json()["code"] == "link_invalid"
        answer = await browser.ask("PUT", "/password", {"current_password": None, "new_password": "password1234"})
        assert (answer.status_code, answer.json()["code"]) == (422, "password_weak")
        assert answer.json()["fields"][0]["field"] == "new_password"
        answer = await browser.ask("PUT", "/password", {"current_password": None, "new_password": PASSWORD})
        assert answer.status_code == 204
        assert not (await browser.ask("GET", "/me")).json()["must_set_password"]
        assert (await browser.ask("POST", "/sign-out")).status_code == 204
        answer = await browser.ask("GET", "/me")
        assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")
        assert (await browser.sign_in("Admin")).status_code == 200


async def test_people_are_administered(portal: Portal) -> None:
    async with portal.browser("admin") as admin, portal.browser() as kim:
        body = {"name": "kim", "display_name": "김민호", "roles": ["monitor"], "account": None}
        answer = await admin.ask("POST", "/people", body)
        assert answer.status_code == 201
        person, link = answer.json()["person"], answer.json()["link"]
        assert person["display_name"] == "김민호" and person["last_sign_in_at"] is None
        assert (await admin.ask("POST", "/people", body)).json()["code"] == "name_taken"
        assert (await kim.enter("/links/redeem", token=link.partition("#")[2])).status_code == 200
        for method, path in (("GET", "/people"), ("POST", "/people"), ("GET", "/audit")):
            answer = await kim.ask(method, path, body if method == "POST" else None)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        answer = await admin.ask("PATCH", f"/people/{person['id']}", {"roles": ["monitor", "monitor"]})
        assert answer.json()["roles"] == ["monitor"]
        answer = await admin.ask("POST", f"/people/{person['id']}/reset-password")
        assert answer.json()["link"].startswith(f"{portal.url}/welcome#")
        assert (await kim.ask("GET", "/me")).status_code == 401
        answer = await admin.ask("PATCH", f"/people/{person['id']}", {"disabled": True})
        assert answer.json()["disabled"]
        token = (await admin.ask("POST", f"/people/{person['id']}/reset-password")).json()
        assert token["code"] == "person_disabled"
        answer = await admin.ask("PATCH", f"/people/{admin.me['person']['id']}", {"disabled": True})
        assert (answer.status_code, answer.json()["code"]) == (409, "last_administrator")
        trail = (await admin.ask("GET", "/audit?limit=3")).json()
        assert [entry["action"] for entry in trail] == ["person.disabled", "password.reset", "person.changed"]
        older = (await admin.ask("GET", f"/audit?limit=1&before={trail[-1]['id']}")).json()
        assert older[0]["id"] < trail[-1]["id"]


async def test_csrf_and_foreign_origins(portal: Portal) -> None:
    async with portal.browser("admin") as browser:
        for headers, code in (
            ({"x-csrf-token": ""}, "csrf_token_wrong"),
            ({"x-csrf-token": "guess"}, "csrf_token_wrong"),
            ({"origin": "http://evil.example"}, "foreign_origin"),
            ({"origin": f"http://127.0.0.1:{portal.port + 1}"}, "foreign_origin"),
            ({"origin": "null"}, "foreign_origin"),
        ):
            answer = await browser.ask("PATCH", "/me", {"display_name": "Evil"}, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, code)
        assert (await browser.ask("GET", "/me")).json()["person"]["display_name"] != "Evil"
        for path, body in (("/sign-in", {"name": "admin", "password": PASSWORD}), ("/links/redeem", {"token": "x"})):
            answer = await browser.ask("POST", path, body, headers={"origin": "http://evil.example"})
            assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
            assert "set-cookie" not in answer.headers


async def test_other_peoples_things_are_not_there(portal: Portal) -> None:
    await portal.person("kim")
    await portal.person("lee")
    async with portal.browser("kim") as kim, portal.browser("lee") as lee:
        sign_in = (await lee.ask("GET", "/sign-ins")).json()[0]["id"]
        token = (await lee.ask("POST", "/tokens", {"name": "mine"})).json()["id"]
        assert (await kim.ask("DELETE", f"/sign-ins/{sign_in}")).status_code == 404
        assert (await kim.ask("DELETE", f"/tokens/{token}")).status_code == 404
        assert (await kim.ask("GET", "/tokens")).json() == []
        assert (await lee.ask("DELETE", f"/tokens/{token}")).status_code == 204
        assert (await lee.ask("DELETE", f"/sign-ins/{sign_in}")).status_code == 204
        assert (await lee.ask("GET", "/me")).status_code == 401


async def test_api_tokens(portal: Portal) -> None:
    async with portal.browser("admin") as browser, portal.browser() as program:
        made = (await browser.ask("POST", "/tokens", {"name": "backup", "expires_in_days": 7})).json()
        assert made["secret"].startswith(f"mdg_{made['id']}_")
        assert "secret" not in (await browser.ask("GET", "/tokens")).json()[0]
        headers = {"authorization": f"Bearer {made['secret']}", "origin": "http://elsewhere.example"}
        me = (await program.ask("GET", "/me", headers=headers)).json()
        assert me["csrf_token"] == "" and me["person"]["name"] == "admin"
        assert (await program.ask("PATCH", "/me", {"language": "ko"}, headers=headers)).json()["language"] == "ko"
        for method, path, body in (
            ("POST", "/tokens", {"name": "another"}),
            ("PUT", "/password", {"current_password": PASSWORD, "new_password": "another fine sentence"}),
        ):
            answer = await program.ask(method, path, body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "browser_needed")
        await browser.ask("DELETE", f"/tokens/{made['id']}")
        assert (await program.ask("GET", "/me", headers=headers)).status_code == 401


@pytest.mark.parametrize("portal", [{"MADANG_IDENTITY_ATTEMPTS_PER_NAME": "3"}], indirect=True)
async def test_wrong_passwords_lock_and_say_until_when(portal: Portal) -> None:
    async with portal.browser("admin") as inside, portal.browser() as browser:
        answers = [await browser.sign_in("admin", f"wrong {n}") for n in range(4)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        locked = answers[-1].json()
        assert locked["code"] == "too_many_attempts" and 0 < locked["retry_after"] <= 60
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
        assert (await browser.sign_in("admin")).status_code == 429
        assert (await inside.ask("GET", "/me")).status_code == 200
        assert (await inside.ask("PATCH", "/me", {"language": "en"})).status_code == 200


@pytest.mark.parametrize("portal", [{"MADANG_IDENTITY_ROTATE_MINUTES": "0.01"}], indirect=True)
async def test_the_cookie_rotates_under_parallel_requests(portal: Portal) -> None:
    async with portal.browser("admin") as browser:
        seen = {browser.http.cookies["madang_sign_in"]}
        for _ in range(4):
            await asyncio.sleep(0.7)
            answers = await asyncio.gather(*(browser.ask("GET", "/me") for _ in range(6)))
            assert {answer.status_code for answer in answers} == {200}
            assert {answer.json()["csrf_token"] for answer in answers} == {browser.csrf}
            seen.add(browser.http.cookies["madang_sign_in"])
        assert len(seen) >= 3


async def test_a_planted_cookie_never_becomes_a_sign_in(portal: Portal) -> None:
    async with portal.browser("admin") as attacker, portal.browser() as victim:
        planted = attacker.http.cookies["madang_sign_in"]
        await portal.person("kim")
        victim.http.cookies.set("madang_sign_in", planted, domain="127.0.0.1", path="/")
        assert (await victim.sign_in("kim")).status_code == 200
        assert planted not in [cookie.value for cookie in victim.http.cookies.jar if cookie.domain != "127.0.0.1"]
        answer = await attacker.ask("GET", "/me")
        assert answer.status_code == 401 or answer.json()["person"]["name"] == "admin"


async def test_reading_goes_on_while_the_database_is_held(portal: Portal) -> None:
    async with portal.browser("admin") as browser:
        other = sqlite3.connect(portal.ground.database.file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for path in ("/me", "/sign-ins", "/people", "/audit"):
            assert (await browser.ask("GET", path)).status_code == 200
        writing = asyncio.create_task(browser.ask("PATCH", "/me", {"language": "ko"}))
        await asyncio.sleep(0.5)
        other.execute("ROLLBACK")
        other.close()
        assert (await writing).status_code == 200


@pytest.mark.parametrize("portal", [{"MADANG_DATABASE_BUSY_SECONDS": "0.3"}], indirect=True)
async def test_a_write_that_waits_too_long_is_a_clear_503(portal: Portal) -> None:
    async with portal.browser("admin") as browser:
        other = sqlite3.connect(portal.ground.database.file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        answer = await browser.ask("PATCH", "/me", {"language": "ko"})
        assert (answer.status_code, answer.json()["code"]) == (503, "database_busy")
        other.execute("ROLLBACK")
        other.close()
        assert (await browser.ask("GET", "/me")).json()["person"]["language"] is None


STRANGE = [
    b'{"name": "\\ud800", "password": "x"}',
    b'{"name": "\xff\xfe", "password": "x"}',
    b'{"name": "a\\u0000b", "password": "\\u0000"}',
    b'{"name": 1e999, "password": []}',
    b'{"name": "kim"}',
    b'{"name": "kim", "password": "x", "more": 1}',
    b"[" * 100_000,
    b"",
    b"null",
    b"\x00",
    b'{"name": "' + b"x" * 70 + b'", "password": "x"}',
]


@pytest.mark.parametrize("body", STRANGE, ids=range(len(STRANGE)))
async def test_strange_bodies_are_refused_as_problems(portal: Portal, body: bytes) -> None:
    async with httpx.AsyncClient(base_url=portal.url, trust_env=False) as http:
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded", "x/\xff".encode("latin-1")):
            headers = {"content-type": kind}
            answer = await http.post("/api/identity/sign-in", content=body, headers=headers)  # type: ignore[arg-type]
            assert answer.status_code in (401, 415, 422), answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert "detail" in answer.json() and "Traceback" not in answer.text


async def test_strange_headers_and_paths_are_refused_as_problems(portal: Portal) -> None:
    values = [b"\xff\xfe", b"madang_sign_in=\xff.\x80", b"madang_sign_in=..", b'madang_sign_in="', b"=" * 4000]
    values += [b"Bearer \xff", b"Bearer mdg_\xff_x", b"Bearer", b"Basic eDp5", b"http://[::1"]
    async with portal.browser("admin") as browser, httpx.AsyncClient(base_url=portal.url, trust_env=False) as http:
        for name in (b"cookie", b"authorization", b"x-csrf-token", b"origin", b"user-agent"):
            for value in values:
                for method, path in (("GET", "/me"), ("POST", "/sign-out"), ("POST", "/sign-in")):
                    body = {"name": "x", "password": "y"} if path == "/sign-in" else None
                    answer = await http.request(method, f"/api/identity{path}", headers=[(name, value)], json=body)
                    assert answer.status_code in (401, 403, 429), (name, value, answer.text)
        for identifier in ("%00", "%2F..%2F", "%ff%fe", "'--", "x" * 33, "%F0%9F%98%80", "a%20b", "..;"):
            for method, path in (
                ("DELETE", f"/sign-ins/{identifier}"),
                ("DELETE", f"/tokens/{identifier}"),
                ("PATCH", f"/people/{identifier}"),
                ("POST", f"/people/{identifier}/reset-password"),
            ):
                answer = await browser.ask(method, path, {} if method == "PATCH" else None)
                assert answer.status_code in (404, 405, 422), (path, answer.text)
        for query in (
            "limit=0",
            "limit=x",
            "limit=9" * 50,
            "before=-1",
            "before=" + "9" * 40,
            "limit=%00",
            "limit=1.5",
        ):
            answer = await browser.ask("GET", f"/audit?{query}")
            assert answer.status_code == 422, answer.text


async def test_input_errors_name_their_fields(portal: Portal) -> None:
    async with portal.browser("admin") as browser:
        good = {"name": "kim", "display_name": "Kim", "roles": ["monitor"]}
        for wrong, field in (
            ({"name": "Kim"}, "name"),
            ({"name": "kim\n"}, "name"),
            ({"display_name": "a\0b"}, "display_name"),
            ({"display_name": "a\u202eb"}, "display_name"),
            ({"display_name": ""}, "display_name"),
            ({"roles": []}, "roles"),
            ({"roles": ["king"]}, "roles"),
            ({"account": "-R"}, "account"),
            ({"account": "no-such-account"}, "account"),
        ):
            answer = await browser.ask("POST", "/people", good | wrong)
            assert answer.status_code == 422, answer.text
            assert any(field in each["field"] for each in answer.json()["fields"]), answer.text
        answer = await browser.ask("POST", "/tokens", {"name": "x", "expires_in_days": 10**30})
        assert answer.status_code == 422
