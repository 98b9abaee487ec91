"""Whether a request comes from this site's own pages: the Origin header (https://www.rfc-editor.org/rfc/rfc6454)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from madang.kernel.errors import Forbidden
from madang.kernel.settings import HttpSettings, Settings


class ForeignOrigin(Forbidden):
    code = "foreign_origin"
    title = "This came from another site"


def check(headers: Mapping[str, str], settings: Settings, *, required: bool = False) -> None:
    """Raise ForeignOrigin unless Origin is this site. Without the header, only when `required`.

    This site is the host that the browser asked (Host), its public URL, and the origins that the operator allowed.
    """
    origin = headers.get("origin")
    if origin is None:
        if required:
            raise ForeignOrigin("The request names no origin.", hint="Open the site in a browser, or use an API token.")
        return
    if origin in (settings.public_url, *settings[HttpSettings].allowed_origins):
        return
    if origin.startswith(("http://", "https://")) and _authority(origin) == headers.get("host", "").lower():
        return
    raise ForeignOrigin(
        "The request was made by a page of another site.",
        hint="If that site is yours, its operator can add it to http.allowed_origins.",
    )


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
