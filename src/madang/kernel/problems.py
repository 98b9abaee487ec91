"""The errors that operations of the API document."""

from __future__ import annotations

from litestar.openapi.datastructures import ResponseSpec

from madang.kernel.http import Problem

MEDIA_TYPE = "application/problem+json"
WORDS = {
    401: "Not signed in, or not recognised",
    403: "Not allowed",
    404: "Not there, or not theirs",
    409: "Does not fit what is there now",
    412: "Was changed by somebody else meanwhile",
    422: "Cannot be used as it is; `fields` names what",
    429: "Too many attempts; `retry_after` says when again (seconds)",
    503: "What it needs does not answer right now",
    507: "There is no room for it",
}
# What answers with nothing but headers says so: a handler that returns Response[None] would be documented as JSON.
NOTHING = ResponseSpec(None, description="Done")


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """For `responses=` of a handler."""
    return {
        status: ResponseSpec(Problem, description=WORDS[status], generate_examples=False, media_type=MEDIA_TYPE)
        for status in statuses
    }
