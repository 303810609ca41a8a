"""Canonicals on real engines: idle, lent, restored, quick runs, and a crash at every step of a promotion."""

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from reconciler.adapters.swarm.engine import SwarmEngine
from reconciler.demo.recipes import Version
from reconciler.model.canonical import Canonical
from tests.hosts.engine_host import V1, V2, V3, EngineHost
from tests.runs.scenes import commit, slow, started, state, whole
from tests.waiting import until


def volume(host: EngineHost) -> Path:
    """Where the canonical's data lies."""
    return host.observed.data()


def drop_volume(host: EngineHost) -> None:
    app = host.program.build()
    app.ports.engine.remove_volumes(host.stack, [f"{host.stack}_data"])
    assert f"{host.stack}_data" not in app.ports.engine.look().volumes


def test_idle_is_undeployed_with_its_volume_and_record(warm: EngineHost) -> None:
    record = Canonical.model_validate_json((warm.state / warm.name / "canonical.json").read_text())
    assert (record.version, record.status, record.app) == (V2, "idle", warm.name)
    assert all("@sha256:" in image or image.startswith("sha256:") for image in record.images.values())
    assert (volume(warm) / "notes.txt").exists()
    assert (state(warm)["status"], state(warm)["version"]) == ("idle", V2)
    assert warm.program.reconcile() == "noop-idle"
    assert not warm.program.build().ports.engine.look().stack(warm.stack).services


def test_a_marker_survives_and_the_version_is_always_known_good(warm: EngineHost) -> None:
    warm.release(V3, SCHEMA="3")
    assert warm.program.command("canonical", "deploy", warm.name).returncode == 0
    assert state(warm)["status"] == "in-use" and warm.program.reconcile() == "in-use"
    assert warm.observed.answer() == V2.partition("+")[2]  # not the newest, though it is there
    (volume(warm) / "marker").write_text("mine")
    assert warm.program.command("canonical", "deploy", warm.name).returncode == 2  # it runs already
    assert warm.program.command("canonical", "undeploy", warm.name).returncode == 0
    assert warm.program.reconcile() == "noop-idle" and state(warm)["status"] == "dirty"
    assert warm.program.command("canonical", "deploy", warm.name).returncode == 0
    assert (volume(warm) / "marker").read_text() == "mine"
    assert warm.program.command("canonical", "undeploy", warm.name, "--restore").returncode == 0
    assert not (volume(warm) / "marker").exists() and state(warm)["status"] == "idle"


def test_a_volume_that_is_gone_comes_back_from_the_snapshot(warm: EngineHost) -> None:
    before = (volume(warm) / "notes.txt").read_text()
    drop_volume(warm)
    assert warm.program.reconcile() == f"restored:{V2}"
    assert (volume(warm) / "notes.txt").read_text() == before
    assert warm.program.reconcile() == "noop-idle"


def test_what_was_touched_by_hand_is_noticed_and_put_back_before_a_test(warm: EngineHost) -> None:
    notes = volume(warm) / "notes.txt"
    kept = notes.stat()
    text = notes.read_text()
    notes.write_text(text.replace("first", "fake!"))  # as long as before, and with its old time put back
    import os

    os.utime(notes, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    run = warm.program.test("quick")
    assert run.result == "green" and "the canonical's data was put back to its snapshot first" in run.notes
    assert "fake!" not in notes.read_text()


def test_a_cold_one_is_asked_for_once_and_seeded(host: EngineHost) -> None:
    assert [host.program.reconcile() for _ in range(2)] == ["seeding", "seeding:inflight"]
    asked = json.loads((host.state / "requests" / f"seed-{host.name}.json").read_text())
    assert (asked["action"], asked["app"]) == ("seed", host.name)
    ran = host.program.command("canonical", "seed", host.name)
    assert ran.returncode == 0 and f"promoted: {V2} is the canonical now" in ran.stdout
    assert host.program.reconcile() == "noop-idle"
    # Lost again, it is asked for again without an operator's doing.
    shutil.rmtree(host.state / host.name / "snapshot")
    assert host.program.reconcile() == "seeding"
    assert host.program.command("canonical", "seed", host.name).returncode == 0
    assert host.program.reconcile() == "noop-idle" and whole(host) == V2


def test_a_mark_that_cannot_be_kept_asks_again(small: EngineHost) -> None:
    assert small.program.reconcile() == "seeding"
    mark = small.state / small.name / "inflight.json"
    mark.unlink()
    mark.mkdir()  # neither readable nor writable as a file
    assert [small.program.reconcile(), small.program.reconcile()] == ["seeding", "seeding"]


def test_the_daemon_seeds_what_is_cold_by_itself(small: EngineHost) -> None:
    small.set(daemon={"interval": "1s", "jitter": "0s", "watch": "200ms"})
    with small.program.daemon():
        until(lambda: (small.state / small.name / "canonical.json").exists(), 60, "the canonical is warm")
        until(lambda: json.loads((small.state / "status.json").read_text())["apps"][0]["result"] == "noop-idle", 30)
    assert whole(small) == V2 and small.observed.history() == [f"cold-green:{V2}"]


def test_the_daemon_tests_what_a_comment_asks_for(small: EngineHost) -> None:
    assert small.program.test().promoted
    small.release(V3, SCHEMA="3")
    requests = small.state / "requests"
    with small.program.daemon():
        until(requests.exists, 30)
        for number, comment in enumerate(("!testmexyz", "!testme --quick")):
            asked = {"schema_version": 1, "action": "test", "app": small.name, "comment": comment, "by": "forge"}
            (requests / f"{number}.tmp").write_text(json.dumps(asked))
            (requests / f"{number}.tmp").rename(requests / f"{number}.json")
        until(lambda: f"quick-green:{V3}" in small.observed.history(), 60, "the quick run")
    assert small.observed.history() == [f"cold-green:{V2}", f"quick-green:{V3}"]


def test_a_quick_pass_leaves_known_good_byte_for_byte(warm: EngineHost) -> None:
    before = warm.observed.canonical()
    warm.release(V3, SCHEMA="3")
    run = warm.program.test("quick")
    assert (run.result, run.mode, run.confidence, run.promoted) == ("green", "quick", "lower", False)
    assert (run.version_before, run.version_after, run.deploys) == (V2, V3, 1)
    assert warm.observed.canonical() == before and whole(warm) == V2
    assert warm.observed.left() == [] and warm.program.reconcile() == "noop-idle" and state(warm)["status"] == "dirty"
    assert (volume(warm) / "notes.txt").read_text().startswith("[schema 3]")  # kept, and put back before the next use
    again = warm.program.test("quick")
    assert again.result == "green" and "put back to its snapshot" in again.notes[0]
    assert "mode=quick" in (warm.state / "runs" / run.run / "summary.txt").read_text()


def test_a_quick_failure_puts_the_data_back_and_runs_nothing(warm: EngineHost) -> None:
    before, data = warm.observed.canonical(), warm.observed.digest()
    warm.release(V3, SCHEMA="3", FAIL="after")
    ran = warm.program.command("quick", warm.name)
    assert ran.returncode == 1 and f"RUN RESULT: {warm.name} quick-red:{V3}" in ran.stdout
    assert warm.observed.canonical() == before and warm.observed.digest() == data
    assert state(warm)["status"] == "idle" and warm.observed.left() == [] and warm.program.reconcile() == "noop-idle"
    broken = [
        image for image in warm.program.build().ports.engine.inventory().images if warm.images[-1] in image.references
    ]
    assert [image.used for image in broken] == [False], "neither a service nor a pin has it any more"


def test_a_quick_run_of_a_branch_brings_its_overlay_and_its_checks(warm: EngineHost) -> None:
    before, found = warm.observed.canonical(), dict[str, str]()
    warm.recipe.git("checkout", "--quiet", "-b", "feature")
    surroundings = {"services": {"app": {"deploy": {"labels": {"surroundings": "of a test"}}}}}
    commit(warm, {"ci/compose.ci.yml": json.dumps(surroundings), "ci/seen.sh": "#!/bin/sh\necho $CI_WARM_COMMIT\n"})
    head = warm.recipe.commit(Version(tag="feature", image=warm.image("5.9.9", SCHEMA="4")))
    warm.write_spec(tests={"checks": [{"name": "seen", "run": ["ci/seen.sh"]}]})

    def effect(name: str) -> None:
        if name == "run:verify:after":
            [service] = warm.program.build().ports.engine.observe_stack(warm.stack).services
            found.update(service.labels)

    run = warm.program.test("quick", effect, ref="feature")
    assert (run.result, run.mode, run.head.commit, run.promoted) == ("green", "quick", head, False), run.stages
    assert found["surroundings"] == "of a test"
    assert found[f"coop-cloud.{warm.stack}.chaos-version"] == head[:8]
    assert head in (warm.state / "runs" / run.run / "custom.log").read_text()
    assert warm.observed.canonical() == before and whole(warm) == V2


def test_a_new_volume_of_a_head_does_not_stay(warm: EngineHost) -> None:
    from reconciler.demo import recipes

    document = json.loads(recipes.compose("IMAGE", stateful=True))
    document["services"]["app"]["volumes"].append("more:/more")
    document["volumes"]["more"] = {}
    warm.release(V3, SCHEMA="3", compose=json.dumps(document))
    assert warm.program.test("quick").result == "green"
    assert f"{warm.stack}_more" in warm.program.build().ports.engine.look().volumes
    warm.release("1.0.3+5.0.3", SCHEMA="3", FAIL="after")
    assert warm.program.test("quick").result == "red"
    assert f"{warm.stack}_more" not in warm.program.build().ports.engine.look().volumes


def test_without_a_canonical_a_quick_run_is_a_cold_one_and_says_so(host: EngineHost) -> None:
    ran = host.program.command("quick", host.name)
    assert ran.returncode == 0, ran.stderr
    assert "there is no canonical yet: a full cold run instead" in ran.stderr and "mode=cold" in ran.stdout


def test_two_quick_runs_queue_or_are_refused(warm: EngineHost) -> None:
    slow(warm)
    first = started(warm, "quick", warm.name)
    refused = warm.program.command("quick", warm.name)
    assert refused.returncode == 75 and f"ci-warm quick {warm.name}" in refused.stderr
    assert warm.program.reconcile() == "in-use"
    warm.write_spec()
    waiting = subprocess.Popen(
        warm.program.argv("quick", warm.name, "--ref", V2, "--wait", "60"), stdout=subprocess.DEVNULL
    )
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 1
    assert waiting.wait(60) == 0
    assert warm.observed.left() == [] and whole(warm) == V2


@pytest.mark.parametrize("by", ["pass", "reaper"])
def test_a_killed_quick_run_costs_nothing(by: str, warm: EngineHost) -> None:
    before, data = warm.observed.canonical(), warm.observed.digest()
    slow(warm)
    child = started(warm, "quick", warm.name)
    child.kill()
    child.wait()
    assert warm.program.build().ports.engine.look().stack(warm.stack).services
    if by == "pass":
        assert warm.program.reconcile() == f"restored:{V2}"
    else:
        assert warm.program.command("runs", "reap").returncode == 0
    assert warm.observed.canonical() == before and warm.observed.digest() == data and warm.observed.left() == []
    assert warm.program.reconcile() == "noop-idle"


def test_only_the_newest_green_release_moves_it(host: EngineHost) -> None:
    older = host.program.test(ref=V1)
    assert older.result == "green" and not older.promoted and whole(host) == ""
    assert host.program.test().promoted and whole(host) == V2
    host.release(V3, SCHEMA="3")
    assert not host.program.test(ref=V2).promoted and whole(host) == V2
    assert host.program.test().promoted and whole(host) == V3
    assert (volume(host) / "schema").read_text() == "3"


def test_a_promotion_that_fails_keeps_the_old_one_and_alerts(small: EngineHost) -> None:
    assert small.program.test().promoted
    before, data = small.observed.canonical(), small.observed.digest()
    small.release(V3, SCHEMA="3")

    def effect(name: str) -> None:
        if name == "promote:emptied":
            (small.state / "engine" / "images" / "gone").mkdir(exist_ok=True)
            for path in (small.state / "engine").glob("*/tags/*5.0.2"):
                path.unlink()

    run = small.program.test(effect=effect)
    assert run.result == "green" and not run.promoted and "image not found" in run.promotion
    assert small.observed.canonical() == before and small.observed.digest() == data
    assert [alert.reason for alert in small.observed.alerts()] == ["promotion"]
    assert small.program.reconcile() == "noop-idle"
    assert [alert.reason for alert in small.observed.alerts()] == ["promotion"]  # a pass does not clear it


def test_a_new_image_for_known_good_is_not_needed(warm: EngineHost) -> None:
    """Offline: known-good runs by the images on record, which pruning must not take."""
    engine = warm.program.build().ports.engine
    if isinstance(engine, SwarmEngine):
        for reference in warm.images:
            subprocess.run(["docker", "image", "rm", reference], capture_output=True, check=False)
    assert warm.program.command("canonical", "deploy", warm.name).returncode == 0
    assert warm.program.command("canonical", "undeploy", warm.name).returncode == 0


@pytest.mark.parametrize("args", [("deploy",), ("undeploy",)])
def test_a_cold_canonical_cannot_be_lent(args: tuple[str, ...], small: EngineHost) -> None:
    ran = small.program.command("canonical", *args, small.name)
    if args == ("deploy",):
        assert ran.returncode == 2 and "is cold; ci-warm canonical seed" in ran.stderr
    else:
        assert ran.returncode == 0  # nothing runs, which is what was asked for


@pytest.mark.damages
def test_an_unreadable_record_is_a_hold_and_nothing_is_lost(small: EngineHost) -> None:
    assert small.program.test().promoted
    path = small.state / small.name / "canonical.json"
    raw = path.read_text()
    for bad in ("{", raw.replace('"schema_version": 1', '"schema_version": 9'), raw.replace("notes", "other")):
        path.write_text(bad)
        assert small.program.reconcile() == "held-state"
        assert small.program.command("quick", small.name).returncode == 1
        assert path.read_text() == bad and (small.observed.data() / "notes.txt").exists()
    path.write_text(raw)
    assert small.program.reconcile() == "noop-idle"


def points(host: EngineHost) -> list[str]:
    seen: list[str] = []
    host.program.test(effect=seen.append)
    return seen


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", ["cold", "quick"])
def test_sigkill_at_every_point_leaves_the_old_canonical_or_the_new_one(mode: str, tmp_path: Path) -> None:
    from tests.hosts.engine_host import engine_host
    from tests.runs.conftest import QUICK

    at = 0
    died = 0
    while True:
        at += 1
        with engine_host(tmp_path / f"{at}", "embedded", extra={"kind": "canonical"}, health=QUICK) as host:
            host.release(V1, SCHEMA="1")
            assert host.program.test().promoted
            host.release(V2, SCHEMA="2")
            if not host.program.killed_test(at, mode):
                break
            died += 1
            if at % 2:
                assert host.program.command("runs", "reap").returncode == 0
            results = [host.program.reconcile(), host.program.reconcile()]
            assert results[-1] == "noop-idle", (at, results)
            if not at % 2:
                assert host.program.command("runs", "reap").returncode == 0
            assert host.observed.left() == [], at
            version = whole(host)
            assert version in ((V1, V2) if mode == "cold" else (V1,)), at
            if at % 3 == 0:
                # Whatever was left, the next test starts from data that is just the snapshot's.
                assert host.program.test("quick", ref=V2).result == "green", at
                assert host.program.test().promoted and whole(host) == V2, at
    assert died >= (40 if mode == "cold" else 15)


def test_a_restore_copies_only_what_changed(small: EngineHost) -> None:
    """A file that did not change keeps its inode; what changed, came or went is as in the snapshot."""
    data = small.program.build
    assert small.program.test().promoted
    root = small.observed.data()
    before = small.observed.digest()
    inode = (root / "notes.txt").stat().st_ino
    app = data()
    name = app.specs[0].app
    volumes = list(app.ports.engine.observe_volumes([f"{small.stack}_data"]).values())
    assert app.snapshots.is_untouched(name, volumes)
    (root / "schema").write_text("9")
    (root / "new").mkdir()
    assert not app.snapshots.is_untouched(name, volumes)
    app.snapshots.restore(name, volumes, "one")
    app.snapshots.forget_aside(name, volumes)
    assert small.observed.digest() == before and (root / "notes.txt").stat().st_ino == inode
    assert not app.snapshots.is_untouched(name, volumes)  # not marked as untouched yet
    app.snapshots.remember(name, volumes)
    assert app.snapshots.is_untouched(name, volumes)
    (root / "notes.txt").touch()
    assert not app.snapshots.is_untouched(name, volumes)


def test_plan_and_explain_know_what_a_canonical_needs_and_change_nothing(small: EngineHost) -> None:
    plan = small.program.command("plan", "--json")
    [row] = json.loads(plan.stdout)
    assert (plan.returncode, row["result"], row["steps"]) == (20, "seeding", ["ask for a seeding run"])
    assert not (small.state / "requests").exists() and not (small.state / small.name).exists()
    assert small.program.test().promoted
    explained = small.program.command("explain", small.name)
    assert explained.returncode == 0, explained.stderr
    assert f"known-good  {V2}" in explained.stdout and "undeployed, as a canonical is when idle" in explained.stdout
    assert small.program.command("plan").returncode == 0
    small.release(V3, SCHEMA="3", FAIL="after")
    red = small.program.test()
    explained = small.program.command("explain", small.name)
    assert f"the sweep tests {V3}, or ci-warm cold" in explained.stdout
    assert f"cold-red:{V3} ({red.run})" in explained.stdout
    drop_volume(small)
    plan = small.program.command("plan")
    assert plan.returncode == 20 and "restored" in plan.stdout
    assert small.program.reconcile() == f"restored:{V2}"


def test_one_whose_recipe_cannot_be_read_is_told_and_stays_as_it_is(warm: EngineHost) -> None:
    """Whether there is a newer release to test could not be seen: that is not "nothing to do"."""
    before = warm.observed.canonical()
    moved = warm.recipe.folder.rename(warm.recipe.folder.with_name("away"))
    assert warm.program.command("reconcile").returncode == 1
    assert [alert.reason for alert in warm.observed.alerts()] == ["recipe"]
    assert warm.observed.canonical() == before
    moved.rename(warm.recipe.folder)
    assert warm.program.reconcile() == "noop-idle"
    assert warm.observed.alerts() == []
