"""What a run is going to do."""

import json

from reconciler.model.tests import Stage
from tests.hosts.engine_host import V1, V2, V3, EngineHost
from tests.runs.scenes import commit


def test_a_moved_tag_is_not_tested(small: EngineHost) -> None:
    assert small.program.reconcile() == "seeding"  # the first sight of the tags
    small.recipe.git("tag", "--delete", V2)
    small.recipe.git("commit", "--quiet", "--allow-empty", "--message", "Something else")
    small.recipe.git("tag", "--annotate", "--message", "moved", V2)
    ran = small.program.command("cold", small.name)
    assert ran.returncode == 1 and f"tag-moved: {V2} was" in ran.stderr


def test_main_may_be_ahead_of_the_latest_release(host: EngineHost) -> None:
    commit(host, {"notes.txt": "not released yet"})
    run = host.program.test()
    assert run.promoted and run.base is not None and run.base.version == V1
    assert "newer than the head" in run.base_reason


def test_the_base_brings_its_own_surroundings(small: EngineHost) -> None:
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
    run = small.program.test(stages=(Stage.INSTALL, Stage.UPGRADE))
    assert run.base is not None and run.base.version == V3
    assert run.stages[0].result == "passed", run.stages


def test_a_forge_that_is_away_costs_a_warning(small: EngineHost) -> None:
    assert small.program.test(stages=(Stage.INSTALL,)).result == "green"
    small.recipe.folder.rename(small.home / "away")
    ran = small.program.command("cold", small.name, "--stages", "install")
    assert ran.returncode == 0 and "warning: " in ran.stderr and "the last known state stays" in ran.stderr
    (small.home / "away").rename(small.recipe.folder)


def test_a_base_that_is_the_head_gives_way_and_tests_nothing_less(small: EngineHost) -> None:
    run = small.program.test(base=V2)
    assert run.base is not None and run.base.version == V1 and run.stages[1].result == "passed"


def test_what_does_not_count_is_told(small: EngineHost) -> None:
    text = "stages: [install]\nrecipe_checks: true\noverlay: ci/none.yml\nprevious: ci/none\n"
    commit(small, {"ci/tests.yaml": text})
    small.release(V3, SCHEMA="2")
    run = small.program.test()
    assert len([stage for stage in run.stages if stage.result == "not-run"]) == 0
    for wanted in (
        "recipe_checks, stages: only the operator's",
        "overlay ci/none.yml is not",
        "previous ci/none is not",
    ):
        assert any(wanted in note for note in run.notes), run.notes
    small.write_spec(tests={"stages": ["install"], "checks": [{"name": "x", "run": ["true"], "stage": "restore"}]})
    ran = small.program.command("validate")
    assert ran.returncode == 2 and "would never run: x (restore)" in ran.stderr
    small.write_spec(tests={"env": {"A": "${CI_WARM_NOPE}"}})
    assert "a run knows no CI_WARM_NOPE" in small.program.command("cold", small.name).stdout
    small.write_spec()
