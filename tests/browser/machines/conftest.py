"""A site with machines, one for all tests of a file: it differs by what the file's SETTINGS say. People are each test's
own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import MakeContext
from tests.browser.machines.house import MachineSite, machine_site
from tests.browser.site import Person


@pytest.fixture(scope="module")
def site(accounts: None, request: pytest.FixtureRequest) -> Iterator[MachineSite]:
    with machine_site(**getattr(request.module, "SETTINGS", {})) as site:
        yield site


@pytest.fixture
def owner(site: MachineSite) -> Iterator[Person]:
    person = site.person()
    yield person
    site.delete_machines(person)


@pytest.fixture
def page(site: MachineSite, owner: Person, open_browser: MakeContext) -> Page:
    """A page in which `owner` is signed in."""
    return open_browser(site, owner).new_page()
