"""The errors that an operation of the API documents."""

from __future__ import annotations

from litestar.openapi.datastructures import ResponseSpec

from madang.kernel.http import Problem

MEDIA_TYPE = "application/problem+json"
WORDS = {
    401: "Not signed in, or not recognised",
    403: "Not allowed",
    404: "Not there, or not theirs",
    409: "Does not fit what is there now",
    422: "Cannot be used as it is; `fields` names what",
    429: "Too many attempts; `retry_after` says when again (seconds)",
    503: "The database does not answer right now; nothing was changed",
}
# What answers with nothing but headers says so: a handler that returns Response[None] would be documented as JSON.
NOTHING = ResponseSpec(None, description="Done")


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """For `responses=` of a handler."""
    return {
        status: ResponseSpec(Problem, generate_examples=False, description=WORDS[status], media_type=MEDIA_TYPE)
        for status in (*statuses, 503)
    }
