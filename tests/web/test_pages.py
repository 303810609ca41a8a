"""The pages, as a browser without scripts gets them from a real process."""

import html
import json
import os
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.demo.host import free_port
from reconciler.model.published import AppStatus, KeptSnapshot, StatusReport
from reconciler.state import records, removal
from reconciler.web.app import listen
from tests.web import cures
from tests.web.site import Site, copy_state


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("web")
    made = Site(home=folder / "etc", state=copy_state(folder / "state"))
    with made.serving():
        yield made


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "state").mkdir()
    made = Site(home=tmp_path / "etc", state=tmp_path / "state")
    with made.serving():
        yield made


SHOWS = {
    "/": ["Live apps", "Canonicals", '<a href="/apps/notes">notes</a>', "held-volumes-changed"],
    "/?q=not&state=": ['<a href="/apps/notes">notes</a>'],
    "/apps/notes": ["Held by", "Clears when", "Timeline of", "rolled-back:"],
    "/alerts": [": held-volumes-changed <a", "Clears when", "Acknowledged or resolved"],
    "/runs": ['<a href="/runs/cano-56eadd">', "lower confidence"],
    "/runs/cano-56eadd": ["Stages", "swarm answered paused for service app"],
    "/sweeps": ["2026-11-25: "],
}


@pytest.mark.parametrize("path", SHOWS)
def test_a_page_shows_what_was_published(path: str, site: Site) -> None:
    answer = site.get(path)
    assert answer.status_code == 200
    assert [text for text in SHOWS[path] if text not in answer.text] == []
    assert len(answer.content) < 100 << 10


@pytest.mark.parametrize("path", [*SHOWS, "/apps/nope", "/static/style.css"])
def test_nothing_of_a_page_comes_from_elsewhere(path: str, site: Site) -> None:
    answer = site.get(path)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    linked = re.findall(r'(?:src|href|action)="([^"]*)"|url\(([^)]*)\)', answer.text)
    assert [one for pair in linked for one in pair if one and not one.startswith(("/", "#"))] == []


@pytest.mark.parametrize("path", ["/apps/nope", "/runs/nope", "/runs/cano-000000", "/runs/cano-56eadd/logs/nope", "/x"])
def test_what_is_not_there_is_told_as_a_page(path: str, site: Site) -> None:
    answer = site.get(path)
    assert (answer.status_code, "<h1>Not found</h1>" in answer.text) == (404, True)


def test_every_link_leads_to_a_page(site: Site) -> None:
    ways, seen = ["/"], dict[str, int]()
    while ways:
        path = ways.pop().partition("#")[0]
        if path not in seen:
            answer = site.get(path or "/")
            seen[path] = answer.status_code
            ways += [html.unescape(found) for found in re.findall(r'<a [^>]*href="(/[^"]*)"', answer.text)]
    assert {path: status for path, status in seen.items() if status != 200} == {}
    assert {"/apps/canon", "/runs/cano-56eadd", "/sweeps"} <= set(seen)


@pytest.mark.parametrize(
    "path", ["/runs/../notes/memory.json", "/runs/%2e%2e/logs/x", "/static/../app.py", "/static/%2e%2e"]
)
def test_no_path_leads_out(path: str, site: Site) -> None:
    assert site.get(path).status_code in (404, 422)


def test_without_tokens_nothing_can_be_asked_for(site: Site) -> None:
    page = site.get("/apps/notes").text
    assert "read-only" in page and "<form" not in page
    assert site.ask("POST", "/apps/notes/retry", data={"word": "x"}).status_code == 401
    assert site.ask("POST", "/api/v1/requests", json={"action": "reconcile"}).status_code == 403
    assert list((site.state / "requests").iterdir()) == []


def test_a_host_that_is_new_has_a_page(empty: Site) -> None:
    assert "No pass has published anything yet" in empty.get("/").text
    assert "No night is on record" in empty.get("/sweeps").text
    assert empty.get("/api/v1/apps").status_code == 503


def test_what_an_app_says_is_text(empty: Site) -> None:
    """Versions, results and evidence come from recipes and containers."""
    evil = "<script>alert(1)</script>'\"&"
    row: dict[str, Any] = {
        "app": "notes",
        "kind": "live",
        "status": "failed",
        "result": evil,
        "candidate": evil,
        "evidence": [evil],
    }
    row |= {"at": "2026-11-29T00:00:00Z", "holds": [{"reason": evil, "detail": evil, "clears_when": evil}]}
    report = {"schema_version": 1, "at": "2026-11-29T00:00:00Z", "elapsed_seconds": 1, "engine": evil, "apps": [row]}
    (empty.state / "status.json").write_text(json.dumps(report))
    for path in ("/", "/apps/notes"):
        page = empty.get(path).text
        assert "alert(1)" in page
        assert "<script>alert" not in page


def test_the_overview_says_what_is_kept_since_when_and_where(empty: Site) -> None:
    at = datetime(2026, 11, 29, 10, tzinfo=UTC)
    kept = KeptSnapshot(id="s1", version="1.0.0+5.0.0", created_at=at - timedelta(days=1), bytes=5 << 20)
    row: dict[str, Any] = {"app": "notes", "kind": "live", "status": "in-sync", "result": "noop-healthy", "at": at}
    notes = AppStatus(**row, known_good="1.0.1+5.0.1", known_good_at=at, snapshot=kept, node="worker-2")
    report = StatusReport(at=at, elapsed_seconds=0.1, engine="docker 28", apps=(notes,), by="daemon on manager-1")
    (empty.state / "status.json").write_bytes(records.dump(report))
    page = empty.get("/").text
    assert "since 2026-11-29" in page and "5.0 MiB" in page and "of 2026-11-28" in page
    assert "<td>worker-2</td>" in page and "by daemon on manager-1" in page
    assert f"{empty.state} " in page and "% full" in page
    app = empty.get("/apps/notes").text
    assert "of 1.0.0+5.0.0, 2026-11-28 10:00 UTC, 5.0 MiB" in app and "<dd>worker-2</dd>" in app
    found = empty.get("/api/v1/apps/notes").json()
    assert (found["node"], found["snapshot"]["bytes"]) == ("worker-2", 5 << 20)
    disk = os.statvfs(empty.state)
    [told] = [one for one in empty.get("/api/v1/disks").json() if one["path"] == str(empty.state)]
    assert abs(told["free"] - disk.f_bavail * disk.f_frsize) < 1 << 30


def test_what_a_check_left_is_kept_and_never_shown(tmp_path: Path) -> None:
    made = Site(home=tmp_path / "etc", state=copy_state(tmp_path / "state"))
    folder = made.state / "runs" / "cano-56eadd" / "artefacts"
    (folder / "shots").mkdir(parents=True)
    (folder / "shots" / 'a "b" ü.html').write_text("<script>alert(1)</script>")
    (tmp_path / "secret").write_text("what nobody sees")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "out").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    (folder / os.fsdecode(b"no text \xff")).write_text("x")
    below = os.open(folder, os.O_RDONLY)
    for _ in range(1500):  # deeper than Python calls itself, and than a path may be long
        os.mkdir("deep", dir_fd=below)
        deeper = os.open("deep", os.O_RDONLY, dir_fd=below)
        os.close(below)
        below = deeper
    os.close(below)
    with made.serving():
        page = made.get("/runs/cano-56eadd").text
        [way] = re.findall(r'href="(/runs/cano-56eadd/artefacts/[^"]*)"', page)
        answer = made.get(html.unescape(way))
        assert (answer.status_code, answer.text) == (200, "<script>alert(1)</script>")
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith('attachment; filename="a__b___.html"; ')
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert made.get(html.unescape(way).replace("/runs", "/api/v1/runs", 1)).text == answer.text
        assert made.get("/api/v1/runs/cano-56eadd/artefacts").json() == {'shots/a "b" ü.html': 25}
        hidden = (
            "link",
            "pipe",
            "out/secret",
            "../run.json",
            "%2e%2e/run.json",
            "shots",
            "",
            "shots/",
            "/etc/passwd",
            "no",
        )
        for path in hidden:
            for base in ("/runs", "/api/v1/runs"):
                answer = made.get(f"{base}/cano-56eadd/artefacts/{path}")
                assert answer.status_code in (404, 307, 422) and "nobody sees" not in answer.text, path
        assert made.get("/api/v1/runs/cano-000000/artefacts").status_code == 404
    assert removal.try_to_remove(folder) is None, "which pytest cannot, as it calls itself for each folder"


@pytest.mark.repository
def test_the_page_says_what_to_do_about_each_alert(site: Site) -> None:
    document = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()
    assert cures.MADE.read_text() == cures.write(document), "python -m tests.web.cures FILE"
    assert len(cures.read(document)) > 40
    assert "<strong>What to do</strong> the evidence says which" in site.get("/alerts").text


def test_two_thousand_apps_are_one_page(empty: Site) -> None:
    one = {"kind": "live", "status": "in-sync", "result": "noop-healthy", "at": "2026-11-29T00:00:00Z"}
    apps = [{"app": f"app-{number}", **one} for number in range(2000)]
    report = {"schema_version": 1, "at": "2026-11-29T00:00:00Z", "elapsed_seconds": 1, "engine": "x", "apps": apps}
    (empty.state / "status.json").write_text(json.dumps(report))
    assert empty.get("/").text.count('<a href="/apps/app-') == 2000
    assert empty.get("/?q=app-1999").text.count('<a href="/apps/app-') == 1


def test_a_file_that_is_torn_is_told_and_the_page_lives_on(empty: Site) -> None:
    path = empty.state / "status.json"
    path.write_text('{"schema_version": 1, "apps": [')
    answer = empty.get("/")
    assert (answer.status_code, "status.json" in answer.text) == (503, True)
    assert empty.get("/api/v1/apps").headers["content-type"] == "application/problem+json"
    path.unlink()
    assert empty.get("/").status_code == 200


def test_an_answer_is_sent_at_once() -> None:
    """Else the kernel keeps its second part for 40 ms; asyncio asks it not to where the socket is named as TCP."""
    with listen(f"127.0.0.1:{free_port()}") as listener:
        assert listener.proto == socket.IPPROTO_TCP
