"""The page in a real browser, by mouse and by keyboard, on a desk and on a phone, bright and dark."""
# ruff: noqa: E402 - what is imported below needs the library that is asked for first

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import need_module

need_module("selenium")

from reconciler.web.access import Role
from tests.daemon.scenes import asked, deployed
from tests.hosts.engine_host import V1, EngineHost
from tests.waiting import until
from tests.web.browser import PHONE, SECONDS, Person, sitting
from tests.web.site import Site, copy_state

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
MAJOR = "2.0.0+6.0.0"
NEW = "seen-just-now"
"""A status that the page has nowhere before."""
TYPES_MEANWHILE = """
const real = window.fetch;
window.fetch = async (...all) => {
  const got = await real(...all), form = document.querySelector("details.act:has([name=reason])");
  form.open = true;
  form.querySelector("[name=reason]").value = "begun";
  const text = got.text.bind(got);
  got.text = async () => { const read = await text(); setTimeout(() => (window.settled = true)); return read; };
  return got;
};
"""
"""The answer to the page's own question comes when somebody has begun to type."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    with sitting(tmp_path_factory.mktemp("browser")) as made:
        yield made


@pytest.fixture(params=["embedded", pytest.param("swarm", marks=pytest.mark.swarm)])
def host(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[EngineHost]:
    with asked(tmp_path / "host", request.param) as made:
        yield made


@pytest.fixture
def recorded(tmp_path: Path, browser: Person) -> Iterator[Site]:
    site = Site(home=tmp_path / "web", state=copy_state(tmp_path / "state"), roles=tuple(Role))
    with site.serving():
        browser.begin(site.url)
        yield site


def log_in(person: Person, site: Site, role: Role = Role.OPERATE) -> None:
    person.visit("/")
    person.at("Log in")
    person.driver.find_element("name", "token").send_keys(site.tokens[role])
    person.click("//form[contains(@class, 'login')]//button")
    person.at("Apps")


@pytest.mark.usefixtures("as_root")
def test_a_person_approves_goes_back_and_suspends(host: EngineHost, browser: Person, tmp_path: Path) -> None:
    site = Site(home=tmp_path / "web", state=host.state, roles=tuple(Role))
    browser.begin(site.url)
    with host.program.daemon(), site.serving():
        deployed(host)
        people = host.observed.data() / "people"
        people.write_text("of the first\n")
        host.release(MAJOR, notes="needs a human")
        browser.visit("/")
        browser.judge("login")
        log_in(browser, site)
        browser.reads("held-major")
        browser.judge("apps")
        browser.follow(host.name, host.name)
        browser.reads("held-major", "Clears when")
        browser.judge("app-held")
        browser.decide("Approve", reason="read the notes")
        browser.answered("approve: done")
        deployed(host, MAJOR)
        browser.reads("nothing newer", f"upgraded:{V1}->{MAJOR}")  # the page has followed by itself
        people.write_text("of the second\n")
        snapshot = host.state / host.name / "snapshot"
        snapshot.rename(snapshot.with_name("elsewhere"))
        browser.decide("Check the way back")
        browser.answered("There is no way back now", "What to do:")
        assert browser.find("//article[contains(@class, 'card bad')]")
        assert not browser.find("//form[contains(@action, '/rollback')]")
        browser.judge("app-no-way-back")
        snapshot.with_name("elsewhere").rename(snapshot)
        browser.decide("Check the way back")
        browser.answered(f"Leads to {V1}", "Its data: the snapshot of")
        browser.judge("app-way-back")
        show_card(browser)
        browser.decide(f"Go back to {V1}", reason="pages are empty")
        browser.answered("rollback: done")
        browser.reads(f"rolled-back:{MAJOR}->{V1}")
        assert (host.observed.known(), people.read_text()) == (V1, "of the first\n")
        browser.decide("Suspend", reason="on holiday")
        browser.answered("suspend: done")
        browser.reads("on holiday", f"ci-warm resume {host.name}")
        browser.judge("app-suspended")
        browser.decide("Resume")
        browser.answered("resume: done")
        browser.click("//button[normalize-space()='Log out']")
        browser.at("Log in")
    host.observed.check()


def show_card(person: Person) -> None:
    """A picture of the card of the way back, on a phone."""
    person.sit(PHONE)
    person.driver.execute_script("document.querySelector('.card').previousElementSibling.scrollIntoView()")
    person.shoot("way-back-phone")


def test_what_is_on_record_can_be_read_by_everybody(recorded: Site, browser: Person) -> None:
    (recorded.state / "runs" / "cano-56eadd" / "upgrade.log").write_text("failing after the migration, as told\n" * 50)
    log_in(browser, recorded, Role.READ)
    browser.reads("held-volumes-changed")
    browser.judge("recorded-apps")
    browser.follow("Runs", "Runs")
    browser.judge("runs")
    browser.follow("cano-56eadd", "cano-56eadd")
    browser.judge("run")
    browser.click("//table//a[contains(., 'bytes')]")
    browser.reads("Back to the run")
    browser.judge("log")
    browser.follow("Sweeps", "Sweeps")
    browser.judge("sweeps")
    browser.follow("Alerts", "Alerts")
    browser.judge("alerts")
    browser.visit("/apps/notes")
    browser.judge("recorded-app")
    browser.visit("/apps/nope")
    browser.judge("not-found")


def test_the_keyboard_is_enough_and_keeps_its_place(recorded: Site, browser: Person) -> None:
    log_in(browser, recorded)
    browser.visit("/apps/notes")
    browser.tab_to("Suspend")
    publish(recorded, NEW)
    browser.reads(NEW)  # the page was put in place of the old one
    assert browser.focused() == "Suspend"
    browser.press("\ue007")  # Enter
    assert browser.find("//details[@open]/summary[normalize-space()='Suspend']")


def test_what_somebody_types_is_not_taken_away(recorded: Site, browser: Person) -> None:
    log_in(browser, recorded)
    browser.visit("/apps/notes")
    browser.driver.execute_script(TYPES_MEANWHILE)
    publish(recorded, NEW)
    until(lambda: browser.driver.execute_script("return window.settled"), SECONDS, "the page has asked for itself")
    kept = "return document.querySelector('details.act[open] [name=reason]')?.value"
    assert browser.driver.execute_script(kept) == "begun"


def test_what_changed_before_the_page_listens_is_shown_too(recorded: Site, browser: Person) -> None:
    """Between the answer and the stream, and while a stream was away."""
    log_in(browser, recorded)
    browser.visit("/apps/notes")
    browser.driver.execute_script("stop()")
    publish(recorded, NEW)
    browser.driver.execute_script("start()")
    browser.reads(NEW)


def publish(site: Site, status: str) -> None:
    """What a pass that found the app so has published."""
    path = site.state / "status.json"
    report = json.loads(path.read_text())
    for app in report["apps"]:
        app["status"] = status
    made = path.with_suffix(".new")
    made.write_text(json.dumps(report))
    made.rename(path)
