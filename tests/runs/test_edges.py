"""Each a way in which a run or a canonical once went wrong, or nearly did."""

import errno
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler import app as composition
from reconciler.adapters.checks import CommandChecks
from reconciler.adapters.embedded.engine import EmbeddedEngine
from reconciler.adapters.run_processes import RunProcesses
from reconciler.demo.story import free_port
from reconciler.engine.canonical import operate
from reconciler.engine.clocks import LimitedClock
from reconciler.engine.context import Context
from reconciler.engine.testrun import teardown
from reconciler.model.errors import ActError, DeadlineError, Interrupted, LockBusy
from reconciler.model.ids import AppName
from reconciler.model.testrun import Run
from reconciler.model.tests import CheckSpec, Stage
from reconciler.node.volume_files import VolumeFiles
from reconciler.ports.checks import CheckJob
from reconciler.state import files
from reconciler.state.alerts import AlertStore
from reconciler.state.runs import RunHandle, RunStore
from tests.lab import V1, V2, V3, Lab, until
from tests.runs.scenes import commit, slow, started, state, whole


def test_a_teardown_that_goes_wrong_stays_for_the_reaper(small: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = True
    real = EmbeddedEngine.purge

    def purge(self: EmbeddedEngine, stack: object) -> tuple[str, ...]:
        if broken:
            raise ValueError("nobody foresaw this")
        return real(self, stack)  # type: ignore[arg-type] # as it was called

    monkeypatch.setattr(EmbeddedEngine, "purge", purge)
    run = small.test()
    assert not run.torn_down and "nobody foresaw this" in run.leftovers[0] and small.left() != []
    assert json.loads((small.state / "runs" / run.run / "run.json").read_text())["torn_down"] is False
    broken = False
    assert small.command("runs", "reap").returncode == 0
    assert small.left() == []


def test_an_error_past_the_exchange_of_the_snapshot_still_promotes(small: Lab) -> None:
    assert small.test().promoted
    small.release(V3, SCHEMA="3")

    def effect(name: str) -> None:
        if name == "snapshot:exchanged":
            raise OSError(28, "No space left on device")

    run = small.test(effect=effect)
    assert run.promoted and any("promoted all the same" in note for note in run.notes)
    assert whole(small) == V3 and small.reconcile() == "noop-idle"


def test_a_request_to_stop_in_the_middle_of_a_promotion_is_given_back(small: Lab) -> None:
    assert small.test().promoted
    small.release(V3, SCHEMA="3")

    def effect(name: str) -> None:
        if name == "promote:emptied":
            raise Interrupted("asked to stop")

    with pytest.raises(Interrupted):
        small.test(effect=effect)
    assert whole(small) == V2 and small.left() == [] and small.reconcile() == "noop-idle"
    assert [alert.reason for alert in small.alerts()] == []
    assert small.history()[-1] == f"cold-green:{V3}"


def test_folders_that_changed_places_are_not_taken_for_unchanged(small: Lab) -> None:
    assert small.test().promoted
    app = small.build()
    name = app.specs[0].app
    root = small.data()
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
    app.snapshots.forget_aside(volumes)
    assert ((root / "blue" / "x").read_text(), (root / "green" / "x").read_text()) == ("AAAA", "BBBB")


def test_a_tree_that_is_made_too_deep_wedges_nothing(small: Lab) -> None:
    assert small.test().promoted
    fd = os.open(small.data(), os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    assert small.command("canonical", "undeploy", small.name, "--restore").returncode == 0
    assert state(small)["status"] == "idle" and not (small.data() / "d").exists()
    assert not [path.name for path in small.data().parent.iterdir() if path.name.startswith(".deep")]


def test_a_deep_folder_is_removed_and_a_link_is_not_followed(tmp_path: Path) -> None:
    keep = tmp_path / "keep"
    keep.mkdir()
    (keep / "file").write_text("mine")
    top = tmp_path / "top"
    top.mkdir()
    here = top
    for _ in range(250):
        here = here / "d"
        here.mkdir()
        (here / "link").symlink_to(keep)
    files.remove_tree(top)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keep"] and (keep / "file").exists()


def test_what_a_hand_took_after_a_killed_run_is_left_to_it(small: Lab) -> None:
    assert small.test().promoted
    slow(small)
    child = started(small, "quick", small.name)
    child.kill()
    child.wait()
    assert small.command("canonical", "undeploy", small.name, "--restore").returncode == 0
    assert small.command("canonical", "deploy", small.name).returncode == 0
    (small.data() / "mine").write_text("work by hand")
    assert small.command("runs", "reap").returncode == 0
    assert (small.data() / "mine").exists() and state(small)["status"] == "in-use"
    refused = small.command("quick", small.name)
    assert refused.returncode == 75 and "somebody uses it since" in refused.stderr
    assert small.command("canonical", "undeploy", small.name).returncode == 0


def test_services_without_a_mark_are_somebodys(small: Lab) -> None:
    assert small.test().promoted
    assert small.command("canonical", "deploy", small.name).returncode == 0
    (small.state / small.name / "use.json").unlink()
    (small.data() / "mine").write_text("work by hand")
    assert small.reconcile() == "in-use"
    refused = small.command("quick", small.name)
    assert refused.returncode == 75 and "nobody left a mark" in refused.stderr
    assert (small.data() / "mine").exists()


def test_a_stack_with_another_name_is_refused_and_not_empty_and_green(small: Lab) -> None:
    assert small.test().promoted
    before = small.canonical()
    small.write_spec(domain="elsewhere.example.test")
    assert small.reconcile() == f"held-stack-changed:{V2}"
    ran = small.command("quick", small.name)
    assert ran.returncode == 1 and "the canonical's data belongs to stack" in ran.stderr
    assert small.command("canonical", "deploy", small.name).returncode == 2
    assert not small.test().promoted and small.canonical() == before
    small.write_spec()
    assert small.reconcile() == "noop-idle"


def test_a_moved_tag_is_not_tested(small: Lab) -> None:
    assert small.reconcile() == "seeding"  # the first sight of the tags
    small.recipe.git("tag", "--delete", V2)
    small.recipe.git("commit", "--quiet", "--allow-empty", "--message", "Something else")
    small.recipe.git("tag", "--annotate", "--message", "moved", V2)
    ran = small.command("cold", small.name)
    assert ran.returncode == 1 and f"tag-moved: {V2} was" in ran.stderr


def test_main_may_be_ahead_of_the_latest_release(host: Lab) -> None:
    commit(host, {"notes.txt": "not released yet"})
    run = host.test()
    assert run.promoted and run.base is not None and run.base.version == V1
    assert "newer than the head" in run.base_reason


def test_the_base_brings_its_own_surroundings(small: Lab) -> None:
    document = {"services": {"app": {"environment": {"GREETING": "ci"}}}}
    commit(small, {"ci/compose.ci.yml": json.dumps(document)})
    small.release(V3, SCHEMA="3")
    image = small.image("side")
    compose = json.loads((small.recipe.folder / "compose.yml").read_text())
    side = {"image": image, "environment": {"PORT": "0"}, "networks": ["internal"]}
    compose["services"]["side"] = side
    document["services"]["side"] = {"environment": {"GREETING": "side"}}
    commit(small, {"ci/compose.ci.yml": json.dumps(document)})
    small.release("1.0.3+5.0.3", SCHEMA="3", compose=json.dumps(compose))
    run = small.test(stages=(Stage.INSTALL, Stage.UPGRADE))
    assert run.base is not None and run.base.version == V3
    assert run.stages[0].result == "passed", run.stages


def test_a_promotion_knows_its_own_domain_and_not_the_runs(small: Lab) -> None:
    seen: list[str] = []
    small.write_spec(tests={"env": {"GREETING": "${CI_WARM_DOMAIN}"}})

    def effect(name: str) -> None:
        if name == "run:verify:after":
            paths = small.state.glob("engine/services/*/app/service.json")
            seen.extend(json.loads(path.read_text())["env"]["GREETING"] for path in paths)

    run = small.test(effect=effect)
    assert run.promoted
    assert seen[:2] == [run.domain, run.domain] and seen[2] == f"t{small.mark}.example.test"


def test_all_places_for_tests_are_all(small: Lab) -> None:
    locks = small.build().ports.locks
    with pytest.raises(LockBusy):
        held = locks.all_slots(2, "sweep")
        try:
            locks.slot(2, "test")
        finally:
            held.release()
    first, second = locks.slot(2, "one"), locks.slot(2, "two")
    with pytest.raises(LockBusy):
        locks.all_slots(1, "sweep")
    second.release()
    first.release()
    locks.all_slots(2, "sweep").release()


def test_a_check_does_not_outlive_its_runner(small: Lab) -> None:
    mark = f"forever-{small.mark}"
    commit(small, {"ci/forever.sh": f"#!/bin/sh\nsh -c 'sleep 302; : {mark}'\n"})
    small.release(V3, SCHEMA="2")
    small.write_spec(tests={"checks": [{"name": "forever", "run": ["ci/forever.sh"]}]})
    child = started(small, "cold", small.name)
    until(lambda: _running(mark), 20)
    child.kill()
    child.wait()
    assert small.command("runs", "reap").returncode == 0
    until(lambda: not _running(mark), 10, "the check is gone")


def _running(mark: str) -> bool:
    return subprocess.run(["pgrep", "-f", mark], capture_output=True, check=False).stdout != b""


def job(tmp_path: Path, script: str, *, secret: str = "", timeout_s: float = 20) -> CheckJob:
    program = tmp_path / "check.sh"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return CheckJob(
        check=CheckSpec(name="check", run=(str(program),)),
        folder=tmp_path,
        environment={},
        log=tmp_path / "log",
        user="",
        output_cap=1 << 20,
        secrets=[secret] if secret else [],
        timeout_s=timeout_s,
    )


def test_a_check_that_cannot_be_its_user_is_the_hosts_fault_and_not_red(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    checks, asked = CommandChecks(time.sleep), job(tmp_path, "true")
    with pytest.raises(ActError, match="no such user") as found:
        checks.run(replace(asked, user="nobody-of-that-name"))
    assert found.value.host_fault
    monkeypatch.setattr("reconciler.adapters.checks.subprocess.Popen", refused)
    with pytest.raises(ActError, match="CAP_SETUID"):
        checks.run(replace(asked, user="nobody"))
    assert checks.run(asked).detail.endswith("cannot be started: Operation not permitted")


def test_a_host_without_the_checks_user_is_an_error_and_not_red(small: Lab) -> None:
    commit(small, {"ci/fine.sh": "#!/bin/sh\nexit 0\n"})
    small.release(V3, SCHEMA="2")
    small.set(runs={"domain_suffix": f"t{small.mark}.test", "min_free": 0, "user": "nobody-of-that-name"})
    small.write_spec(tests={"checks": [{"name": "fine", "run": ["ci/fine.sh"]}]})
    run = small.test()
    assert (run.result, "there is no user" in " ".join(run.notes)) == ("error", True), run
    assert small.left() == []


def test_who_leaves_its_group_and_its_mark_is_ended_all_the_same(tmp_path: Path) -> None:
    mark = f"runaway-{os.getpid()}"
    script = f"setsid env -i /bin/sh -c 'sleep 303; : {mark}' </dev/null >/dev/null 2>&1 &\nsleep 0.3"
    found = CommandChecks(time.sleep).run(job(tmp_path, script))
    assert found.passed and not _running(mark)


def test_a_secret_across_a_cut_is_masked(tmp_path: Path) -> None:
    secret = "correct-horse-battery-staple"
    for before in (49140, 49150, 49152, 16380):
        script = f"head -c {before} /dev/zero | tr '\\\\0' x; printf '{secret}'; head -c 60000 /dev/zero | tr '\\\\0' y"
        (tmp_path / "log").unlink(missing_ok=True)
        assert CommandChecks(time.sleep).run(job(tmp_path, script, secret=secret)).passed
        assert secret not in (tmp_path / "log").read_text()


def test_a_backup_keeps_owners_and_modes_and_follows_no_link(as_root: None, tmp_path: Path) -> None:
    volume, saved = tmp_path / "volume", tmp_path / "saved"
    (volume / "dumps" / "deep").mkdir(parents=True)
    saved.mkdir()
    (volume / "dumps" / "deep" / "a.sql").write_text("data")
    for name, mode in (("dumps", 0o700), ("dumps/deep", 0o2750), ("dumps/deep/a.sql", 0o4755)):
        os.chown(volume / name, 33, 34)
        (volume / name).chmod(mode)
    with (volume / "sparse").open("wb") as out:
        out.truncate(1 << 40)
    host = tmp_path / "host"
    host.write_text("the host's own")
    desk = VolumeFiles()
    assert desk.take(volume, ["dumps", "sparse"], saved) == 4
    assert (saved / "sparse").stat().st_blocks < 100
    shutil.rmtree(volume / "dumps")
    desk.give(volume, ["dumps"], saved)
    found = [(p.stat().st_uid, p.stat().st_gid, p.stat().st_mode & 0o7777) for p in sorted(volume.rglob("dumps*"))]
    assert found == [(33, 34, 0o700)]
    assert (volume / "dumps/deep/a.sql").stat().st_mode & 0o7777 == 0o4755
    assert (volume / "dumps/deep").stat().st_mode & 0o7777 == 0o2750
    (volume / "link").symlink_to(host)
    with pytest.raises(ActError, match="neither a file nor a folder"):
        desk.take(volume, ["link"], tmp_path / "elsewhere")
    (volume / "out").symlink_to(tmp_path)
    with pytest.raises(ActError, match="cannot be backed up"):
        desk.take(volume, ["out/host"], saved)
    with pytest.raises(ActError, match="cannot be restored"):
        desk.give(volume, ["out/dumps"], tmp_path)


def test_waiting_for_a_place_asks_nobody(small: Lab) -> None:
    """A queued run has made its plan: it starts no process while it waits, and goes when its turn comes."""
    held = small.build().ports.locks.slot(1, "somebody else")
    waiting = subprocess.Popen(small.argv("cold", small.name, "--wait", "60"), stdout=subprocess.DEVNULL)
    until(lambda: any(small.state.glob("recipes/*.git/HEAD")), 20)
    time.sleep(1.5)  # what is looked for is that nothing happens
    children = subprocess.run(["pgrep", "-P", str(waiting.pid)], capture_output=True, check=False).stdout
    assert children == b"" and waiting.poll() is None
    held.release()
    assert waiting.wait(60) == 0


def test_a_request_of_a_hostile_hand_starts_nothing(small: Lab) -> None:
    requests = small.state / "requests"
    asked = [
        {"action": "test", "app": small.name, "comment": "!testme", "ref": "--upload-pack=x"},
        {"action": "test", "app": "nobody", "comment": "!testme"},
        {"action": "test", "app": small.name, "comment": "!testmexyz"},
        {"action": "seed"},
    ]
    small.set(daemon={"interval": "1s", "jitter": "0s"})
    assert small.test().promoted
    with small.daemon() as daemon:
        until(requests.exists, 30)
        for number, one in enumerate(asked):
            (requests / f"{number}.tmp").write_text(json.dumps({"schema_version": 1, **one}))
            (requests / f"{number}.tmp").rename(requests / f"{number}.json")
        until(lambda: sum(line.get("event") == "request" for line in small.log()) == len(asked), 30)
        assert not any(line.get("event") == "run_started" for line in small.log())
        daemon.send_signal(signal.SIGTERM)
    assert len(small.history()) == 1


def test_live_apps_can_wait_until_a_release_was_green_here(small: Lab) -> None:
    live = {
        "name": "live",
        "recipe": {"url": small.recipe.url},
        "domain": "live.example.test",
        "stateful": True,
        "env": {"PUBLISHED_PORT": str(small.port)},
        "upgrade": {"bake": "0s", "after_green": True},
        "health": {"scheme": "http", "path": "/health", "min_healthy": "100ms", "successes": 1, "port": small.port},
    }
    (small.home / "etc" / "apps" / "live.yaml").write_text(json.dumps(live))

    def result() -> str:
        ran = small.command("reconcile", "live")
        return ran.stdout.strip().removeprefix("RECONCILE RESULT: live ")

    assert result() == f"held-untested:{V2}"
    site = composition.run_environment(small.build())
    assert small.test().promoted and site.ports.canonicals.greens(small.recipe.url).last is not None
    assert result() == f"deployed:{V2}"
    small.release(V3, SCHEMA="3")
    assert result() == f"held-untested:{V2}->{V3}"
    explained = small.command("explain", "live").stdout
    assert "has not passed a full cold run on this host" in explained
    small.command("approve", "live", V3, "--reason", "in a hurry")
    assert result() == f"upgraded:{V2}->{V3}"
    small.build().ports.engine.undeploy(small.build().spec("live").stack_name)


def test_a_disk_that_is_full_at_the_end_costs_the_report_and_not_the_teardown(
    small: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = RunHandle.write

    def write(self: RunHandle, run: Run) -> None:
        if run.torn_down:
            raise OSError(28, "No space left on device")
        real(self, run)

    monkeypatch.setattr(RunHandle, "write", write)
    run = small.test(stages=(Stage.INSTALL,))
    assert run.result == "green" and small.left() == []
    assert json.loads((small.state / "runs" / run.run / "run.json").read_text())["torn_down"] is False
    monkeypatch.undo()
    assert small.command("runs", "reap").returncode == 0
    assert json.loads((small.state / "runs" / run.run / "run.json").read_text())["torn_down"] is True


def test_a_forge_that_is_away_costs_a_warning(small: Lab) -> None:
    assert small.test(stages=(Stage.INSTALL,)).result == "green"
    small.recipe.folder.rename(small.home / "away")
    ran = small.command("cold", small.name, "--stages", "install")
    assert ran.returncode == 0 and "warning: " in ran.stderr and "the last known state stays" in ran.stderr
    (small.home / "away").rename(small.recipe.folder)


def test_a_keycloak_that_is_away_is_the_hosts_fault_and_leaves_nothing(small: Lab) -> None:
    password = small.home / "password"
    password.write_text("secret-of-the-admin")
    live = {
        "name": "sso",
        "recipe": {"url": small.recipe.url},
        "domain": "sso.example.test",
        "stateful": False,
        "health": {"scheme": "http", "port": free_port()},
    }
    (small.home / "etc" / "apps" / "sso.yaml").write_text(json.dumps(live))
    small.set(keycloak={"app": "sso", "password_file": str(password)})
    small.write_spec(tests={"needs": ["keycloak"]})
    ran = small.command("cold", small.name)
    assert ran.returncode == 1 and f"cold-error:{V2}" in ran.stdout and "list realms" in ran.stdout
    assert "secret-of-the-admin" not in ran.stdout + ran.stderr and small.left() == []
    assert small.history() == [f"cold-error:{V2}"]
    small.set(keycloak=None)
    ran = small.command("cold", small.name)
    assert ran.returncode == 2 and "tests.needs: the settings name no keycloak" in ran.stderr
    small.write_spec()


def test_old_reports_go_and_new_ones_stay(small: Lab) -> None:
    small.set(runs={"domain_suffix": f"t{small.mark}.test", "min_free": 0, "keep_reports": 2})
    names = [small.test(stages=(Stage.INSTALL,)).run for _ in range(4)]
    (small.state / "runs" / "note-0a0b0c").mkdir()
    assert small.command("runs", "reap").returncode == 0
    assert {path.name for path in (small.state / "runs").iterdir() if path.name != ".locks"} == set(names[2:])


@pytest.mark.damages
def test_doctor_knows_runs_and_canonicals(small: Lab) -> None:
    assert small.test().promoted
    assert small.command("doctor", "--deep").returncode == 0
    path = small.state / small.name / "canonical.json"
    raw = json.loads(path.read_text())
    for changed, wanted in (
        ({"version": "9.9.9+9"}, "its version is not that of its snapshot"),
        ({"snapshot": "another"}, "the snapshot another that a record names is not there"),
        ({"images": {"app": "notes:latest"}}, "names an image that is not pinned"),
    ):
        path.write_text(json.dumps(raw | changed))
        ran = small.command("doctor")
        assert ran.returncode == 1 and wanted in ran.stdout
    path.write_text(json.dumps(raw))
    next((small.state / "runs").glob("*/run.json")).write_text("{")
    ran = small.command("doctor")
    assert ran.returncode == 1 and "run.json" in ran.stdout


def test_a_base_that_is_the_head_gives_way_and_tests_nothing_less(small: Lab) -> None:
    run = small.test(base=V2)
    assert run.base is not None and run.base.version == V1 and run.stages[1].result == "passed"


def test_a_red_run_takes_the_green_back(small: Lab) -> None:
    assert small.test().promoted
    greens = small.build().ports.canonicals.greens(small.recipe.url)
    assert set(greens.releases) == {V2}
    small.write_spec(tests={"checks": [{"name": "never", "run": ["false"]}]})
    assert small.test().result == "red"
    greens = small.build().ports.canonicals.greens(small.recipe.url)
    assert greens.releases == {} and greens.last is None


def test_what_does_not_count_is_told(small: Lab) -> None:
    text = "stages: [install]\nrecipe_checks: true\noverlay: ci/none.yml\nprevious: ci/none\n"
    commit(small, {"ci/tests.yaml": text})
    small.release(V3, SCHEMA="2")
    run = small.test()
    assert len([stage for stage in run.stages if stage.result == "not-run"]) == 0
    for wanted in (
        "recipe_checks, stages: only the operator's",
        "overlay ci/none.yml is not",
        "previous ci/none is not",
    ):
        assert any(wanted in note for note in run.notes), run.notes
    small.write_spec(tests={"stages": ["install"], "checks": [{"name": "x", "run": ["true"], "stage": "restore"}]})
    ran = small.command("validate")
    assert ran.returncode == 2 and "would never run: x (restore)" in ran.stderr
    small.write_spec(tests={"env": {"A": "${CI_WARM_NOPE}"}})
    assert "a run knows no CI_WARM_NOPE" in small.command("cold", small.name).stdout
    small.write_spec()


def test_a_snapshot_that_does_not_restore_is_an_alert_until_it_does(small: Lab) -> None:
    assert small.test().promoted
    small.release(V3, SCHEMA="3")
    assert small.test("quick").result == "green"
    [tar] = (small.state / small.name / "snapshot" / "volumes").glob("*.tar")
    raw = tar.read_bytes()
    tar.write_bytes(raw.replace(b"first", b"worst"))
    run = small.test("quick")
    assert run.result == "error" and run.leftovers
    assert small.reconcile() == "noop-idle"
    [alert] = small.alerts()
    assert alert.reason == "restore-failed" and "ci-warm canonical seed" in alert.clears_when
    tar.write_bytes(raw)
    assert small.test("quick").result == "green" and small.alerts() == []


def test_commands_for_live_apps_say_what_a_canonical_is(small: Lab) -> None:
    for words in (("snapshot", "create"), ("snapshot", "restore", "--yes")):
        ran = small.command(words[0], words[1], small.name, *words[2:])
        assert ran.returncode == 2 and "is a canonical; ci-warm canonical list|seed" in ran.stderr


@pytest.mark.damages
def test_an_unreadable_canonical_hides_no_other_app_in_a_plan(small: Lab) -> None:
    assert small.test().promoted
    spec = json.loads((small.home / "etc" / "apps" / "notes.yaml").read_text())
    other = {**spec, "name": "other", "domain": "other.example.test"}
    (small.home / "etc" / "apps" / "other.yaml").write_text(json.dumps(other))
    (small.state / small.name / "canonical.json").write_text("{")
    ran = small.command("plan")
    assert ran.returncode == 1 and "notes: held-state" in ran.stdout and "other: seeding" in ran.stdout


def test_a_quick_run_at_its_deadline_brings_the_canonical_down_and_its_data_back(small: Lab) -> None:
    assert small.test().promoted
    before, data = small.canonical(), small.digest()
    commit(small, {"ci/slow.sh": "#!/bin/sh\nsleep 300\n"})
    small.release(V3, SCHEMA="3")
    checks = [{"name": "slow", "run": ["ci/slow.sh"]}]
    small.write_spec(tests={"deadline": "3s", "checks": checks})
    run = small.test("quick")
    assert run.result == "red" and run.leftovers == () and run.torn_down, run.leftovers
    assert small.left() == [] and (small.canonical(), small.digest()) == (before, data)
    assert state(small)["status"] == "idle"


def test_a_promotion_at_its_deadline_leaves_the_old_canonical_whole(
    small: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert small.test().promoted
    before, data = small.canonical(), small.digest()
    small.release(V3, SCHEMA="3")
    late: list[str] = []
    real = LimitedClock.wait

    def wait(self: LimitedClock, seconds: float) -> None:
        if late:
            raise DeadlineError("the run took longer than its deadline")
        real(self, seconds)

    monkeypatch.setattr(LimitedClock, "wait", wait)
    run = small.test(effect=lambda name: late.append(name) if name == "promote:emptied" else None)
    assert (run.result, run.promoted) == ("green", False)
    assert small.left() == [] and (small.canonical(), small.digest()) == (before, data)


def test_known_good_comes_up_in_the_surroundings_that_it_was_promoted_in(small: Lab) -> None:
    commit(small, {"ci/compose.ci.yml": json.dumps({"services": {"app": {"environment": {"GREETING": "ci"}}}})})
    small.release(V3, SCHEMA="3")
    assert small.test().promoted
    small.release("1.0.3+5.0.3", SCHEMA="3")
    seen: list[str] = []

    def effect(name: str) -> None:
        if name == "run:verify:after":
            paths = small.state.glob("engine/services/*/app/service.json")
            seen.extend(json.loads(path.read_text())["env"]["GREETING"] for path in paths)

    assert small.test("quick", effect=effect).result == "green"
    assert seen == ["ci", "ci"]


def test_lending_answers_in_json_too(small: Lab) -> None:
    assert small.test().promoted
    up = json.loads(small.command("canonical", "deploy", small.name, "--json").stdout)
    assert (up["app"], up["version"]) == (small.name, V2)
    down = json.loads(small.command("canonical", "undeploy", small.name, "--restore", "--json").stdout)
    assert (down["app"], down["status"]) == (small.name, "idle")


def test_a_canonical_whose_restore_failed_is_never_used_empty(small: Lab) -> None:
    assert small.test().promoted
    app = small.build()
    app.ports.engine.remove_volumes(small.stack, [f"{small.stack}_data"])
    [archive] = (small.state / small.name / "snapshot" / "volumes").glob("*.tar")
    whole_archive = archive.read_bytes()
    archive.write_bytes(whole_archive[:600])
    for _ in range(2):
        small.reconcile()
        assert [alert.reason for alert in small.alerts()] == ["restore-failed"]
        assert state(small)["status"] == "dirty"
    refused = small.command("canonical", "deploy", small.name)
    assert refused.returncode == 1 and "restore" in refused.stderr
    assert app.ports.engine.observe_stack(small.stack).services == ()
    archive.write_bytes(whole_archive)
    assert small.command("canonical", "deploy", small.name).returncode == 0
    assert small.answer() == "5.0.1" and small.notes()
    assert small.command("canonical", "undeploy", small.name).returncode == 0


def test_a_first_promotion_leaves_data_alone_that_nobody_explains(small: Lab) -> None:
    volume = small.build().ports.engine.create_volume(small.stack, f"{small.stack}_data")
    precious = Path(volume.path) / "precious"
    precious.write_text("years of work")
    run = small.test()
    assert run.result == "green" and not run.promoted and "no record of ours explains the data" in run.promotion
    assert precious.read_text() == "years of work"
    assert not (small.state / small.name / "use.json").exists()


def test_a_broken_run_folder_stops_nobody_else(small: Lab) -> None:
    slow(small)
    child = started(small, "cold", small.name)
    child.kill()
    child.wait()
    [folder] = (path.parent for path in (small.state / "runs").glob("*/run.json"))
    shutil.rmtree(folder / "artefacts")
    (folder / "artefacts").write_text("not a folder")
    small.write_spec()
    assert small.command("cold", small.name).returncode == 0
    assert [run.torn_down for run in small.build().runs.reports()] == [True, True] and small.left() == []


def test_what_the_reaper_cannot_remove_is_told_until_it_is_gone(small: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EmbeddedEngine, "purge", lambda *_: ("volume held by a stranger",))
    monkeypatch.setattr(teardown, "OWN", teardown.Patience(removing=0.0, away=0.0))
    monkeypatch.setattr(teardown.remove_stack, "__defaults__", (teardown.OWN,))
    monkeypatch.setattr(teardown, "REAPER", teardown.OWN)
    run = small.test()
    site = composition.run_environment(small.build())
    assert teardown.reap(site).failed == [run.run]
    alert = next(alert for alert in small.alerts() if alert.reason != "promotion")
    assert (alert.app, alert.reason) == ("host", "run-leftovers")
    assert alert.evidence == (f"{run.run}: volume held by a stranger",)
    monkeypatch.undo()
    assert teardown.reap(site).removed == [run.run]
    assert "run-leftovers" not in [alert.reason for alert in small.alerts()]


def test_a_test_that_is_asked_for_while_it_runs_comes_once_more(tmp_path: Path) -> None:
    gate, said = tmp_path / "gate", tmp_path / "said"
    os.mkfifo(gate)
    starter = RunProcesses(tmp_path / "config", tmp_path, lambda: ())
    starter._base = ["/bin/sh", "-c", f'echo "$@" >> {said}; exec cat {gate}', "sh"]
    try:
        for _ in range(3):
            assert starter.test(AppName("notes"), "quick", "refs/pull/7/head")
        until(said.exists)
        assert len(said.read_text().splitlines()) == 1
        gate.write_text("")

        def twice() -> bool:
            starter.collect_lost()
            return len(said.read_text().splitlines()) == 2

        until(twice, what="the second run")
        assert set(said.read_text().splitlines()) == {"quick notes --ref refs/pull/7/head --wait 21600"}
    finally:
        starter.stop()


def test_a_canonical_without_data_begins_each_use_with_nothing(small: Lab) -> None:
    small.write_spec(stateful=False)
    assert small.test().promoted
    (small.data() / "left").write_text("by a test")
    assert small.command("quick", small.name).returncode == 0
    assert not (small.data() / "left").exists()


def test_a_request_to_stop_takes_a_lent_canonical_down_again(small: Lab) -> None:
    assert small.test().promoted

    def effect(name: str) -> None:
        if name == "run:settle:before":
            raise Interrupted("asked to stop")

    app = small.build(effect)
    context = Context(ports=app.ports, settings=app.settings, spec=app.spec(small.name), actor="test")
    with pytest.raises(Interrupted):
        operate.deploy(context, fresh=False)
    assert app.ports.engine.observe_stack(small.stack).services == ()
    assert small.reconcile() == "noop-idle"


def test_operators_may_read_what_checks_leave(small: Lab) -> None:
    commit(small, {"ci/shot.sh": "#!/bin/sh\nmkdir $CI_WARM_ARTEFACTS/deep\necho x > $CI_WARM_ARTEFACTS/deep/shot\n"})
    small.release(V3, SCHEMA="2")
    small.write_spec(tests={"checks": [{"name": "shot", "run": ["ci/shot.sh"]}]})
    assert small.command("cold", small.name).returncode == 0
    [shot] = (small.state / "runs").glob("*/artefacts/deep/shot")
    assert (shot.stat().st_mode & 0o777, shot.parent.stat().st_mode & 0o777) == (0o640, 0o750)


def test_seeding_what_is_warm_by_then_does_nothing(small: Lab) -> None:
    assert small.test().promoted
    before = small.canonical()
    ran = small.command("canonical", "seed", small.name, "--if-cold")
    assert ran.returncode == 0 and ran.stdout == f"{small.name}: warm already\n"
    ran = small.command("canonical", "seed", small.name, "--if-cold", "--json")
    assert json.loads(ran.stdout) == {"app": small.name, "result": "warm"}
    assert len(small.build().runs.reports()) == 1 and small.canonical() == before


@pytest.mark.damages
def test_a_report_that_goes_bad_and_a_full_disk_keep_no_test_waiting(
    small: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(small)
    child = started(small, "cold", small.name)
    child.kill()
    child.wait()
    [report] = (small.state / "runs").glob("*/run.json")
    real = RunStore.reopen

    def torn(self: RunStore, run: str, what: str) -> RunHandle:
        report.write_text("{")
        return real(self, run, what)

    monkeypatch.setattr(RunStore, "reopen", torn)
    monkeypatch.setattr(AlertStore, "raise_", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left")))
    assert teardown.reap(composition.run_environment(small.build())).failed == [report.parent.name]
