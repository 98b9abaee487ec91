"""The Unix account a session runs as: looking it up, becoming it."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass


@dataclass(frozen=True)
class Account:
    name: str
    uid: int
    gid: int
    home: str
    shell: str


def look_up(name: str | None) -> Account:
    """The account of that name, or with None the user this process runs as. Raises KeyError when there is none."""
    entry = pwd.getpwuid(os.geteuid()) if name is None else pwd.getpwnam(name)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir or "/", entry.pw_shell or "/bin/sh")


def become(account: Account) -> None:
    """Gives up root for good. Nothing to do for somebody who is that account already."""
    if os.geteuid() == account.uid and os.getuid() == account.uid:
        return
    os.initgroups(account.name, account.gid)
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
    if account.uid != 0 and os.geteuid() != account.uid:
        raise PermissionError(f"could not become {account.name}")
