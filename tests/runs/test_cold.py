"""Cold runs on real engines: stages, checks, bases, overlays, and what they leave: nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from reconciler.demo import recipes
from reconciler.demo.recipes import Version
from reconciler.model.errors import ActError
from reconciler.model.tests import Stage
from tests.hosts.engine_host import V1, V2, V3, EngineHost
from tests.runs.scenes import commit
from tests.waiting import until

BACKED_UP = {
    "embedded": "cp $MOUNT_DATA/notes.txt $MOUNT_DATA/dump.txt",
    "swarm": "cp /data/notes.txt /data/dump.txt",
}
RESTORED = {
    "embedded": "cp $MOUNT_DATA/dump.txt $MOUNT_DATA/notes.txt",
    "swarm": "cp /data/dump.txt /data/notes.txt",
}


def labelled(host: EngineHost, labels: dict[str, str]) -> str:
    document = json.loads(recipes.compose("IMAGE", stateful=True))
    document["services"]["app"]["deploy"]["labels"] += [f"{key}={value}" for key, value in labels.items()]
    return json.dumps(document)


def run_folder(host: EngineHost) -> Path:
    [path] = [path.parent for path in (host.state / "runs").glob("*/run.json")]
    return path


def stages(host: EngineHost, **asked: Any) -> dict[str, str]:
    return {stage.stage: stage.result for stage in host.program.test(**asked).stages}


def test_all_five_stages_then_promotion_and_nothing_is_left(host: EngineHost) -> None:
    labels = {
        "backupbot.backup": "true",
        "backupbot.backup.volumes.data.path": "dump.txt",
        "backupbot.backup.pre-hook": BACKED_UP[host.engine].replace("$", "$$"),
        "backupbot.restore.post-hook": RESTORED[host.engine].replace("$", "$$"),
    }
    show = (
        f"#!{sys.executable}\n"
        "import os, sys, urllib.request as u\n"
        "print('\\n'.join(sorted(f'{k}={v}' for k, v in os.environ.items())))\n"
        "at = f\"http://{os.environ['CI_WARM_ADDRESS']}:{os.environ['CI_WARM_PORT']}/notes\"\n"
        "answer = u.build_opener(u.ProxyHandler({})).open(at).read()\n"
        "open(f\"{os.environ['CI_WARM_ARTEFACTS']}/{sys.argv[1]}\", 'wb').write(answer)\n"
    )
    commit(host, {"ci/show.sh": show})
    host.release(V3, SCHEMA="3", compose=labelled(host, labels))
    checks = [
        {"name": name, "run": ["ci/show.sh", name], "stage": stage}
        for name, stage in (("planted", "backup"), ("came-back", "restore"), ("serves", "custom"))
    ]
    host.write_spec(tests={"checks": checks})
    run = host.program.test()
    assert [(s.stage, s.result) for s in run.stages] == [(stage, "passed") for stage in Stage], run.stages
    assert (run.result, run.level, run.level_cap, run.promoted) == ("green", 5, 5, True)
    assert (run.version_before, run.version_after) == (V2, V3)
    assert (run.deploys, run.deploys_expected) == (2, 2)  # restoring deploys once more
    folder = run_folder(host)
    assert (folder / "artefacts" / "came-back").read_text() == (folder / "artefacts" / "planted").read_text()
    assert "[schema 3] first note" in (folder / "artefacts" / "serves").read_text()
    log = (folder / "custom.log").read_text()
    for line in (
        f"CI_WARM_STACK={run.stack}",
        f"CI_WARM_DOMAIN={run.domain}",
        f"CI_WARM_VERSION={V3}",
        "CI_WARM_STAGE=custom",
    ):
        assert line in log
    suite = ElementTree.fromstring((folder / "junit.xml").read_text())
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("9", "0", "0")
    assert f"RUN RESULT: {host.name} cold-green:{V3}" in (folder / "summary.txt").read_text()
    assert not (folder / "work").exists()
    assert host.observed.left() == []
    assert host.observed.history() == [f"cold-green:{V3}"]
    assert host.program.reconcile() == "noop-idle"


def test_a_backup_that_fails_sets_the_app_going_again_before_the_next_try(small: EngineHost) -> None:
    """A database that the hook before it froze would stand still, and each further try would fail at that hook."""
    labels = {
        "backupbot.backup": "true",
        "backupbot.backup.volumes.data.path": "dump.txt",
        "backupbot.backup.pre-hook": "test ! -e $$MOUNT_DATA/frozen && touch $$MOUNT_DATA/frozen",
        "backupbot.backup.post-hook": "rm $$MOUNT_DATA/frozen && echo dumped >$$MOUNT_DATA/dump.txt",
    }
    small.release(V3, SCHEMA="3", compose=labelled(small, labels))
    run = small.program.test(stages=(Stage.INSTALL, Stage.BACKUP))
    assert [stage.result for stage in run.stages if stage.stage is Stage.BACKUP] == ["passed"], run.stages
    assert "backup: went well at try 2" in run.notes


def test_the_orphan_and_the_changed_image_of_a_new_release(host: EngineHost) -> None:
    document = json.loads(recipes.compose("IMAGE", stateful=True))
    extra = json.loads(recipes.compose(host.image("side"), stateful=False))["services"]["app"]
    document["services"]["sidekiq"] = {k: v for k, v in extra.items() if k != "ports"} | {"environment": {"PORT": "0"}}
    host.release(V3, SCHEMA="3", compose=json.dumps(document))
    host.release("1.0.3+5.0.3", SCHEMA="3")
    run = host.program.test()
    assert run.result == "green", run
    assert "prune-orphans: removed 'sidekiq'" in run.notes
    assert run.base is not None and run.base.version == V3
    assert (run.version_before, run.version_after) == (V3, "1.0.3+5.0.3")


def test_a_broken_head_is_red_and_leaves_the_canonical_alone(warm: EngineHost) -> None:
    before = warm.observed.canonical()
    warm.release(V3, SCHEMA="3", FAIL="after")
    run = warm.program.test()
    assert (run.result, run.level) == ("red", 1)
    assert [s.result for s in run.stages] == ["passed", "failed", "not-run", "not-run", "not-run"]
    assert run.base is not None and run.base.name == "last green" and run.base.version == V2
    assert (
        warm.observed.canonical() == before and warm.observed.left() == [] and warm.program.reconcile() == "noop-idle"
    )
    said = (warm.state / "runs" / run.run / "containers.log").read_text()
    assert "failing after the migration, as told" in said
    assert "app said last: failing after the migration, as told" in run.stages[1].evidence


def test_a_head_that_serves_nonsense_is_red(host: EngineHost) -> None:
    patience = "8s" if host.engine == "swarm" else "1s"
    host.write_spec(
        health={**host.health, "deadline": patience, "scheme": "http", "path": "/health", "port": host.port}
    )
    host.release(V3, FAIL="unhealthy", SCHEMA="2")
    run = host.program.test()
    assert run.result == "red" and "not healthy within" in run.stages[1].reason and host.observed.left() == []


def test_a_base_that_does_not_deploy_is_a_declared_skip_and_never_green(small: EngineHost) -> None:
    small.release(V3, SCHEMA="2")
    broken = small.recipe.commit(Version(tag="x", image=small.image("nope", FAIL="before")))
    run = small.program.test(base=broken)
    assert [(s.stage, s.result) for s in run.stages][:2] == [("install", "passed"), ("upgrade", "skipped")]
    assert run.stages[1].reason.startswith("the base does not deploy")
    assert (run.result, run.promoted, small.observed.left()) == ("partial", False, [])


def test_stages_can_be_chosen_and_cap_the_level(host: EngineHost) -> None:
    run = host.program.test(stages=(Stage.INSTALL,))
    assert [s.result for s in run.stages] == ["passed"] + ["not-run"] * 4
    assert (run.result, run.level, run.level_cap, run.deploys) == ("green", 1, 1, 1)
    assert run.base is None and run.version_after == V2
    assert run.promotion == "not all stages were asked for"
    upgraded = host.program.test(stages=(Stage.UPGRADE,))
    assert [s.result for s in upgraded.stages] == ["not-run", "passed", "not-run", "not-run", "not-run"]
    assert (upgraded.level, upgraded.version_before) == (0, V1)


def test_a_branch_is_tested_and_never_promoted(host: EngineHost) -> None:
    host.recipe.git("checkout", "--quiet", "-b", "feature")
    host.recipe.commit(Version(tag="feature", image=host.image("5.9.9", SCHEMA="4")))
    run = host.program.test(ref="feature")
    assert (run.result, run.head.kind, run.promoted) == ("green", "ref", False)
    assert run.promotion == "feature is not a release"
    assert run.version_after == run.head.version and run.head.version.startswith(f"{V2}-1-g")
    by_ref = host.program.test(ref="refs/heads/feature", stages=(Stage.INSTALL,))
    assert by_ref.head.commit == run.head.commit


def test_a_pull_requests_head_is_fetched_by_its_name(small: EngineHost) -> None:
    small.recipe.git("checkout", "--quiet", "-b", "pr")
    commit = small.recipe.commit(Version(tag="pr", image=small.image("5.9.8", SCHEMA="2")))
    small.recipe.git("update-ref", "refs/pull/7/head", commit)
    small.recipe.git("checkout", "--quiet", "main")
    small.recipe.git("branch", "--quiet", "-D", "pr")
    ran = small.program.command("cold", small.name, "--ref", "refs/pull/7/head", "--stages", "install")
    assert ran.returncode == 0, ran.stderr
    assert f"refs/pull/7/head, {commit[:8]}" in ran.stdout


def test_previous_is_for_the_base_alone(small: EngineHost) -> None:
    previous = {"services": {"app": {"environment": {"GREETING": "only-the-old"}}}}
    files = {"ci/previous/VERSION": f"{V2}\n", "ci/previous/compose.previous.yml": json.dumps(previous)}
    commit(small, files)
    small.release(V3, SCHEMA="3")
    seen: list[str] = []

    def effect(name: str) -> None:
        if name == "run:verify:after":
            paths = small.state.glob("engine/services/*/app/service.json")
            seen.extend(json.loads(path.read_text())["env"]["GREETING"] for path in paths)

    run = small.program.test(effect=effect)
    assert run.result == "green" and f"ci/previous for {V2} was applied to the base alone" in run.notes
    assert seen[:2] == ["only-the-old", "hello"]


def test_a_stale_previous_is_told_and_not_applied(host: EngineHost) -> None:
    commit(
        host, {"ci/previous/VERSION": f"{V1}\n", "ci/previous/compose.previous.yml": "services: {app: {image: x}}\n"}
    )
    host.release(V3, SCHEMA="3")
    run = host.program.test()
    assert run.result == "green"
    assert f"stale: ci/previous is for {V1}, the base is {V2}: not applied" in run.notes


def test_an_overlay_for_the_surroundings_may_not_change_images(host: EngineHost) -> None:
    commit(host, {"ci/compose.ci.yml": json.dumps({"services": {"app": {"environment": {"GREETING": "ci"}}}})})
    host.release(V3, SCHEMA="3")
    assert host.program.test().result == "green"
    commit(host, {"ci/compose.ci.yml": json.dumps({"services": {"app": {"image": "another"}}})})
    host.release("1.0.3+5.0.3", SCHEMA="3")
    run = host.program.test()
    assert run.result != "green"
    assert any("may not change images or the set of services" in f"{s.reason} {run.notes}" for s in run.stages)


CHECKS: dict[str, tuple[str, str]] = {
    "fails": ("#!/bin/sh\necho about to fail\nexit 3\n", "ended with 3: about to fail"),
    "hangs": ("#!/bin/sh\nsleep 300\n", "did not end within 1 s"),
    "not-executable": ("text", "is not executable"),
    "missing": ("", "is not in the recipe's head"),
    "no-interpreter": ("#!/no/such/thing\n", "cannot be started"),
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_bad_check_is_red_with_one_clear_line(name: str, small: EngineHost) -> None:
    body, wanted = CHECKS[name]
    if body:
        commit(small, {f"ci/{name}": body}, modes=() if name == "not-executable" else (f"ci/{name}",))
    small.release(V3, SCHEMA="2")
    small.write_spec(tests={"checks": [{"name": name, "run": [f"ci/{name}"], "timeout": "1s"}]})
    run = small.program.test()
    assert run.result == "red" and wanted in run.stages[-1].reason
    assert [(c.name, c.passed) for c in run.stages[-1].checks] == [(name, False)]


def test_a_wanted_check_that_fails_is_told_and_fails_nothing(small: EngineHost) -> None:
    commit(small, {"ci/no.sh": "#!/bin/sh\nexit 1\n"})
    small.release(V3, SCHEMA="2")
    small.write_spec(tests={"checks": [{"name": "wish", "run": ["ci/no.sh"], "required": False}]})
    run = small.program.test()
    assert (run.result, run.stages[-1].checks[0].passed) == ("green", False)


def test_what_a_check_starts_ends_with_it(small: EngineHost) -> None:
    mark = f"sleeper-{small.mark}"
    script = f"#!/bin/sh\n(setsid sh -c 'sleep 301 {mark}; true' </dev/null >/dev/null 2>&1 &)\nsleep 0.3\nexit 0\n"
    commit(small, {"ci/forks.sh": script})
    small.release(V3, SCHEMA="2")
    small.write_spec(tests={"checks": [{"name": "forks", "run": ["ci/forks.sh"]}]})
    assert small.program.test().result == "green"
    found = subprocess.run(["pgrep", "-f", mark], capture_output=True, text=True, check=False).stdout
    assert found == ""


def test_secrets_do_not_get_into_a_log(small: EngineHost) -> None:
    secret = f"tell-nobody-{small.mark}"
    commit(small, {"ci/talks.sh": "#!/bin/sh\necho it is $1 and password=hunter2hunter2\nexit 1\n"})
    small.release(V3, SCHEMA="2")
    small.write_spec(
        env={"ADMIN_PASSWORD": secret}, tests={"checks": [{"name": "talks", "run": ["ci/talks.sh", secret]}]}
    )
    assert small.program.test().result == "red"
    folder = run_folder(small)
    shown = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
    assert "it is ***" in shown and secret not in shown and "hunter2" not in shown


def test_a_check_that_never_stops_talking_fills_no_disk(small: EngineHost) -> None:
    commit(small, {"ci/yes.sh": "#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\\\0' 'y'\n"})
    small.release(V3, SCHEMA="2")
    small.set(runs={"domain_suffix": f"t{small.mark}.test", "min_free": 0, "check_output": 4096})
    small.write_spec(tests={"checks": [{"name": "yes", "run": ["ci/yes.sh"]}]})
    assert small.program.test().result == "green"
    assert (run_folder(small) / "custom.log").stat().st_size < 5000


def test_the_recipes_own_checks_need_the_operators_leave(small: EngineHost) -> None:
    commit(small, {"ci/tests.yaml": "checks: [{name: own, run: [ci/no.sh]}]\n", "ci/no.sh": "#!/bin/sh\nexit 1\n"})
    small.release(V3, SCHEMA="2")
    run = small.program.test()
    assert run.result == "green" and any("recipe_checks: true" in note for note in run.notes)
    small.write_spec(tests={"recipe_checks": True})
    assert small.program.test().result == "red"


USAGE: dict[str, tuple[list[str], str]] = {
    "recipe": (["cold", "nobody"], "no recipe 'nobody' is enrolled; there are: notes"),
    "ref": (["cold", "notes", "--ref", "nope"], "nope is neither a tag nor a branch nor a commit"),
    "option": (["cold", "notes", "--ref=--upload-pack=x"], "is not the name of a ref"),
    "foreign": (["cold", "notes", "--ref", "refs/pull/99/head"], "refs/pull/99/head cannot be fetched"),
    "base": (["cold", "notes", "--base", "0.0.1+1"], "base: 0.0.1+1 is neither"),
    "stages": (["cold", "notes", "--stages", "install,deploy"], "'deploy' is not a valid Stage"),
    "quick": (["quick", "nobody"], "no recipe 'nobody'"),
    "run": (["runs", "show", "../../etc"], "there is no run"),
}


@pytest.mark.parametrize("name", USAGE)
def test_bad_usage_is_exit_2_and_begins_nothing(name: str, small: EngineHost) -> None:
    args, wanted = USAGE[name]
    ran = small.program.command(*args)
    assert (ran.returncode, wanted in ran.stderr) == (2, True), ran.stderr
    assert not list((small.state / "runs").glob("*/run.json"))


def test_metadata_that_is_wrong_names_file_line_and_key(small: EngineHost) -> None:
    commit(small, {"ci/tests.yaml": "deadline: 1h\nstagez: [install]\n"})
    small.release(V3, SCHEMA="2")
    ran = small.program.command("cold", small.name)
    assert ran.returncode == 1 and f"cold-red:{V3}" in ran.stdout and "note: ci/tests.yaml at " in ran.stdout
    assert ":2: stagez: is not a key we know" in ran.stdout


def test_a_run_that_would_not_fit_is_refused_with_the_figures(small: EngineHost) -> None:
    small.set(runs={"domain_suffix": f"t{small.mark}.test", "min_free": 1 << 60})
    ran = small.program.command("cold", small.name)
    assert ran.returncode == 3  # of the host, not of the recipe
    assert f"no room for a run: {1 << 40} MiB needed" in ran.stderr and "MiB free" in ran.stderr
    assert not list((small.state / "runs").glob("*/run.json"))


def test_a_fault_of_the_host_is_tried_once_more_and_named(small: EngineHost) -> None:
    def once(times: int) -> Callable[[str], None]:
        left = [times]

        def effect(name: str) -> None:
            if name == "run:deploy:before" and left[0]:
                left[0] -= 1
                raise ActError("the engine went away", host_fault=True)

        return effect

    run = small.program.test(effect=once(1))
    assert (
        run.result == "green" and "the host was at fault at first (the engine went away); tried once more" in run.notes
    )
    again = small.program.test(effect=once(2))
    assert (again.result, again.stages[0].result, again.stages[0].reason) == ("error", "error", "the engine went away")
    assert small.observed.left() == []


def test_a_deploy_from_elsewhere_is_noticed_by_its_count(small: EngineHost) -> None:
    def effect(name: str) -> None:
        if name == "run:settle:after" and not done:
            done.append(name)
            engine = small.program.build().ports.engine
            [stack] = [s for s in engine.look().stacks if s.endswith(small.observed.suffix)]
            record = json.loads(next(small.state.glob(f"engine/services/{stack}/app/service.json")).read_text())
            path = next(small.state.glob(f"engine/services/{stack}/app/service.json"))
            path.write_text(json.dumps(record | {"id": "somebody-elses"}))

    def later(name: str) -> None:
        if name == "run:deploy:before":
            deploys.append(name)
            if len(deploys) == 2:
                done.clear()
        effect(name) if len(deploys) == 2 else None

    done: list[str] = []
    deploys: list[str] = []
    run = small.program.test(effect=later)
    assert (run.deploys, run.deploys_expected, run.result) == (2, 1, "red")


def _started(host: EngineHost, *args: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(host.program.argv(*args), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _until_it_stands(host: EngineHost) -> None:
    until(lambda: list((host.state / "runs").glob("*/custom.log")), 60, "the custom checks began")


@pytest.fixture
def slow(host: EngineHost) -> EngineHost:
    """A run whose last check takes for ever."""
    return _slowed(host)


@pytest.fixture
def small_slow(small: EngineHost) -> EngineHost:
    """The same on the embedded engine alone."""
    return _slowed(small)


def _slowed(host: EngineHost) -> EngineHost:
    commit(host, {"ci/slow.sh": "#!/bin/sh\nsleep 300\n"})
    host.release(V3, SCHEMA="2")
    host.write_spec(tests={"checks": [{"name": "slow", "run": ["ci/slow.sh"]}]})
    return host


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_stop_tears_down_first(number: signal.Signals, slow: EngineHost) -> None:
    child = _started(slow, "cold", slow.name)
    _until_it_stands(slow)
    assert slow.observed.left() != []
    child.send_signal(number)
    assert child.wait(60) == 1
    assert slow.observed.left() == []
    report = json.loads((run_folder(slow) / "run.json").read_text())
    assert (report["result"], report["torn_down"]) == ("aborted", True)
    assert slow.observed.history() == [f"cold-aborted:{V3}"]


def test_what_a_killed_run_left_is_reaped_and_nothing_else(slow: EngineHost) -> None:
    child = _started(slow, "cold", slow.name)
    _until_it_stands(slow)
    alive = slow.program.command("runs", "reap")
    assert (alive.returncode, "alive: " in alive.stdout, slow.observed.left() != []) == (0, True, True)
    child.kill()
    child.wait()
    ran = slow.program.command("runs", "reap")
    assert ran.returncode == 0 and "removed what" in ran.stdout, ran.stderr
    assert slow.observed.left() == []
    report = json.loads((run_folder(slow) / "run.json").read_text())
    assert (report["result"], report["torn_down"]) == ("died", True)
    assert "no run left anything" in slow.program.command("runs", "reap").stdout
    assert slow.observed.history() == [f"cold-died:{V3}"]


def test_a_red_run_can_be_kept_to_look_at_and_reaped_by_name(small: EngineHost) -> None:
    small.release(V3, FAIL="unhealthy", SCHEMA="2")
    small.write_spec(
        health={**small.health, "deadline": "500ms", "scheme": "http", "path": "/health", "port": small.port}
    )
    run = small.program.test(keep_on_failure=True)
    assert run.result == "red" and not run.torn_down and run.kept_until is not None
    assert small.observed.left() != []
    assert f"kept: {run.run}" in small.program.command("runs", "reap").stdout and small.observed.left() != []
    assert small.program.command("runs", "reap", run.run).returncode == 0
    assert small.observed.left() == []


def test_a_run_has_a_hard_deadline(small_slow: EngineHost) -> None:
    small_slow.write_spec(tests={"deadline": "6s", "checks": [{"name": "slow", "run": ["ci/slow.sh"]}]})
    began = time.monotonic()
    ran = small_slow.program.command("cold", small_slow.name)
    assert ran.returncode == 1 and time.monotonic() - began < 40
    assert "the run took longer than its deadline of 6 s" in ran.stdout
    assert small_slow.observed.left() == []


def test_two_tests_at_once_are_one_too_many_and_the_second_may_wait(small_slow: EngineHost) -> None:
    child = _started(small_slow, "cold", small_slow.name)
    _until_it_stands(small_slow)
    refused = small_slow.program.command("cold", small_slow.name, "--stages", "install")
    assert refused.returncode == 75 and "test-0.lock is held by ci-warm cold" in refused.stderr
    waiting = _started(small_slow, "cold", small_slow.name, "--stages", "install", "--wait", "60")
    child.send_signal(signal.SIGTERM)
    child.wait(60)
    assert waiting.wait(60) == 0
    assert small_slow.observed.left() == []


def test_a_run_as_another_user_reads_and_writes_only_what_it_may(as_root: None, small: EngineHost) -> None:
    commit(small, {"ci/who.sh": "#!/bin/sh\nid -un; cat $1 && exit 1; exit 0\n"})
    small.release(V3, SCHEMA="2")
    small.set(runs={"domain_suffix": f"t{small.mark}.test", "min_free": 0, "user": "nobody"})
    for folder in [small.state, *small.state.parents]:
        if folder.stat().st_uid == os.geteuid() and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o011)
    kept = str(small.state / small.name / "memory.json")
    small.write_spec(tests={"checks": [{"name": "who", "run": ["ci/who.sh", kept]}]})
    run = small.program.test()
    assert run.result == "green", run.stages[-1]
    assert "nobody" in (run_folder(small) / "custom.log").read_text()
