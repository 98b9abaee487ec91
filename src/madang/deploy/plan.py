"""Plan and apply: which files would change, and change them.

A rendered file begins with a line that holds a digest of the rest. So a file that somebody edited is told from one that
only an older run wrote: the first stays as it is unless it is asked for, the second is brought up to date.
"""

from __future__ import annotations

import difflib
import enum
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from madang.kernel.errors import Conflict, SiteError

MARK = "# Written by `madang deploy render`, which keeps what is edited here unless told --force. "


class Fate(enum.Enum):
    """What becomes of a file."""

    SAME = "same"
    NEW = "new"
    CHANGED = "changed"
    REMOVED = "removed"  # written by an earlier run for another layout
    EDITED = "edited"  # by hand, and it differs from what would be written


class Change(msgspec.Struct, frozen=True):
    """One file, what becomes of it, and the difference as `diff -u` shows it."""

    path: Path
    fate: Fate
    text: str = ""
    difference: str = ""


def marked(body: str) -> str:
    """The file as it is written."""
    return f"{MARK}{_digest(body)}\n{body}"


def plan(folder: Path, files: Mapping[str, str], known: Iterable[str], starters: Mapping[str, str]) -> list[Change]:
    """What would change below `folder`.

    `files`: bodies by path; `known`: patterns of paths that other layouts have files at; `starters`: files that are
    written when there are none and then are the operator's own.
    """
    changes = [_compare(folder / path, marked(body)) for path, body in files.items()]
    wanted = {change.path for change in changes}
    left_over = sorted({path for pattern in known for path in folder.glob(pattern)} - wanted)
    changes += [
        Change(path, Fate.REMOVED, difference=_difference(path, text, ""))
        for path in left_over
        if _is_ours(text := _read(path) or "")
    ]
    for name, text in starters.items():
        path = folder / name
        found = _read(path) is not None
        changes.append(Change(path, Fate.SAME) if found else Change(path, Fate.NEW, text, _difference(path, "", text)))
    return changes


def apply(changes: Sequence[Change], *, force: bool = False) -> list[Change]:
    """Carry it out; gives what was done. Raises Conflict, before anything is written, for files edited by hand."""
    edited = [str(change.path) for change in changes if change.fate is Fate.EDITED]
    if edited and not force:
        raise Conflict(
            f"Edited by hand: {', '.join(edited)}.",
            code="edited_by_hand",
            hint="--check shows what would change; --force writes them anew, the old ones stay beside them as *.old.",
        )
    done = [change for change in changes if change.fate is not Fate.SAME]
    for change in done:
        try:
            _carry_out(change)
        except OSError as error:
            raise SiteError(f"{change.path} cannot be written: {error.strerror}.", hint="Run it as root?") from error
    return done


def _carry_out(change: Change) -> None:
    if change.fate is Fate.REMOVED:
        change.path.unlink()
        return
    if change.fate is Fate.EDITED:
        change.path.replace(change.path.with_name(change.path.name + ".old"))
    change.path.parent.mkdir(parents=True, exist_ok=True)
    draft = change.path.with_name(f".{change.path.name}.{os.getpid()}")
    draft.write_text(change.text, encoding="utf-8")
    draft.chmod(0o644)
    draft.replace(change.path)


def _compare(path: Path, text: str) -> Change:
    found = _read(path)
    if found is None:
        return Change(path, Fate.NEW, text, _difference(path, "", text))
    if found == text:
        return Change(path, Fate.SAME)
    return Change(path, Fate.CHANGED if _is_ours(found) else Fate.EDITED, text, _difference(path, found, text))


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SiteError(f"{path} cannot be read: {error.strerror}.", hint="Run it as root?") from error


def _is_ours(text: str) -> bool:
    """Whether it is as an earlier run wrote it."""
    head, _, body = text.partition("\n")
    return head == MARK + _digest(body)


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def _difference(path: Path, old: str, new: str) -> str:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), f"{path} (now)", f"{path} (then)", lineterm="")
    return "\n".join(lines)
