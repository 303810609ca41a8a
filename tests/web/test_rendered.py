"""What is kept of pages is never older than what was published, and never of somebody else."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from markupsafe import Markup

from reconciler.state.history import HistoryFile
from reconciler.web.access import Role
from reconciler.web.reading import StateReader
from reconciler.web.rendered import Rendered
from tests.web.site import Browser, Site, copy_state

LONG_AGO = 10.0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(home=tmp_path / "etc", state=copy_state(tmp_path / "state"), roles=tuple(Role))
    with made.serving():
        yield made


def publish(state: Path, result: str) -> None:
    """As a pass does, by one rename; every report has the same size."""
    path = state / "status.json"
    report = json.loads(path.read_text())
    report["apps"][0]["result"] = result
    made = path.with_suffix(".new")
    made.write_text(json.dumps(report))
    made.rename(path)


def settle(state: Path) -> None:
    """Nothing of it has changed for a while."""
    then = time.time() - LONG_AGO
    for name in ("status.json", "alerts", "sweeps"):
        os.utime(state / name, (then, then))


def test_the_overview_shows_each_report_at_once(site: Site) -> None:
    browser = Browser(site)
    browser.log_in(site.tokens[Role.READ])
    for number in range(100, 200):
        publish(site.state, f"result-{number}")
        assert f"result-{number}" in browser.visit("/")


def test_the_overview_shows_a_new_alert_and_each_filter_its_own(site: Site) -> None:
    settle(site.state)
    browser = Browser(site)
    browser.log_in(site.tokens[Role.READ])
    assert "<td>2</td>" in browser.visit("/")
    assert "/apps/ingress" not in browser.visit("/?q=not")
    assert "/apps/ingress" in browser.visit("/")
    for path in (site.state / "alerts").glob("*-notes-*.json"):
        path.unlink()
    assert "<td>2</td>" not in browser.visit("/")


def test_nobody_sees_what_is_of_another_session(site: Site) -> None:
    settle(site.state)
    pages = {}
    for role in (Role.OPERATE, Role.READ, Role.CI, Role.OPERATE):
        browser = Browser(site)
        browser.log_in(site.tokens[role])
        page = browser.visit("/")
        assert f"{role}-token ({role})" in page
        assert "<td>2</td>" in page
        word = page.partition('name="word" value="')[2].partition('"')[0]
        assert word and word not in pages
        pages[word] = role
    assert site.get("/").status_code == 401


def test_what_changed_just_now_is_not_kept(tmp_path: Path) -> None:
    """Two changes within a tick of the clock bear the same time."""
    reader = StateReader(copy_state(tmp_path / "state"))
    (tmp_path / "state" / "alerts" / "new").touch()
    assert reader.overview_stamp() is None
    settle(tmp_path / "state")
    assert reader.overview_stamp() == reader.overview_stamp() is not None


def test_a_part_is_made_once_for_each_stamp_and_few_are_kept() -> None:
    rendered, made = Rendered(), list[int]()

    def render() -> Markup:
        made.append(1)
        return Markup(len(made))

    assert [rendered.find("a", 1, render), rendered.find("a", 1, render), rendered.find("a", 2, render)] == [
        "1",
        "1",
        "2",
    ]
    assert [rendered.find("a", None, render), rendered.find("a", 2, render)] == ["3", "2"]
    for number in range(100):
        rendered.find(number, 2, render)
    assert len(made) == 103
    assert rendered.find("a", 2, render) == "104"  # it was one of too many


def test_history_is_read_on_and_the_newest_come_first(tmp_path: Path) -> None:
    path = copy_state(tmp_path / "state") / "history.jsonl"
    reader, whole = StateReader(tmp_path / "state"), list(HistoryFile(path).lines())
    assert list(reader.history(limit=1000)) == whole[::-1]
    with path.open("ab") as out:
        out.write(b"torn\n" + whole[0].model_dump_json(by_alias=True).encode() + b"\n" + b'{"half')
    assert list(reader.history(limit=2)) == [whole[0], whole[-1]]
    ours = [line for line in [*whole, whole[0]] if line.app == whole[0].app]
    assert list(reader.history(whole[0].app, limit=3)) == ours[:-4:-1]
