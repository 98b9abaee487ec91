"""A portal with people who sign in as browsers do."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import subprocess
from dataclasses import dataclass
from itertools import count

from tests.support.people import Client, Json, cookie_client
from tests.support.portal import PortalProcess
from tests.support.waiting import eventually

AS_ROOT = os.geteuid() == 0
PASSWORD = "초록 들판 위의 마당"
_numbers = count(1)


def _take_account() -> tuple[str, socket.socket]:
    """The name of a Unix account that no other test run uses; the lock goes with this process."""
    for name in ("mdgpage", *(f"mdgpage{number}" for number in range(2, 100))):
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            lock.bind(f"\0madang-tests-account-{name}")
        except OSError:
            lock.close()
            continue
        return name, lock
    raise AssertionError("no account for the tests is free")


ACCOUNT, _account_lock = _take_account()


@dataclass
class Person:
    """Somebody, signed in: by `http` here, and by the same cookie in a browser."""

    id: str
    name: str
    http: Client

    @property
    def cookie(self) -> str:
        return str(self.http.cookies["madang_sign_in"])


class Site(PortalProcess):
    """Its first administrator has an account of the tests' own, so that the portal makes none called "admin"."""

    def __init__(self, **settings: str) -> None:
        super().__init__(**settings)
        # Where the person of a desktop and the tests both write.
        self.shared = self.folder / "shared"
        self.shared.mkdir()
        self.shared.chmod(0o777)
        account = ["--account", ACCOUNT] if AS_ROOT else []
        self.cli("people", "add", "jiwoo", "--display-name", "한지우", "--role", "admin", *account)
        self._boss: Person | None = None

    @property
    def public_url(self) -> str:
        """Where browsers find it."""
        return self.url

    @property
    def boss(self) -> Person:
        """The first administrator, signed in."""
        if self._boss is None:
            self._boss = self.enter(self.link_for("jiwoo"))
            self.set_password(self._boss)
        return self._boss

    def enter(self, link: str) -> Person:
        client = cookie_client(self.url, link.partition("#")[2])
        person = client.get("/api/identity/me").json()["person"]
        return Person(person["id"], person["name"], client)

    def set_password(self, person: Person, password: str = PASSWORD) -> None:
        wish = {"current_password": None, "new_password": password}
        answer = person.http.put("/api/identity/password", json=wish)
        assert answer.status_code == 204, answer.text

    def invite(self, name: str = "", display_name: str = "", roles: tuple[str, ...] = ("member",)) -> tuple[str, str]:
        """A new person's name and sign-in link."""
        name = name or f"person{next(_numbers)}"
        wish: Json = {"name": name, "display_name": display_name or name, "roles": roles}
        answer = self.boss.http.post("/api/identity/people", json=wish | {"account": ACCOUNT if AS_ROOT else None})
        assert answer.status_code == 201, answer.text
        return name, str(answer.json()["link"])

    def person(
        self, name: str = "", display_name: str = "", roles: tuple[str, ...] = ("member",), password: str = ""
    ) -> Person:
        """A new person, signed in; with a password only if one is given."""
        person = self.enter(self.invite(name, display_name, roles)[1])
        if password:
            self.set_password(person, password)
        return person

    def end_desktops(self, person: Person) -> None:
        """End and forget all of theirs."""
        for found in person.http.sessions(ended="false"):
            person.http.delete(f"/api/vnc/sessions/{found['id']}")
        eventually(lambda: not person.http.sessions(ended="false"), 15, "the desktops did not end")
        for found in person.http.sessions():
            person.http.delete(f"/api/vnc/sessions/{found['id']}")

    def close(self) -> None:
        with contextlib.suppress(Exception):
            if self.process is not None and self._boss is not None:
                for found in self._boss.http.sessions(ended="false", all="true"):
                    self._boss.http.delete(f"/api/vnc/sessions/{found['id']}")
                eventually(lambda: not self._boss.http.sessions(ended="false", all="true"), 10, "")  # type: ignore[union-attr]
        super().close()


def remove_account() -> None:
    """The account that the sites of the tests made."""
    with contextlib.suppress(KeyError):
        pwd.getpwnam(ACCOUNT)
        subprocess.run(["userdel", "-r", ACCOUNT], capture_output=True, check=False)
