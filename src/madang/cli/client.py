"""The command line's way to a running portal: its HTTP API with a personal API token.

The token comes from MADANG_TOKEN, or from ~/.config/madang/token. Without one, who may read the portal's own state
folder (its Unix user, or root) gets a token that lasts as long as the command, for `MADANG_PERSON` or else for the
first administrator. MADANG_URL names another portal than this machine's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from madang.cli.ground import open_ground
from madang.identity.service import People
from madang.identity.tokens import Tokens
from madang.kernel.errors import MadangError, NotSignedIn, Unavailable
from madang.services import load_settings

TIMEOUT_SECONDS = 30.0
BORROWED_SECONDS = 600.0


class Refused(MadangError):
    """What the portal answered, as it said it."""


class PortalClient:
    """A context in which the portal can be asked. Raises MadangError for whatever goes wrong."""

    def __init__(self) -> None:
        self.url = os.environ.get("MADANG_URL") or load_settings().public_url
        self._borrowed: str | None = None

    def __enter__(self) -> Self:
        import ssl

        import httpx  # not at the top: a portal that starts needs no client

        headers = {"authorization": f"Bearer {self._token()}"}
        # The machine's certificates, where a site's operator adds those of its own; httpx has a list of its own.
        trust = ssl.create_default_context() if self.url.startswith("https:") else True
        self._http = httpx.Client(
            base_url=self.url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False, verify=trust
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        if self._borrowed:
            asyncio.run(_give_back(self._borrowed))

    def get(self, path: str, **more: Any) -> Any:
        return self._ask("GET", path, **more)

    def post(self, path: str, **more: Any) -> Any:
        return self._ask("POST", path, **more)

    def put(self, path: str, **more: Any) -> Any:
        return self._ask("PUT", path, **more)

    def patch(self, path: str, **more: Any) -> Any:
        return self._ask("PATCH", path, **more)

    def delete(self, path: str, **more: Any) -> Any:
        return self._ask("DELETE", path, **more)

    def text(self, path: str, **more: Any) -> str:
        """An answer that is not JSON."""
        return str(plain(self._answer("GET", path, **more).text))

    @contextlib.contextmanager
    def download(self, path: str, **more: Any) -> Iterator[Any]:
        """An answer to be read part by part (httpx.Response)."""
        from httpx import TransportError

        try:
            with self._http.stream("GET", path, **more) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _refused(answer)
                yield answer
        except TransportError as error:
            raise self._away(error) from error

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        answer = self._answer(method, path, **more)
        return plain(answer.json()) if answer.content else None

    def _answer(self, method: str, path: str, **more: Any) -> Any:
        from httpx import TransportError

        try:
            answer = self._http.request(method, path, **more)
        except TransportError as error:
            raise self._away(error) from error
        if not answer.is_success:
            raise _refused(answer)
        return answer

    def _away(self, error: Exception) -> Unavailable:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return Unavailable(
                f"The certificate of {self.url} is not trusted here: {error}.",
                hint="Name its issuer's certificate in SSL_CERT_FILE, or add it to this machine's with "
                "update-ca-certificates. On the portal's host MADANG_URL=http://127.0.0.1:8080 goes past the proxy.",
            )
        return Unavailable(
            f"No portal answers at {self.url}: {error}.", hint="Start it with `madang up`, or set MADANG_URL."
        )

    def _token(self) -> str:
        if token := os.environ.get("MADANG_TOKEN"):
            return token
        file = Path(os.environ.get("XDG_CONFIG_HOME", str(Path.home() / ".config"))) / "madang/token"
        if file.is_file():
            return file.read_text(encoding="utf-8").strip()
        if not os.access(load_settings().state_folder, os.R_OK | os.W_OK):
            raise NotSignedIn(
                "No API token is set.",
                hint=f"Make one in the page under My account, and put it into {file} (mode 0600) or MADANG_TOKEN.",
            )
        token, self._borrowed = asyncio.run(_borrow(os.environ.get("MADANG_PERSON")))
        return token


def _refused(answer: Any) -> Refused:
    try:
        problem = answer.json()
    except ValueError:
        problem = {"title": f"The portal answered {answer.status_code}"}
    problem = plain(problem)
    return Refused(problem.get("detail", ""), title=problem.get("title"), hint=problem.get("hint", ""))


def plain(value: Any) -> Any:
    """A portal's answer without what a terminal would obey: names of files and nodes, and logs, come from anybody."""
    if isinstance(value, str):
        return "".join(one if one.isprintable() or one in "\r\n\t" else "\N{REPLACEMENT CHARACTER}" for one in value)
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {plain(key): plain(one) for key, one in value.items()}
    return value


async def _borrow(name: str | None) -> tuple[str, str]:
    """A token for a person of this site, and its id to give it back."""
    async with open_ground() as ground:
        people = People(ground)
        person = await (people.by_name(name) if name else people.an_administrator())
        token, secret = await Tokens(ground).lend(person, "command line", BORROWED_SECONDS)
        return secret, token.id


async def _give_back(token: str) -> None:
    async with open_ground() as ground:
        await Tokens(ground).give_back(token)
