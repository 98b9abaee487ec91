"""The Unix account that a person's sessions run as.

As root every person has an ordinary account of this machine. As an ordinary user all share the portal's own.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import re

from madang.identity.model import invalid
from madang.identity.settings import IdentitySettings
from madang.kernel import commands
from madang.kernel.errors import CommandFailed, Conflict
from madang.kernel.settings import as_root

FIRST_ORDINARY_UID = 1000
NOBODY_UIDS = (65534, 65535)
USERADD_SECONDS = 60.0
ACCOUNT_PATTERN = r"[a-z_][a-z0-9._-]{0,31}"


class AccountNotCreated(Conflict):
    code = "account_not_created"
    title = "The Unix account could not be created"


class Accounts:
    """Finds, checks and, as root, creates accounts."""

    def __init__(self, settings: IdentitySettings) -> None:
        self._create = settings.create_accounts

    def in_force(self, stored: str | None) -> str | None:
        """The account that a person with this one stored really uses."""
        return stored if as_root() else own_user()

    async def settle(self, wanted: str | None, name: str, *, create: bool) -> str | None:
        """The account for a person called `name`: the wanted one, else one of the same name.

        As root it is created when it is missing and `create`. Raises InvalidInput on `account` when it cannot be had,
        AccountNotCreated when useradd failed.
        """
        if not as_root():
            if wanted not in (None, own_user()):
                raise invalid("account", f"The portal runs as {own_user()}, so everything runs as {own_user()}.")
            return None
        account = wanted or name
        if not re.fullmatch(ACCOUNT_PATTERN, account):
            raise invalid("account", "This is not a name that a Unix account can have.")
        if await asyncio.to_thread(_exists, account):
            await asyncio.to_thread(refuse_system_account, account)
        elif create and self._create:
            await _create(account)
        else:
            raise invalid(
                "account",
                f"There is no Unix account {account} on this machine.",
                hint=f"Create it with: useradd -m -s /bin/bash {account}",
            )
        return account


def own_user() -> str:
    """The user that the portal runs as."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container may run as a number without a name
        return str(os.geteuid())


def ordinary(account: str) -> bool:
    """Whether there is such an account and it is a person's."""
    try:
        uid = pwd.getpwnam(account).pw_uid
    except (KeyError, ValueError):
        return False
    return uid >= FIRST_ORDINARY_UID and uid not in NOBODY_UIDS


def refuse_system_account(account: str) -> None:
    """Sessions never run as root or as an account of the system."""
    if not ordinary(account):
        raise invalid("account", f"{account} is an account of the system; sessions run as people's accounts only.")


def _exists(account: str) -> bool:
    try:
        pwd.getpwnam(account)
    except (KeyError, ValueError):
        return False
    return True


async def _create(account: str) -> None:
    try:
        await commands.run(["useradd", "-m", "-s", "/bin/bash", "--", account], timeout=USERADD_SECONDS)
    except CommandFailed as error:
        raise AccountNotCreated(error.detail, hint="Create the account yourself, or name another one.") from error
    await asyncio.to_thread(refuse_system_account, account)
