"""The seam for ways to sign in. There is one: names and passwords kept here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec


class Identified(msgspec.Struct, frozen=True):
    """Whom a provider recognised: `person` is the id of somebody who is kept here."""

    person: str
    provider: str


class SignInProvider(Protocol):
    """Recognises people by what they bring.

    `credentials` are what the person gave: `name` and `password` for local accounts and LDAP, the parameters of the
    answer that the browser carries back for OIDC and SAML. None: not recognised, and no word why. A provider that
    keeps people elsewhere adds them here (People.add) before it names them.
    """

    name: str

    async def identify(self, credentials: Mapping[str, str]) -> Identified | None: ...
