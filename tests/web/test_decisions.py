"""A human at the page, with a real daemon behind it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.web.access import Role
from tests.daemon.scenes import asked, deployed
from tests.hosts.engine_host import V1, V2, EngineHost
from tests.waiting import until
from tests.web.site import Browser, Site

MAJOR = "2.0.0+6.0.0"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    with asked(tmp_path / "host") as made:
        yield made


@pytest.mark.usefixtures("as_root")
def test_an_operator_approves_a_held_release_and_sees_it_taken(host: EngineHost, tmp_path: Path) -> None:
    site = Site(home=tmp_path / "web", state=host.state, roles=tuple(Role))
    with host.program.daemon(), site.serving():
        deployed(host)
        host.release(MAJOR, notes="needs a human")
        until(lambda: any(alert.reason == "held-major" for alert in host.observed.alerts()), 30, "it is held")
        browser = Browser(site)
        assert 'name="token"' in browser.visit("/", 401)
        browser.log_in("wrong", 401)
        browser.log_in(site.tokens[Role.OPERATE])
        until(lambda: "held-major" in browser.visit("/apps/notes"), 30, "the page shows the hold")
        assert f"<strong>{MAJOR}</strong>" in browser.page
        assert "an approval needs a reason" in browser.send("/apps/notes/approve", reason=" ")
        browser.send("/apps/notes/approve", reason="read the notes")
        assert "approve: done" in browser.page
        deployed(host, MAJOR)
        until(lambda: "nothing newer" in browser.visit("/apps/notes"), 30, "the page shows that it runs")
        until(lambda: f"upgraded:{V1}-&gt;{MAJOR}" in browser.visit("/apps/notes"), 30, "and in its history")
        app = host.program.build()
        [approval] = app.store.memory(app.specs[0].app).approvals
        assert approval.actor.startswith("operate-token (page) through ")
    host.observed.check()


@pytest.mark.usefixtures("as_root")
def test_an_operator_goes_back_once_the_way_was_looked_at(host: EngineHost, tmp_path: Path) -> None:
    site = Site(home=tmp_path / "web", state=host.state, roles=tuple(Role))
    with host.program.daemon(), site.serving():
        deployed(host)
        people = host.observed.data() / "people"
        people.write_text("of the first\n")
        host.release(V2)
        deployed(host, V2)
        browser = Browser(site)
        browser.log_in(site.tokens[Role.OPERATE])
        until(lambda: f"<dd>{V2} since " in browser.visit("/apps/notes"), 30, "the page shows that it runs")
        assert "/apps/notes/rollback" not in browser.page  # not before the way was looked at
        browser.follow("/apps/notes/preflight")
        assert f"Leads to {V1}" in browser.page
        assert "Its data: the snapshot of" in browser.page
        browser.follow("/apps/notes/plan")
        assert "What would change" in browser.page
        host.release(MAJOR, notes="Read <this> first\n")
        until(lambda: MAJOR in browser.visit("/apps/notes"), 30, "the daemon has fetched it")
        browser.follow("/apps/notes/plan")
        assert f"Release notes of {MAJOR}" in browser.page and "Read &lt;this&gt; first" in browser.page
        # The only copy of its snapshot is gone: the card is red, says so, and offers nothing.
        snapshot = host.state / host.name / "snapshot"
        snapshot.rename(snapshot.with_name("elsewhere"))
        browser.visit("/apps/notes")
        browser.follow("/apps/notes/preflight")
        assert "There is no way back now" in browser.page
        assert "What to do:" in browser.page
        assert "/apps/notes/rollback" not in browser.page
        snapshot.with_name("elsewhere").rename(snapshot)
        browser.visit("/apps/notes")
        browser.follow("/apps/notes/preflight")
        browser.follow("/apps/notes/rollback", reason="pages are empty")
        assert "rolled-back" in browser.page
        assert (host.observed.known(), people.read_text()) == (V1, "of the first\n")
        browser.visit("/apps/notes")
        browser.follow("/apps/notes/undeploy", reason="move the disk")
        assert "is down until" in browser.page
    host.observed.check()


@pytest.mark.usefixtures("as_root")
def test_a_form_of_another_page_or_role_decides_nothing(host: EngineHost, tmp_path: Path) -> None:
    site = Site(home=tmp_path / "web", state=host.state, roles=tuple(Role))
    with host.program.daemon(), site.serving():
        deployed(host)
        browser = Browser(site)
        browser.log_in(site.tokens[Role.OPERATE])
        browser.visit("/apps/notes")
        assert "not of your session" in browser.send("/apps/notes/suspend", 403, word="x", reason="y")
        reader = Browser(site)
        reader.log_in(site.tokens[Role.READ])
        assert "<form" not in reader.visit("/apps/notes").partition("<main")[2]
        reader.page = browser.visit("/apps/notes")
        assert "not of your session" in reader.send("/apps/notes/suspend", 403, reason="y")
        browser.send("/logout", 401)
        browser.visit("/apps/notes", 401)
        app = host.program.build()
        assert app.store.memory(app.specs[0].app).suspension is None


def test_the_daemon_does_not_notice_how_the_page_ends(host: EngineHost, tmp_path: Path) -> None:
    site = Site(home=tmp_path / "web", state=host.state)
    with host.program.daemon() as daemon:
        deployed(host)
        with site.serving() as process:
            assert "noop-healthy" in site.get("/").text or "deployed:" in site.get("/").text
            process.kill()
            process.wait()
        assert daemon.poll() is None
        host.release("1.0.1+5.0.1")
        deployed(host, "1.0.1+5.0.1")
