"""The built page: its files are listed once, so that no path from a request ever reaches the file system."""

from __future__ import annotations

import asyncio
import mimetypes
import time
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent.parent / "page"

HTML = "text/html; charset=utf-8"
LIST_SECONDS = 1.0
MISSING = b"""<!doctype html><meta charset="utf-8"><title>Madang</title>
<h1>The page is not built yet</h1><p>Run <code>make build</code> and reload. / <code>make build</code></p>"""


class Answer(NamedTuple):
    status: int
    body: bytes
    content_type: str
    cache: str


class Page:
    """Answers GET for the page's own files; any other path that is not the API's is the page itself (its router)."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._files: dict[str, Path] = {}
        self._listed_at = 0.0
        self._list()

    def _list(self) -> None:
        self._listed_at = time.monotonic()
        self._files = {
            "/" + path.relative_to(self._folder).as_posix(): path for path in self._folder.rglob("*") if path.is_file()
        }

    async def answer(self, path: str) -> Answer:
        if path not in self._files and time.monotonic() - self._listed_at > LIST_SECONDS:
            self._list()  # it may have been built anew
        file = self._files.get(path)
        if file is None and path == "/api/docs":
            file = self._files.get("/api-docs.html")
        if file is None and "." not in path.rsplit("/", 1)[-1]:
            file = self._files.get("/index.html")
        if file is None:
            known = "/index.html" in self._files
            return Answer(404 if known else 503, b"" if known else MISSING, "text/plain" if known else HTML, "no-store")
        try:
            body = await asyncio.to_thread(file.read_bytes)
        except OSError:  # the page was built anew while we run
            self._list()
            return Answer(404, b"", "text/plain", "no-store")
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        if kind.startswith("text/") or kind in ("application/json", "application/javascript"):
            kind += "; charset=utf-8"
        # Files under assets/ carry a hash of their content in the name.
        cache = "public, max-age=31536000, immutable" if path.startswith("/assets/") else "no-cache"
        return Answer(200, body, kind, cache)
