"""Hosts of machines in the page: what operators see of them, and the screen of a machine on another one."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PHONE, MakeContext
from tests.browser.machines.house import GUEST, MachineSite, open_console
from tests.browser.site import Person
from tests.browser.test_access import findings
from tests.browser.watch import watch_of
from tests.support import libvirt, remote_host
from tests.support.libvirt import private_libvirt
from tests.support.remote_host import RemoteHost

LOST = 60_000.0


@pytest.fixture(scope="module")
def place(accounts: None) -> Iterator[tuple[MachineSite, RemoteHost]]:
    """A site with a host on this machine and one that is reached over ssh."""
    if lacking := [*libvirt.missing(), *remote_host.missing()]:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    with (
        private_libvirt() as here,
        private_libvirt(beside=here) as there,
        remote_host.remote_host(there) as far,
        MachineSite(here, MACHINES_HOSTS=json.dumps([f"here={here.uri}", f"far={far.uri}"])) as site,
    ):
        yield site, far


@pytest.fixture
def owner(place: tuple[MachineSite, RemoteHost]) -> Iterator[Person]:
    person = place[0].person(roles=("operator", "member"))
    yield person
    place[0].delete_machines(person)


def test_operators_see_a_host_that_is_lost_and_comes_back(
    place: tuple[MachineSite, RemoteHost], owner: Person, open_browser: MakeContext
) -> None:
    site, far = place
    machine = site.machine(owner, host="far", start=True)
    context = open_browser(site, owner, bypass_csp=True)
    watch_of(context).allow(r"the server responded with a status of 503 .*/api/vms/")  # of the host that is lost
    page = context.new_page()
    page.goto("/site/machines")
    cards = page.get_by_test_id("host")
    expect(cards).to_have_count(2, timeout=30_000)
    lost = page.locator("[data-testid=host][data-name=far]")
    expect(lost).to_have_attribute("data-connected", "true")
    expect(lost).to_contain_text(re.compile(r"1 machine, 1 running"))
    expect(lost).to_contain_text("qemu+ssh://")
    expect(lost).not_to_contain_text("keyfile")
    assert findings(page) == []

    far.cut()
    try:
        expect(lost).to_have_attribute("data-connected", "false", timeout=LOST)
        expect(lost).to_contain_text("does not answer, since")
        expect(lost).to_contain_text("Its machines may well be running")
        expect(page.locator("[data-testid=host][data-name=here]")).to_have_attribute("data-connected", "true")
        assert findings(page) == []
        other = context.new_page()
        other.goto(f"/machines/{machine['id']}")
        expect(other.get_by_test_id("unseen").first).to_be_visible(timeout=LOST)
    finally:
        far.start()
    expect(lost).to_have_attribute("data-connected", "true", timeout=LOST)
    expect(other.get_by_test_id("unseen")).to_have_count(0, timeout=LOST)


def test_the_screen_of_a_machine_on_another_host(
    place: tuple[MachineSite, RemoteHost], owner: Person, open_browser: MakeContext
) -> None:
    site, far = place
    machine = site.machine(owner, host="far", start=True)
    page = open_browser(site, owner).new_page()
    page.goto(f"/machines/{machine['id']}")
    expect(page.get_by_test_id("thumbnail").first).to_be_visible(timeout=GUEST)
    page.goto(f"/machines/{machine['id']}/console")
    open_console(page)
    assert far.viewers() == 1


def test_in_korean_on_a_phone(place: tuple[MachineSite, RemoteHost], owner: Person, open_browser: MakeContext) -> None:
    page = open_browser(place[0], owner, locale="ko-KR", **PHONE).new_page()
    page.goto("/site/machines")
    with contextlib.closing(page):
        expect(page.get_by_role("heading", name="가상 머신 호스트")).to_be_visible(timeout=30_000)
        expect(page.get_by_test_id("host").first).to_contain_text("남은 메모리")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_others_are_not_shown_the_place(place: tuple[MachineSite, RemoteHost], open_browser: MakeContext) -> None:
    page = open_browser(place[0], place[0].person()).new_page()
    page.goto("/machines")
    expect(page.get_by_test_id("empty")).to_be_visible(timeout=30_000)
    expect(page.locator("a[href='/site/machines']")).to_have_count(0)
