"""The picture of a desktop in the page, as pixels."""

from __future__ import annotations

import base64
import contextlib
import io
import time
from collections.abc import Callable

from PIL import Image, ImageChops
from playwright.sync_api import Page, TimeoutError

CANVAS = "[data-testid=desktop-screen] canvas"
Box = tuple[int, int, int, int]


def picture(page: Page) -> Image.Image:
    """What the desktop's canvas shows now."""
    data = page.eval_on_selector(CANVAS, "canvas => canvas.toDataURL('image/png')")
    return Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))).convert("RGB")


def colours(image: Image.Image) -> int:
    return len(image.getcolors(1 << 24) or ())


def share_of_commonest(image: Image.Image) -> float:
    found = image.getcolors(1 << 24) or [(0, None)]
    return max(number for number, _ in found) / (image.width * image.height)


def changed_pixels(before: Image.Image, after: Image.Image, least: int = 40) -> int:
    """How many are another colour, by so much at least: compression changes each a little."""
    assert before.size == after.size
    difference = ImageChops.difference(before, after).convert("L")
    return sum(difference.histogram()[least:])


def wait_for_picture(page: Page, wanted: Callable[[Image.Image], bool], seconds: float, what: str) -> Image.Image:
    """The first picture that is as wanted."""
    deadline = time.monotonic() + seconds
    while True:
        if page.locator(CANVAS).count() and wanted(image := picture(page)):
            return image
        assert time.monotonic() < deadline, f"{what}: not seen within {seconds:g} s"
        page.wait_for_timeout(50)


def settled_picture(page: Page, seconds: float = 10) -> Image.Image:
    """The picture once it has stood still for a moment."""
    deadline = time.monotonic() + seconds
    last = picture(page)
    while True:
        page.wait_for_timeout(300)
        now = picture(page)
        # A cursor that blinks changes few.
        if changed_pixels(last, now) < 300 or time.monotonic() > deadline:
            return now
        last = now


def shows_desktop(image: Image.Image) -> bool:
    """A wallpaper in many colours and above it XFCE's panel, a strip that is mostly of one."""
    if image.width < 200 or colours(image) < 50:
        return False
    panel = image.crop((image.width // 4, 2, image.width * 3 // 4, 20))
    below = image.crop((image.width // 4, 60, image.width * 3 // 4, 78))
    return share_of_commonest(panel) > 0.5 and changed_pixels(panel, below, 1) > panel.width * panel.height * 0.5


def open_desktop(page: Page, seconds: float = 25) -> Image.Image:
    """Waits until the page shows the desktop; gives its picture."""
    page.locator("[data-testid=desktop-view][data-state=connected][data-pictured=true]").wait_for(
        timeout=seconds * 1000
    )
    return wait_for_picture(page, shows_desktop, seconds, "the desktop")


def show_bar(page: Page) -> None:
    """Brings the controls of the desktop into view; while the mouse is over them they stay."""
    for _ in range(3):
        if page.get_by_test_id("show-bar").is_visible():
            page.get_by_test_id("show-bar").click()
        with contextlib.suppress(TimeoutError):  # it had just gone by itself
            page.get_by_test_id("desktop-bar").hover(timeout=2000)
            return
    raise AssertionError("the controls of the desktop do not come")
