"""Which runs become the canonical, and what they leave whole."""

import json
from pathlib import Path

import pytest
from typing_extensions import override

from reconciler import app as composition
from reconciler.adapters.clock import SystemClock
from reconciler.model.errors import Interrupted
from tests.hosts.engine_host import V2, V3, EngineHost
from tests.runs.scenes import whole


def test_an_error_past_the_exchange_of_the_snapshot_still_promotes(small: EngineHost) -> None:
    assert small.program.test().promoted
    small.release(V3, SCHEMA="3")

    def effect(name: str) -> None:
        if name == "snapshot:exchanged":
            raise OSError(28, "No space left on device")

    run = small.program.test(effect=effect)
    assert run.promoted and any("promoted all the same" in note for note in run.notes)
    assert whole(small) == V3 and small.program.reconcile() == "noop-idle"


def test_a_canonical_whose_app_was_killed_before_the_snapshot_says_so(small: EngineHost) -> None:
    small.release(V3, SCHEMA="3", IGNORE_TERM="1")
    run = small.program.test()
    assert run.promoted and any("app did not end within the grace and was killed" in note for note in run.notes)
    app = small.program.build()
    manifest = app.ports.node.snapshots.observe(app.specs[0].app)
    assert manifest is not None and manifest.killed == ("app",)


def test_where_a_clean_stop_is_required_a_killed_app_becomes_no_canonical(small: EngineHost) -> None:
    assert small.program.test().promoted
    small.write_spec(upgrade={"require_clean_stop": True})
    small.release(V3, SCHEMA="3", IGNORE_TERM="1")
    run = small.program.test()
    assert not run.promoted and "app did not stop cleanly" in str(run.promotion)
    assert whole(small) == V2


def test_a_request_to_stop_in_the_middle_of_a_promotion_is_given_back(small: EngineHost) -> None:
    assert small.program.test().promoted
    small.release(V3, SCHEMA="3")

    def effect(name: str) -> None:
        if name == "promote:emptied":
            raise Interrupted("asked to stop")

    with pytest.raises(Interrupted):
        small.program.test(effect=effect)
    assert whole(small) == V2 and small.observed.left() == [] and small.program.reconcile() == "noop-idle"
    assert [alert.reason for alert in small.observed.alerts()] == []
    assert small.observed.history()[-1] == f"cold-green:{V3}"


def test_a_promotion_knows_its_own_domain_and_not_the_runs(small: EngineHost) -> None:
    seen: list[str] = []
    small.write_spec(tests={"env": {"GREETING": "${CI_WARM_DOMAIN}"}})

    def effect(name: str) -> None:
        if name == "run:verify:after":
            paths = small.state.glob("engine/services/*/app/service.json")
            seen.extend(json.loads(path.read_text())["env"]["GREETING"] for path in paths)

    run = small.program.test(effect=effect)
    assert run.promoted
    assert seen[:2] == [run.domain, run.domain] and seen[2] == f"t{small.mark}.example.test"


def test_live_apps_can_wait_until_a_release_was_green_here(small: EngineHost) -> None:
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
        ran = small.program.command("reconcile", "live")
        return ran.stdout.strip().removeprefix("RECONCILE RESULT: live ")

    assert result() == f"held-untested:{V2}"
    site = composition.run_environment(small.program.build())
    assert small.program.test().promoted and site.ports.canonicals.greens(small.recipe.url).last is not None
    assert result() == f"deployed:{V2}"
    small.release(V3, SCHEMA="3")
    assert result() == f"held-untested:{V2}->{V3}"
    explained = small.program.command("explain", "live").stdout
    assert "has not passed a full cold run on this host" in explained
    small.program.command("approve", "live", V3, "--reason", "in a hurry")
    assert result() == f"upgraded:{V2}->{V3}"
    small.program.build().ports.engine.undeploy(small.program.build().spec("live").stack_name)


def test_a_red_run_takes_the_green_back(small: EngineHost) -> None:
    assert small.program.test().promoted
    greens = small.program.build().ports.canonicals.greens(small.recipe.url)
    assert set(greens.releases) == {V2}
    small.write_spec(tests={"checks": [{"name": "never", "run": ["false"]}]})
    assert small.program.test().result == "red"
    greens = small.program.build().ports.canonicals.greens(small.recipe.url)
    assert greens.releases == {} and greens.last is None


class LeapingClock(SystemClock):
    """Real time, until it leaps."""

    leap_s = 0.0

    @override
    def monotonic(self) -> float:
        return super().monotonic() + self.leap_s


def test_a_promotion_at_its_deadline_leaves_the_old_canonical_whole(small: EngineHost) -> None:
    assert small.program.test().promoted
    before, data = small.observed.canonical(), small.observed.digest()
    small.release(V3, SCHEMA="3")
    clock = LeapingClock()

    def effect(name: str) -> None:
        if name == "promote:emptied":
            clock.leap_s = 24 * 3600.0

    run = small.program.test(app=small.program.build(effect, clock))
    assert (run.result, run.promoted) == ("green", False)
    assert small.observed.left() == [] and (small.observed.canonical(), small.observed.digest()) == (before, data)


def test_a_first_promotion_leaves_data_alone_that_nobody_explains(small: EngineHost) -> None:
    volume = small.program.build().ports.engine.create_volume(small.stack, f"{small.stack}_data")
    precious = Path(volume.path) / "precious"
    precious.write_text("years of work")
    run = small.program.test()
    assert run.result == "green" and not run.promoted and "no record of ours explains the data" in run.promotion
    assert precious.read_text() == "years of work"
    assert not (small.state / small.name / "use.json").exists()
