"""What operations of desktops share: how a session is named in a path, the errors that they document."""

from __future__ import annotations

from typing import Annotated

from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter

from madang.kernel.http import Problem

SessionId = Annotated[str, Parameter(max_length=20, description="Id of a session.")]
PROBLEM = "application/problem+json"
_WORDS = {
    401: "Not signed in",
    403: "Not allowed",
    404: "Not there, or not yours",
    409: "Does not fit",
    422: "Wrong",
    429: "Too often",
    503: "Does not answer now",
}


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """As an operation's `responses`."""
    return {
        status: ResponseSpec(Problem, description=_WORDS[status], generate_examples=False, media_type=PROBLEM)
        for status in statuses
    }
