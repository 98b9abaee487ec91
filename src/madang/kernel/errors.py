"""The one tree of errors.

    MadangError
    ├── InvalidInput          422  what was sent cannot be used
    ├── NotSignedIn           401  who asks is not known
    ├── Forbidden             403  who asks may not
    ├── NotFound              404  it is not there, or not theirs
    ├── Conflict              409  it does not fit what is there now
    │   └── LimitReached      409  a limit of the person or the site
    ├── TooManyAttempts       429  later again
    ├── Unavailable           503  an engine or store does not answer now
    └── SiteError             500  the operator has to do something
        ├── SettingError           a wrong setting
        └── CommandFailed          an external program failed

Each knows its HTTP status, a stable code, a sentence for a person and a hint what to do next. Anything that is not a
MadangError is a bug and is logged with its trace.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec


class Failure(msgspec.Struct, frozen=True):
    """Why something could not be done, in a form that can be stored and shown later."""

    code: str
    title: str
    detail: str = ""
    hint: str = ""


class MadangError(Exception):
    """What went wrong, for a person and for a program."""

    status: ClassVar[int] = 500
    code: str = "error"
    title: str = "Something went wrong"

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        title: str | None = None,
        hint: str = "",
        retry_after: float | None = None,
        **extras: Any,
    ) -> None:
        self.code = code or type(self).code
        self.title = title or type(self).title
        self.detail = detail
        self.hint = hint
        self.retry_after = retry_after
        self.extras = extras
        super().__init__(detail or self.title)

    def problem(self, instance: str = "") -> dict[str, Any]:
        """RFC 9457 problem details."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "hint": self.hint,
            "instance": instance,
            **self.extras,
        }
        if self.retry_after is not None:
            body["retry_after"] = round(self.retry_after, 1)
        return body

    def failure(self) -> Failure:
        """The same, to be kept with a record."""
        return Failure(code=self.code, title=self.title, detail=self.detail, hint=self.hint)


class InvalidInput(MadangError):
    status = 422
    code = "validation"
    title = "This cannot be used as it is"


class NotSignedIn(MadangError):
    status = 401
    code = "not_signed_in"
    title = "You are not signed in"


class Forbidden(MadangError):
    status = 403
    code = "forbidden"
    title = "You may not do this"


class NotFound(MadangError):
    status = 404
    code = "not_found"
    title = "There is nothing here"


class Conflict(MadangError):
    status = 409
    code = "conflict"
    title = "This does not fit what is there now"


class LimitReached(Conflict):
    code = "limit_reached"
    title = "A limit is reached"


class TooManyAttempts(MadangError):
    status = 429
    code = "too_many_attempts"
    title = "Too many attempts"


class Unavailable(MadangError):
    status = 503
    code = "unavailable"
    title = "This does not answer right now"


class SiteError(MadangError):
    status = 500
    code = "site_error"
    title = "The site has to be mended by its operator"


class NoSpace(SiteError):
    """A disk is full, or would be."""

    status = 507
    code = "no_space"
    title = "There is no room for it"


class SettingError(SiteError):
    """A wrong setting, named with its file, key, value and what is allowed."""

    code = "wrong_setting"
    title = "A setting is wrong"


class CommandFailed(SiteError):
    """An external program failed; the detail holds the command as one could paste it and its last lines."""

    code = "command_failed"
    title = "A program on this machine failed"
