"""Ways by which an older release came to newer data, or good data was taken back, each shut: on real processes."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typing_extensions import override

from reconciler.adapters.embedded import services
from reconciler.adapters.embedded.engine import EmbeddedEngine
from tests.engine.live.embedded_walk import QUICK
from tests.hosts.engine_host import V1, V2, V3, EngineHost, engine_host
from tests.waiting import until


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    """V1 runs and is known-good."""
    with engine_host(tmp_path / "host", "embedded", health=QUICK) as made:
        made.release(V1)
        made.deploy_first()
        yield made


@contextmanager
def front(port: int = 0) -> Iterator[ThreadingHTTPServer]:
    """What all apps of a host are reached through: it answers as long as it is there."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _Well)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Well(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    @override
    def log_message(self, format: str, *args: object) -> None: ...


def wrote(host: EngineHost) -> Path:
    """What people wrote since."""
    users = host.observed.data() / "users"
    users.write_text("weeks of work\n")
    return users


def said(host: EngineHost) -> str:
    """All that the app's programs said since they were deployed."""
    return "".join(path.read_text() for path in (host.state / "engine" / "services").rglob("log"))


def test_an_image_that_a_hand_put_there_is_not_healed_away(host: EngineHost) -> None:
    """It may have migrated the data; by its labels it is still the release on record."""
    newer = host.image("5.0.1", SCHEMA="2")
    engine = EmbeddedEngine(host.state / "engine")
    [folder] = engine.services.folders(host.stack)
    before = services.read(folder / "service.json")
    image = engine.images.pull(newer)
    file = str(engine.images.file(image.pinned))
    engine.services.put(host.stack, "app", {**before, "image": image.pinned, "image_file": file, "template": "by hand"})
    until(lambda: "5.0.1" in host.observed.heard(), 20, "the newer one runs")
    stands = (folder / "service.json").read_bytes()
    for _ in range(2):
        assert host.program.reconcile().startswith("unmanaged:")
    assert (folder / "service.json").read_bytes() == stands
    [alert] = host.observed.alerts()
    assert "notes:5.0.1" in " ".join(alert.evidence), "it is named"
    assert "this version knows" not in said(host)


def test_a_journal_of_long_ago_takes_no_later_data_back(host: EngineHost, tmp_path: Path) -> None:
    """The records were saved in the middle of an upgrade, and put back weeks later."""
    mine = host.state / "notes"
    host.release(V2, SCHEMA="2")

    def effect(name: str) -> None:
        if name == "settle:before":
            shutil.copytree(mine, tmp_path / "backup")

    assert host.program.reconcile(effect) == f"upgraded:{V1}->{V2}"
    host.release(V3, SCHEMA="3")
    assert host.program.reconcile() == f"upgraded:{V2}->{V3}"
    users = wrote(host)
    shutil.rmtree(mine)
    shutil.copytree(tmp_path / "backup", mine)
    assert "held-data-newer" in host.program.command("plan", "--json").stdout
    for _ in range(2):
        assert host.program.reconcile() == f"held-data-newer:{V2}"
    assert users.exists() and "5.0.2" in host.observed.answer(), "what runs goes on"


def test_a_release_without_a_snapshot_of_what_was_stateful_is_held(host: EngineHost) -> None:
    host.write_spec(stateful=False)
    host.release(V2, SCHEMA="2", FAIL="after")
    assert host.program.reconcile() == f"held-preflight:{V1}->{V2}"
    [alert] = host.observed.alerts()
    assert "no snapshot" in " ".join(alert.evidence) and "approve" in alert.clears_when
    assert "5.0.0" in host.observed.answer()
    host.write_spec()
    assert host.program.reconcile() == f"rolled-back:{V2}->{V1}", "with its data, as it should be"


def test_no_snapshot_gives_newer_data_an_older_name(host: EngineHost, tmp_path: Path) -> None:
    mine = host.state / "notes"
    shutil.copytree(mine, tmp_path / "yesterday")
    host.release(V2, SCHEMA="2")
    assert host.program.reconcile() == f"upgraded:{V1}->{V2}"
    host.program.build().ports.engine.undeploy(host.stack)
    shutil.rmtree(mine)
    shutil.copytree(tmp_path / "yesterday", mine)
    assert host.program.reconcile() == f"held-data-newer:{V1}"
    ran = host.program.command("snapshot", "create", "notes")
    assert ran.returncode != 0 and "newer release" in ran.stderr, ran.stdout + ran.stderr
    assert host.program.reconcile() == f"held-data-newer:{V1}"


def test_an_app_that_goes_back_in_a_newer_release_is_held(tmp_path: Path) -> None:
    with engine_host(tmp_path / "host", "embedded", health=QUICK) as host:
        host.release("1.0.0+5.1.0", SCHEMA="2")
        assert host.program.reconcile() == "deployed:1.0.0+5.1.0"
        host.release("1.0.1+5.0.9", notes="back to 5.0.9")
        assert host.program.reconcile() == "held-app-version-unclear:1.0.0+5.1.0->1.0.1+5.0.9"
        [alert] = host.observed.alerts()
        assert "goes back from 5.1.0 to 5.0.9" in " ".join(alert.evidence)


def test_notes_count_wherever_a_stepped_over_release_has_them(host: EngineHost) -> None:
    """In its own tree alone, though the newest has none of it; and of a tag that is no release."""
    notes = "Manual migration: run the script by hand"
    host.release(V2, notes=notes)
    host.recipe.git("rm", "--quiet", f"release/{V2}")
    host.release(V3)
    assert host.program.reconcile() == f"held-manual-migration:{V1}->{V3}"
    [alert] = host.observed.alerts()
    assert notes in " ".join(alert.evidence)


def test_notes_of_a_lightweight_tag_count(host: EngineHost) -> None:
    host.release(V2, notes="Manual migration: run the script by hand")
    host.recipe.git("tag", "--delete", V2)
    host.recipe.git("tag", V2)
    host.release(V3)
    assert host.program.reconcile() == f"held-manual-migration:{V1}->{V3}"


def test_notes_of_a_release_that_was_withdrawn_hold_nothing(host: EngineHost) -> None:
    host.release(V2, notes="Manual migration: run the script by hand")
    assert host.program.reconcile() == f"held-manual-migration:{V1}->{V2}"
    host.recipe.git("tag", "--delete", V2)
    host.release(V3)
    assert host.program.reconcile() == f"upgraded:{V1}->{V3}"


def test_an_app_that_was_taken_down_is_not_rolled_back_behind_its_suspension(host: EngineHost) -> None:
    host.release(V2, SCHEMA="2")
    assert host.program.reconcile() == f"upgraded:{V1}->{V2}"
    assert host.program.command("undeploy", "notes", "--reason", "a move", "--yes").returncode == 0
    ran = host.program.command("rollback", "notes", "--reason", "x", "--yes")
    assert ran.returncode == 2 and "ci-warm resume notes" in ran.stderr, ran.stderr
    assert not host.program.build().ports.engine.observe_stack(host.stack).services


def test_a_branch_that_became_a_folder_of_branches_is_fetched(host: EngineHost) -> None:
    host.recipe.git("branch", "feature")
    assert host.program.reconcile() == "noop-healthy"
    host.recipe.git("branch", "--delete", "--force", "feature")
    host.recipe.git("branch", "feature/login")
    host.release(V2, SCHEMA="2")
    assert host.program.reconcile() == f"upgraded:{V1}->{V2}"


def test_what_may_be_taken_back_keeps_its_way_back(tmp_path: Path) -> None:
    """A newer release and other settings wait for the end of the watch, whose snapshot they would replace."""
    with engine_host(tmp_path / "host", "embedded", health=QUICK, extra={"upgrade": {"bake": "10m"}}) as host:
        host.release(V1)
        host.deploy_first()
        before = host.observed.notes()
        host.release(V2, SCHEMA="2", FAIL="late", LATE_S="1")
        assert host.program.reconcile() == f"upgraded:{V1}->{V2}"
        host.release(V3, SCHEMA="2")
        host.write_spec(env={"N": "1"})
        assert host.program.reconcile() == f"held-watched:{V2}->{V3}"
        until(lambda: host.program.reconcile() == f"rolled-back:{V2}->{V1}", 40, "it failed again and again")
        assert host.observed.notes() == before and "5.0.0" in host.observed.answer()
        assert host.program.reconcile() == f"upgraded:{V1}->{V3}"
        host.release("1.0.3+5.0.3", SCHEMA="2")
        assert host.program.reconcile() == f"held-watched:{V3}->1.0.3+5.0.3"
        ran = host.program.command("approve", "notes", "1.0.3+5.0.3", "--reason", "V3 is well")
        assert ran.returncode == 0, ran.stderr
        assert host.program.reconcile() == f"upgraded:{V3}->1.0.3+5.0.3"
        host.write_spec(env={"N": "2"})
        assert host.program.reconcile() == "held-watched:1.0.3+5.0.3->1.0.3+5.0.3"
        host.end_watch()
        assert host.program.reconcile() == "reconfigured:1.0.3+5.0.3"
        host.write_spec(env={"N": "3"})
        assert host.program.reconcile() == "reconfigured:1.0.3+5.0.3", "settings after settings"


def test_a_front_that_is_away_takes_nothing_back(tmp_path: Path) -> None:
    """What does not listen is not the app: it publishes no such port. `after` does not name the front."""
    watched = {"upgrade": {"bake": "10m"}}
    with engine_host(tmp_path / "host", "embedded", extra=watched) as host:
        with front() as server:
            through = {"scheme": "http", **QUICK, "port": server.server_port}
            host.write_spec(health=through)
            host.release(V1)
            host.deploy_first()
            host.release(V2, SCHEMA="2")
            assert host.program.reconcile() == f"upgraded:{V1}->{V2}"
            users = wrote(host)
        for _ in range(2):
            assert host.program.reconcile() == f"unhealthy:{V2}"
        assert users.exists() and host.observed.known() == V2
        [alert] = host.observed.alerts()
        assert f"nothing of this app listens at port {server.server_port}" in " ".join(alert.evidence)


def test_a_front_that_goes_while_a_release_is_tried_is_not_its_fault(tmp_path: Path) -> None:
    with engine_host(tmp_path / "host", "embedded") as host, front() as server:
        through = {"scheme": "http", **QUICK, "port": server.server_port, "deadline": "1s"}
        host.write_spec(health=through)
        host.release(V1)
        host.deploy_first()
        host.release(V2, SCHEMA="2")

        def effect(name: str) -> None:
            if name == "settle:before":
                server.shutdown()
                server.server_close()

        assert host.program.reconcile(effect) == "unknown"
        told = host.program.command("explain", "notes").stdout
        assert "interrupted" in told and "verify" in told, told
        [alert] = host.observed.alerts()
        assert alert.reason == "ingress-away" and "what stands before it is away" in alert.evidence[0]
        with front(server.server_port):
            assert host.program.reconcile() == f"upgraded:{V1}->{V2}", "it is gone on with"
            assert host.observed.alerts() == []
        assert "5.0.1" in host.observed.answer()
