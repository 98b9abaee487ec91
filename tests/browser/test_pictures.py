"""Pictures of the main views for docs/pictures, so that a change of looks is seen. Only with --pictures."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route

from tests.browser.conftest import DESK
from tests.browser.inside import Inside
from tests.browser.screen import open_desktop, settled_picture, show_bar
from tests.browser.site import Person, Site
from tests.support import displays

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
PHONE_SIZE = {"width": 390, "height": 844}
LOOKS = [("light", "en"), ("dark", "ko"), ("dark", "en"), ("light", "ko")]
# These in all looks, the others in the first two.
IN_ALL_LOOKS = {"desktops", "sign-in"}
LOCALES = {"en": "en-GB", "ko": "ko-KR"}
NEW = "doyun"
GREETING = r"""printf '$ echo "안녕하세요, 마당!" | tee 인사.txt\n안녕하세요, 마당!\n$ wc -m 인사.txt\n11 인사.txt\n'"""
PEOPLE = [("haeun", "김하은", "teacher"), ("minjun", "이민준", "member"), ("seoyeon", "박서연", "operator")]


@pytest.fixture(scope="module")
def scene(accounts: None) -> Iterator[tuple[Site, Person, str]]:
    """A site with people, two desktops that run and one that could not start; the id of the first."""
    first = displays.take_range()[0]
    with Site(VNC_FIRST_DISPLAY=str(first), VNC_LAST_DISPLAY=str(first + 1)) as site:
        for name, shown, role in PEOPLE:
            site.person(name, shown, roles=(role,))
        site.person(NEW, "정도윤")
        owner = site.boss
        desktop = str(owner.http.start_desktop(name="Data analysis", width=1440, height=900)["id"])
        owner.http.start_desktop(name="논문 그림", width=1440, height=900)
        owner.http.until(str(owner.http.ask(name="One too many")["id"]), "failed")
        inside = Inside(desktop)
        words = ["env", "PS1=$ ", "bash", "--norc", "-c", f"{GREETING}; exec bash --norc"]
        inside.open_terminal(title="Terminal", geometry="84x22+150+170", command=words)
        yield site, owner, desktop
        inside.close()
    displays.give_back(first)


@pytest.mark.parametrize(("theme", "language"), LOOKS)
@pytest.mark.parametrize("size", [DESK, PHONE_SIZE], ids=["desk", "phone"])
def test_pictures(
    chromium: Browser, scene: tuple[Site, Person, str], theme: str, language: str, size: dict[str, int]
) -> None:
    site, owner, desktop = scene
    ending = f"{size['width']}-{theme}-{language}"
    whole = LOOKS.index((theme, language)) < 2
    phone = {"is_mobile": True, "has_touch": True} if size is PHONE_SIZE else {}
    settings: dict[str, Any] = {
        "base_url": site.url, "viewport": size, "color_scheme": theme, "locale": LOCALES[language],
        "timezone_id": "Asia/Seoul", "reduced_motion": "reduce",
    }  # fmt: skip

    def open_page(name: str) -> Page:
        """A page of this person; the browser itself signs in, as its name is shown in the account."""
        context = chromium.new_context(**settings, **phone)
        if name:
            token = site.link_for(name).partition("#")[2]
            assert context.request.post("/api/identity/links/redeem", data={"token": token}).ok
        return context.new_page()

    def take(page: Page, view: str) -> None:
        if whole or view in IN_ALL_LOOKS:
            page.wait_for_timeout(300)
            FOLDER.mkdir(parents=True, exist_ok=True)
            image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            image.save(FOLDER / f"{view}-{ending}.webp", quality=84, method=6)

    pages = [open_page(""), open_page(NEW), open_page(owner.name)]
    pages[0].goto("/sign-in")
    pages[0].get_by_test_id("sign-in-form").wait_for()
    take(pages[0], "sign-in")
    pages[1].goto("/desktops")
    pages[1].get_by_test_id("empty").wait_for()
    take(pages[1], "desktops-empty")
    take_places(pages[2], take)
    if whole:
        pages.append(open_page(owner.name))
        take_start(pages[3], owner.http.session(desktop), take)
        take_desktop(pages[2], desktop, take)
    for page in pages:
        page.context.close()


def take_places(page: Page, take: Any) -> None:
    page.goto("/desktops")
    page.get_by_test_id("session").first.wait_for()
    take(page, "desktops")
    page.get_by_test_id("new-options").click()
    page.get_by_test_id("new-dialog").wait_for()
    take(page, "new-desktop")
    for path in ("account", "people"):
        page.goto(f"/{path}")
        page.wait_for_load_state("networkidle")
        take(page, path)


def take_start(page: Page, session: dict[str, Any], take: Any) -> None:
    """A start that stands still in the middle: too quick to be caught otherwise."""
    began = at = datetime.now(UTC)
    stages: list[dict[str, Any]] = []
    for name, seconds in (("request", 0.02), ("agent", 0.11), ("display", 0.24), ("window_manager", None)):
        stages.append({"name": name, "started_at": at.isoformat(), "seconds": seconds})
        at += timedelta(seconds=seconds or 0)
    page.clock.set_fixed_time(at + timedelta(seconds=0.31))
    shown = session | {"state": "starting", "stages": stages, "ready_at": None, "created_at": began.isoformat()}

    def answer(route: Route) -> None:
        route.fulfill(content_type="application/json", body=json.dumps(shown))

    page.route(re.compile(f"/api/vnc/sessions/{session['id']}$"), answer)
    page.route_web_socket(re.compile("/api/live"), lambda socket: None)
    page.route_web_socket(re.compile("/vncproxy/"), lambda socket: socket.close())
    page.goto(f"/desktops/{session['id']}")
    page.get_by_test_id("timeline").wait_for()
    take(page, "starting")


def take_desktop(page: Page, desktop: str, take: Any) -> None:
    page.goto(f"/desktops/{desktop}")
    open_desktop(page)
    settled_picture(page)
    show_bar(page)
    take(page, "desktop")
