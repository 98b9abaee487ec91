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
from tests.browser.offers import presets
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
NOTES = "3장의 그림. Keep the notebook open."
GREETING = r"""printf '$ echo "안녕하세요, 마당!" | tee 인사.txt\n안녕하세요, 마당!\n$ wc -m 인사.txt\n11 인사.txt\n'"""
PRESETS: list[dict[str, Any]] = [
    {"name": "Standard", "description": "For everyday work. 평소에 쓰는 데스크톱입니다.", "native": True},
    {
        "name": "Large memory", "description": "For meshes and post-processing. 큰 해석 결과를 볼 때 씁니다.",
        "launcher": "slurm", "partition": "viz", "cpus": 16, "memory_bytes": 128_000_000_000, "idle_stop_seconds": 7200,
    },
    {
        "name": "GPU", "description": "For rendering with a graphics card. 그래픽 카드로 렌더링할 때 씁니다.",
        "launcher": "slurm", "partition": "viz", "qos": "gpu", "cpus": 8, "memory_bytes": 64_000_000_000,
        "gpus": "a100:1", "pool_size": 2,
    },
]  # fmt: skip
PEOPLE = [("haeun", "김하은", "teacher"), ("minjun", "이민준", "member"), ("seoyeon", "박서연", "operator")]


@pytest.fixture(scope="module")
def scene(accounts: None) -> Iterator[tuple[Site, Person, str]]:
    """A site with people, two desktops that run and one that could not start; the id of the first."""
    first = displays.take_range()[0]
    limits = {"VNC_FIRST_DISPLAY": str(first), "VNC_LAST_DISPLAY": str(first + 1), "VNC_SHARE_GUESTS": "true"}
    with Site(**limits) as site, presets(site, *PRESETS):
        for name, shown, role in PEOPLE:
            site.person(name, shown, roles=(role,))
        site.person(NEW, "정도윤")
        owner = site.boss
        desktop = str(owner.http.start_desktop(name="Data analysis", notes=NOTES, width=1440, height=900)["id"])
        owner.http.start_desktop(name="논문 그림", width=1440, height=900)
        owner.http.until(str(owner.http.ask(name="One too many")["id"]), "failed")
        put_files(owner, desktop)
        inside = Inside(desktop)
        words = ["env", "PS1=$ ", "bash", "--norc", "-c", f"{GREETING}; exec bash --norc"]
        inside.open_terminal(title="Terminal", geometry="84x22+150+170", command=words)
        yield site, owner, desktop
        inside.close()
    displays.give_back(first)


def put_files(owner: Person, desktop: str) -> None:
    for name, size in (("격자.vtu", 48_200_000), ("results.csv", 18_400), ("그림 3.png", 912_000)):
        wish = {"folder": "", "name": name}
        answer = owner.http.put(f"/api/vnc/sessions/{desktop}/files/content", params=wish, content=bytes(size))
        assert answer.status_code == 201, answer.text


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
        pages.append(open_page(owner.name))
        take_waiting(pages[4], owner.http.session(desktop), take)
        link = take_dialogs(pages[2], desktop, take)
        take_desktop(pages[2], desktop, take)
        pages.append(open_page(""))
        take_shared(pages[5], link, language, take)
    for page in pages:
        page.context.close()


def take_places(page: Page, take: Any) -> None:
    page.goto("/desktops")
    page.get_by_test_id("thumbnail").first.wait_for()
    page.wait_for_load_state("networkidle")
    take(page, "desktops")
    page.get_by_test_id("new-options").click()
    page.get_by_test_id("new-dialog").wait_for()
    take(page, "new-desktop")
    for path in ("account", "people"):
        page.goto(f"/{path}")
        page.wait_for_load_state("networkidle")
        take(page, path)
    for part in ("", "/presets", "/usage"):
        page.goto(f"/site/desktops{part}")
        page.wait_for_load_state("networkidle")
        take(page, f"site-desktops{part.replace('/', '-')}")
    page.get_by_test_id("part-presets").click()
    page.get_by_test_id("preset-edit").nth(2).click()
    page.get_by_test_id("preset-dialog").wait_for()
    take(page, "site-preset")


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


def take_waiting(page: Page, session: dict[str, Any], take: Any) -> None:
    """One that waits in the queue of a cluster."""
    now = datetime.now(UTC)
    expected = (now + timedelta(minutes=25)).isoformat()
    waiting = {
        "reason": "resources", "said": "Resources", "partition": "viz", "expected_at": expected, "position": 4,
    }  # fmt: skip
    preset = {"id": "large", "name": "Large memory"}
    shown = session | {"state": "waiting", "launcher": "slurm", "waiting": waiting, "preset": preset, "job": "4711"}
    shown |= {"created_at": (now - timedelta(minutes=3)).isoformat(), "ready_at": None, "stages": []}
    page.route(
        re.compile(f"/api/vnc/sessions/{session['id']}$"),
        lambda route: route.fulfill(content_type="application/json", body=json.dumps(shown)),
    )
    page.route_web_socket(re.compile("/api/live"), lambda socket: None)
    page.goto(f"/desktops/{session['id']}")
    page.get_by_test_id("waiting").wait_for()
    take(page, "waiting")


def take_dialogs(page: Page, desktop: str, take: Any) -> str:
    """What is done with a desktop; gives a link to it."""
    link = ""
    for dialog, place in (("extend", 0), ("share", 1), ("files", 2), ("native", 3)):
        page.goto("/desktops")
        page.locator(f"[data-testid=session][data-id='{desktop}']").get_by_test_id("session-menu").click()
        page.get_by_role("menuitem").nth(place).click()
        page.get_by_test_id(f"{dialog}-dialog").wait_for()
        if dialog == "share":
            page.get_by_test_id("share-guests").check()
            page.get_by_test_id("share-make").click()
            link = page.get_by_test_id("share-link").input_value()
        elif dialog == "native":
            page.get_by_test_id("native-open").click()
            page.get_by_test_id("native-password").wait_for()
        page.wait_for_load_state("networkidle")
        take(page, dialog)
    return link


def take_shared(page: Page, link: str, language: str, take: Any) -> None:
    page.goto(link)
    page.get_by_test_id("guest-name").fill("박서연" if language == "ko" else "Seoyeon")
    page.get_by_test_id("guest-enter").click()
    page.locator("[data-testid=desktop-view][data-pictured=true]").wait_for(timeout=25_000)
    settled_picture(page)
    take(page, "shared")


def take_desktop(page: Page, desktop: str, take: Any) -> None:
    page.goto(f"/desktops/{desktop}")
    open_desktop(page)
    settled_picture(page)
    show_bar(page)
    take(page, "desktop")
