"""A real browser (Debian's Chromium) on a real portal with real desktops."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.inside import Inside
from tests.browser.site import Person, Site, remove_account
from tests.browser.watch import Watch, watch_of

PAGE = Path(__file__).parents[2] / "src" / "madang" / "page" / "index.html"
ARGUMENTS = [
    "--headless=new", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
DESK = {"width": 1440, "height": 900}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
RESULTS = Path(__file__).parents[2] / ".cache" / "results"
FAILED = pytest.StashKey[bool]()
MakeContext = Callable[..., BrowserContext]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", action="store_true", help="write the pictures of the main views to docs/pictures")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if collection_path.name.endswith("_pictures.py") and not config.getoption("--pictures") else None


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program, "there is no Chromium: scripts/setup test brings it"
    assert PAGE.exists(), "the page is not built: scripts/build builds it"
    arguments = ARGUMENTS + (["--no-sandbox"] if os.geteuid() == 0 else [])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def accounts() -> Iterator[None]:
    remove_account()
    yield
    remove_account()


@pytest.fixture(scope="session")
def site(accounts: None) -> Iterator[Site]:
    """One portal for all tests that leave it as it is. A locked name is free again after nine seconds."""
    allowed = {"VNC_SESSIONS_PER_PERSON": "6", "VNC_SHARE_GUESTS": "true", "VNC_LARGEST_UPLOAD_BYTES": "40000000"}
    with Site(IDENTITY_LOCK_MINUTES="0.15", **allowed) as site:
        assert site.boss
        yield site


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    item.stash.setdefault(FAILED, False)
    item.stash[FAILED] |= report.failed  # type: ignore[attr-defined]
    return report  # type: ignore[return-value]


@pytest.fixture
def open_browser(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[MakeContext]:
    """Makes browsers that know nothing of each other. At the end each is asked what it saw.

    Of a test that failed, what its pages show is left in .cache/results.
    """
    made: list[BrowserContext] = []

    def make(site: Site, person: Person | None = None, **options: object) -> BrowserContext:
        settings: dict[str, object] = {"viewport": DESK, "locale": "en-GB", "color_scheme": "light"} | options
        context = chromium.new_context(
            base_url=site.public_url,
            ignore_https_errors=True,  # nginx has a certificate of its own making here
            permissions=["clipboard-read", "clipboard-write"],
            **settings,  # type: ignore[arg-type]
        )
        context.set_default_timeout(10_000)
        context.watch = Watch(context, site.public_url)  # type: ignore[attr-defined]
        made.append(context)
        if person:
            cookie = {"name": "madang_sign_in", "value": person.cookie, "url": site.public_url, "httpOnly": True}
            context.add_cookies([cookie])
        return context

    yield make
    if request.node.stash.get(FAILED, False):
        pages = [page for context in made for page in context.pages]
        for number, page in enumerate(pages, 1):
            with contextlib.suppress(Exception):
                page.screenshot(path=RESULTS / f"{request.node.name}-{number}.png")
    for context in made:
        context.close()
    for context in made:
        watch_of(context).check()


@pytest.fixture
def person(site: Site) -> Iterator[Person]:
    """A member without desktops."""
    person = site.person()
    yield person
    # By another sign-in: a test may have ended the person's own.
    site.end_desktops(site.enter(site.link_for(person.name)))


@pytest.fixture
def page(site: Site, person: Person, open_browser: MakeContext) -> Page:
    """A page in which `person` is signed in."""
    return open_browser(site, person).new_page()


@pytest.fixture
def go_inside() -> Iterator[Callable[[str], Inside]]:
    """The inside of a session; what was started there is ended."""
    entered: list[Inside] = []

    def enter(session: str) -> Inside:
        entered.append(Inside(session))
        return entered[-1]

    yield enter
    for inside in entered:
        inside.close()
