"""The Unix account that desktops and their peers run as: as root one of our own, otherwise whoever measures."""

from __future__ import annotations

import contextlib
import getpass
import os
import pwd
import subprocess
from collections.abc import Iterator

NAME = "madang-bench"


@contextlib.contextmanager
def account() -> Iterator[str]:
    """The account's name; one that had to be made is removed again with its home."""
    if os.geteuid() != 0:
        yield getpass.getuser()
        return
    try:
        pwd.getpwnam(NAME)
        made = False
    except KeyError:
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", NAME], check=True, capture_output=True)
        made = True
    try:
        yield NAME
    finally:
        if made:
            subprocess.run(["userdel", "--remove", NAME], check=False, capture_output=True)
