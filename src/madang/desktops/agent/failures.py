"""Why a session cannot start or go on, in words for the person who waits for it."""

from __future__ import annotations

import errno

from madang.compute.order import Failure


class SessionFailed(Exception):
    """Ends a start or a session; failure is what the portal shows."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.code}: {failure.detail or failure.title}")
        self.failure = failure


def account_gone(name: str, node: str) -> Failure:
    return Failure(
        "account_gone",
        "The Unix account is gone.",
        f"There is no account {name} on {node}.",
        "Ask an administrator to restore it, or to give you another one.",
    )


def home_missing(home: str, reason: str) -> Failure:
    return Failure(
        "home_missing",
        "The home folder is missing.",
        f"{home}: {reason}",
        "Ask an administrator to create or mount it.",
    )


def home_not_writable(home: str, reason: str) -> Failure:
    return Failure(
        "home_not_writable",
        "The home folder cannot be written to.",
        f"{home}: {reason}",
        "Ask an administrator to check its owner, its mode and how it is mounted.",
    )


def disk_full(folder: str, reason: str, hint: str) -> Failure:
    return Failure("disk_full", "The disk is full.", f"{folder}: {reason}", hint)


def package_missing(programs: list[str], packages: list[str]) -> Failure:
    return Failure(
        "package_missing",
        "The desktop is not installed on this machine.",
        f"Not found: {', '.join(programs)}.",
        f"apt-get install --no-install-recommends {' '.join(packages)}",
    )


def no_free_display(first: int, last: int) -> Failure:
    return Failure(
        "no_free_display",
        "No display is free.",
        f"All displays from :{first} to :{last} are taken.",
        "End a desktop that is no longer needed, or ask an operator for a wider range.",
    )


def no_free_port(detail: str) -> Failure:
    return Failure(
        "no_free_port",
        "No port is free for this desktop.",
        f"{detail[:1].upper()}{detail[1:]} on its node.",
        "End a desktop that is no longer needed, or ask an operator for a wider range.",
    )


def door_failed(detail: str) -> Failure:
    return Failure("door_failed", "The desktop's door did not open.", detail, "The log says more; try again.")


def folder_refused(detail: str) -> Failure:
    return Failure(
        "folder_refused",
        "The session's folder could not be made.",
        detail,
        "Ask an operator to look at that folder on that node.",
    )


def display_failed(detail: str) -> Failure:
    return Failure("display_failed", "The display did not start.", detail, "The log says more; try again.")


def display_lost(detail: str) -> Failure:
    return Failure(
        "display_lost",
        "The display ended unexpectedly.",
        detail,
        "Programs of this desktop are gone; start a new one. The log may say why.",
    )


def desktop_lost(detail: str) -> Failure:
    return Failure(
        "desktop_lost",
        "The desktop ended unexpectedly.",
        detail,
        "Start a new one. The log may say why.",
    )


def start_timeout(seconds: float, stage: str) -> Failure:
    return Failure(
        "start_timeout",
        "The desktop took too long to start.",
        f"Not ready after {seconds:.0f} s; it was at: {stage}.",
        "The machine may be overloaded, or the home folder does not answer; try again, then ask an operator.",
    )


def agent_lost() -> Failure:
    return Failure(
        "agent_lost",
        "The desktop was ended from outside.",
        "The first process of its agent was killed.",
        "Start a new one. Files that were saved in the home folder are still there.",
    )


def agent_error(detail: str) -> Failure:
    return Failure("agent_error", "The session's agent failed.", detail, "This is a bug: please report the log.")


def of_error(folder: str, error: OSError, hint: str = "Ask an operator to free space there.") -> Failure:
    """The failure of writing something into a folder."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(folder, error.strerror or "", hint)
    return display_failed(f"{error.filename or folder}: {error.strerror}")
