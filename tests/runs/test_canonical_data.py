"""A canonical's data in use, lent, restored."""

import json
import os

import pytest

from reconciler.engine.canonical import operate
from reconciler.engine.context import Context
from reconciler.model.errors import Interrupted
from tests.hosts.engine_host import V2, V3, EngineHost
from tests.runs.scenes import commit, slow, started, state


def test_folders_that_changed_places_are_not_taken_for_unchanged(small: EngineHost) -> None:
    assert small.program.test().promoted
    app = small.program.build()
    name = app.specs[0].app
    root = small.observed.data()
    for folder, text in (("blue", "AAAA"), ("green", "BBBB")):
        (root / folder).mkdir()
        (root / folder / "x").write_text(text)
        os.utime(root / folder / "x", ns=(10**18, 10**18))
    volumes = list(app.ports.engine.observe_volumes([f"{small.stack}_data"]).values())
    manifest = app.snapshots.observe(name)
    assert manifest is not None
    app.snapshots.create(manifest.model_copy(update={"volumes": ()}), volumes, before_exchange=lambda: None)
    app.snapshots.remember(name, volumes)
    assert app.snapshots.is_untouched(name, volumes)
    (root / "blue").rename(root / "other")
    (root / "green").rename(root / "blue")
    (root / "other").rename(root / "green")
    assert not app.snapshots.is_untouched(name, volumes)
    app.snapshots.restore(name, volumes, "swapped")
    app.snapshots.forget_aside(name, volumes)
    assert ((root / "blue" / "x").read_text(), (root / "green" / "x").read_text()) == ("AAAA", "BBBB")


def test_what_a_hand_took_after_a_killed_run_is_left_to_it(small: EngineHost) -> None:
    assert small.program.test().promoted
    slow(small)
    child = started(small, "quick", small.name)
    child.kill()
    child.wait()
    assert small.program.command("canonical", "undeploy", small.name, "--restore").returncode == 0
    assert small.program.command("canonical", "deploy", small.name).returncode == 0
    (small.observed.data() / "mine").write_text("work by hand")
    assert small.program.command("runs", "reap").returncode == 0
    assert (small.observed.data() / "mine").exists() and state(small)["status"] == "in-use"
    refused = small.program.command("quick", small.name)
    assert refused.returncode == 75 and "an operator uses it since" in refused.stderr
    assert small.program.command("canonical", "undeploy", small.name).returncode == 0


def test_services_without_a_mark_are_somebodys(small: EngineHost) -> None:
    assert small.program.test().promoted
    assert small.program.command("canonical", "deploy", small.name).returncode == 0
    (small.state / small.name / "use.json").unlink()
    (small.observed.data() / "mine").write_text("work by hand")
    assert small.program.reconcile() == "in-use"
    refused = small.program.command("quick", small.name)
    assert refused.returncode == 75 and "no mark says who uses it" in refused.stderr
    assert (small.observed.data() / "mine").exists()


def test_a_stack_with_another_name_is_refused_and_not_empty_and_green(small: EngineHost) -> None:
    assert small.program.test().promoted
    before = small.observed.canonical()
    small.write_spec(domain="elsewhere.example.test")
    assert small.program.reconcile() == f"held-stack-changed:{V2}"
    ran = small.program.command("quick", small.name)
    assert ran.returncode == 1 and "the canonical's data belongs to stack" in ran.stderr
    assert small.program.command("canonical", "deploy", small.name).returncode == 2
    assert not small.program.test().promoted and small.observed.canonical() == before
    small.write_spec()
    assert small.program.reconcile() == "noop-idle"


@pytest.mark.damages
def test_doctor_knows_runs_and_canonicals(small: EngineHost) -> None:
    assert small.program.test().promoted
    assert small.program.command("doctor", "--deep").returncode == 0
    path = small.state / small.name / "canonical.json"
    raw = json.loads(path.read_text())
    for changed, wanted in (
        ({"version": "9.9.9+9"}, "its version is not that of its snapshot"),
        ({"snapshot": "another"}, "the snapshot another that a record names is not there"),
        ({"images": {"app": "notes:latest"}}, "names an image that is not pinned"),
    ):
        path.write_text(json.dumps(raw | changed))
        ran = small.program.command("doctor")
        assert ran.returncode == 1 and wanted in ran.stdout
    path.write_text(json.dumps(raw))
    next((small.state / "runs").glob("*/run.json")).write_text("{")
    ran = small.program.command("doctor")
    assert ran.returncode == 1 and "run.json" in ran.stdout


def test_a_snapshot_that_does_not_restore_is_an_alert_until_it_does(small: EngineHost) -> None:
    assert small.program.test().promoted
    small.release(V3, SCHEMA="3")
    assert small.program.test("quick").result == "green"
    [tar] = (small.state / small.name / "snapshot" / "volumes").glob("*.tar")
    raw = tar.read_bytes()
    tar.write_bytes(raw.replace(b"first", b"worst"))
    run = small.program.test("quick")
    assert run.result == "error" and run.leftovers
    assert small.program.reconcile() == "noop-idle"
    [alert] = small.observed.alerts()
    assert alert.reason == "restore-failed" and "ci-warm canonical seed" in alert.clears_when
    tar.write_bytes(raw)
    assert small.program.test("quick").result == "green" and small.observed.alerts() == []


def test_commands_for_live_apps_say_what_a_canonical_is(small: EngineHost) -> None:
    for words in (("snapshot", "create"), ("snapshot", "restore", "--yes")):
        ran = small.program.command(words[0], words[1], small.name, *words[2:])
        assert ran.returncode == 2 and "is a canonical; ci-warm canonical list|seed" in ran.stderr


@pytest.mark.damages
def test_an_unreadable_canonical_hides_no_other_app_in_a_plan(small: EngineHost) -> None:
    assert small.program.test().promoted
    spec = json.loads((small.home / "etc" / "apps" / "notes.yaml").read_text())
    other = {**spec, "name": "other", "domain": "other.example.test"}
    (small.home / "etc" / "apps" / "other.yaml").write_text(json.dumps(other))
    (small.state / small.name / "canonical.json").write_text("{")
    ran = small.program.command("plan")
    assert ran.returncode == 1 and "notes: held-state" in ran.stdout and "other: seeding" in ran.stdout


def test_a_quick_run_at_its_deadline_brings_the_canonical_down_and_its_data_back(small: EngineHost) -> None:
    assert small.program.test().promoted
    before, data = small.observed.canonical(), small.observed.digest()
    commit(small, {"ci/slow.sh": "#!/bin/sh\nsleep 300\n"})
    small.release(V3, SCHEMA="3")
    checks = [{"name": "slow", "run": ["ci/slow.sh"]}]
    small.write_spec(tests={"deadline": "3s", "checks": checks})
    run = small.program.test("quick")
    assert run.result == "red" and run.leftovers == () and run.torn_down, run.leftovers
    assert small.observed.left() == [] and (small.observed.canonical(), small.observed.digest()) == (before, data)
    assert state(small)["status"] == "idle"


def test_known_good_comes_up_in_the_surroundings_that_it_was_promoted_in(small: EngineHost) -> None:
    commit(small, {"ci/compose.ci.yml": json.dumps({"services": {"app": {"environment": {"GREETING": "ci"}}}})})
    small.release(V3, SCHEMA="3")
    assert small.program.test().promoted
    small.release("1.0.3+5.0.3", SCHEMA="3")
    seen: list[str] = []

    def effect(name: str) -> None:
        if name == "run:verify:after":
            paths = small.state.glob("engine/services/*/app/service.json")
            seen.extend(json.loads(path.read_text())["env"]["GREETING"] for path in paths)

    assert small.program.test("quick", effect=effect).result == "green"
    assert seen == ["ci", "ci"]


def test_lending_answers_in_json_too(small: EngineHost) -> None:
    assert small.program.test().promoted
    up = json.loads(small.program.command("canonical", "deploy", small.name, "--json").stdout)
    assert (up["app"], up["version"]) == (small.name, V2)
    down = json.loads(small.program.command("canonical", "undeploy", small.name, "--restore", "--json").stdout)
    assert (down["app"], down["status"]) == (small.name, "idle")


def test_a_canonical_whose_restore_failed_is_never_used_empty(small: EngineHost) -> None:
    assert small.program.test().promoted
    app = small.program.build()
    app.ports.engine.remove_volumes(small.stack, [f"{small.stack}_data"])
    [archive] = (small.state / small.name / "snapshot" / "volumes").glob("*.tar")
    whole_archive = archive.read_bytes()
    archive.write_bytes(whole_archive[:600])
    for _ in range(2):
        small.program.reconcile()
        assert [alert.reason for alert in small.observed.alerts()] == ["restore-failed"]
        assert state(small)["status"] == "dirty"
    refused = small.program.command("canonical", "deploy", small.name)
    assert refused.returncode == 1 and "restore" in refused.stderr
    assert app.ports.engine.observe_stack(small.stack).services == ()
    archive.write_bytes(whole_archive)
    assert small.program.command("canonical", "deploy", small.name).returncode == 0
    assert small.observed.answer() == "5.0.1" and small.observed.notes()
    assert small.program.command("canonical", "undeploy", small.name).returncode == 0


def test_a_canonical_without_data_begins_each_use_with_nothing(small: EngineHost) -> None:
    small.write_spec(stateful=False)
    assert small.program.test().promoted
    (small.observed.data() / "left").write_text("by a test")
    assert small.program.command("quick", small.name).returncode == 0
    assert not (small.observed.data() / "left").exists()


def test_a_request_to_stop_takes_a_lent_canonical_down_again(small: EngineHost) -> None:
    assert small.program.test().promoted

    def effect(name: str) -> None:
        if name == "run:settle:before":
            raise Interrupted("asked to stop")

    app = small.program.build(effect)
    context = Context(ports=app.ports, settings=app.settings, spec=app.spec(small.name), actor="test")
    with pytest.raises(Interrupted):
        operate.deploy(context, fresh=False)
    assert app.ports.engine.observe_stack(small.stack).services == ()
    assert small.program.reconcile() == "noop-idle"


def test_seeding_what_is_warm_by_then_does_nothing(small: EngineHost) -> None:
    assert small.program.test().promoted
    before = small.observed.canonical()
    ran = small.program.command("canonical", "seed", small.name, "--if-cold")
    assert ran.returncode == 0 and ran.stdout == f"{small.name}: warm already\n"
    ran = small.program.command("canonical", "seed", small.name, "--if-cold", "--json")
    assert json.loads(ran.stdout) == {"schema_version": 1, "app": small.name, "result": "warm"}
    assert len(small.program.build().runs.reports()) == 1 and small.observed.canonical() == before
