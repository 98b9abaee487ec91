"""HTTP as somebody: by an API token, or as a browser does with cookie, origin and CSRF token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from tests.support.waiting import eventually

OVER = ("ended", "failed")
Json = dict[str, Any]


class Client(httpx.Client):
    """A signed-in client with the few calls that most tests make."""

    def __init__(self, url: str, headers: dict[str, str], **more: Any) -> None:
        super().__init__(base_url=url, headers=headers, timeout=40, trust_env=False, **more)

    # As a WebSocket of the same person.

    @property
    def socket_headers(self) -> dict[str, str]:
        """Headers for a WebSocket: the token, or cookie and origin."""
        if "authorization" in self.headers:
            return {"Authorization": self.headers["authorization"]}
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": cookies, "Origin": str(self.base_url).rstrip("/")}

    # Desktops.

    def sessions(self, **query: Any) -> list[Json]:
        answer = self.get("/api/vnc/sessions", params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    def ask(self, **wish: Any) -> Json:
        """Ask for a desktop."""
        answer = self.post("/api/vnc/sessions", json=wish)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def session(self, session: str) -> Json:
        answer = self.get(f"/api/vnc/sessions/{session}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def log_of(self, session: str) -> str:
        answer = self.get(f"/api/vnc/sessions/{session}/log")
        assert answer.status_code == 200, answer.text
        return answer.text

    def until(self, session: str, *states: str, seconds: float = 30) -> Json:
        """The session once it is in one of these states."""
        last: Json = {}

        def look() -> bool:
            nonlocal last
            last = self.session(session)
            if last["state"] in OVER and not set(states) & set(OVER):
                raise AssertionError(f"{last['state']}: {last['failure']}\n{self.log_of(session)[-3000:]}")
            return last["state"] in states

        eventually(look, seconds, lambda: f"{states}, but {last}\n{self.log_of(session)[-3000:]}", pause=0.05)
        return last

    def until_true(self, session: str, what: Callable[[Json], Any], seconds: float, otherwise: str) -> Json:
        """The session once `what(session)` holds."""
        last: Json = {}

        def look() -> bool:
            nonlocal last
            last = self.session(session)
            return bool(what(last))

        eventually(look, seconds, lambda: f"{otherwise}: {last}", pause=0.05)
        return last

    def start_desktop(self, **wish: Any) -> Json:
        """A desktop that is ready."""
        return self.until(str(self.ask(**wish)["id"]), "ready")

    def end(self, session: str, seconds: float = 15) -> Json:
        """End it and wait until it is over."""
        answer = self.delete(f"/api/vnc/sessions/{session}")
        assert answer.status_code == 202, answer.text
        return self.until(session, *OVER, seconds=seconds)


def token_client(url: str, token: str) -> Client:
    return Client(url, {"authorization": f"Bearer {token}"})


def cookie_client(url: str, link_token: str) -> Client:
    """Redeems a one-time link (what stands behind #)."""
    client = Client(url, {"origin": url})
    answer = client.post("/api/identity/links/redeem", json={"token": link_token})
    assert answer.status_code == 200, answer.text
    client.headers["x-csrf-token"] = answer.json()["csrf_token"]
    return client
