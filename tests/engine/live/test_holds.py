"""What is held, and what is not."""

from pathlib import Path

import pytest

from reconciler.model.errors import ActError, ObserveError
from reconciler.model.observed import World
from tests.fakes.world import Behaviour, Host

V1, V2, V3 = "1.0.0+5.0.0", "1.0.1+5.0.1", "1.0.2+5.0.2"


def test_only_a_look_taken_under_the_lock_is_acted_on(host: Host) -> None:
    stale = host.engine.look()
    host.release(V2, Behaviour(schema=2))
    assert host.result() == f"upgraded:{V1}->{V2}"
    host.engine.changes.clear()
    host.engine.stale_looks = [World(at=stale.at, engine="fake", node_id="n1", stacks={}, volumes=stale.volumes)]
    assert host.result() == "noop-healthy"
    assert host.engine.changes == []


def test_a_mended_spec_is_the_way_out_of_an_app_that_does_not_answer(host: Host) -> None:
    host.engine.images["registry.test/notes:5.0.0"].fails = "unhealthy"
    assert host.result() == f"unhealthy:{V1}"
    host.specs[0] = host.specs[0].model_copy(update={"env": {"FIXED": "1"}})
    host.engine.on_undeploy = lambda: host.engine.images.update({"registry.test/notes:5.0.0": Behaviour()})
    assert host.result() == f"reconfigured:{V1}"
    assert host.alerts() == []


def test_changed_settings_do_not_wait_behind_a_held_release(host: Host) -> None:
    host.release("2.0.0+6.0.0")
    assert host.result() == f"held-major:{V1}->2.0.0+6.0.0"
    host.specs[0] = host.specs[0].model_copy(update={"env": {"GREETING": "hi"}})
    assert host.result() == f"reconfigured:{V1}"
    assert host.result() == f"held-major:{V1}->2.0.0+6.0.0"


def test_another_stack_name_is_held_before_anything_happens(host: Host) -> None:
    host.specs[0] = host.specs[0].model_copy(update={"domain": "new.example.test"})
    host.engine.changes.clear()
    assert host.result() == "held-stack-changed"
    assert host.engine.changes == []
    assert "set stack: notes_example_test" in str(host.alerts()[0].evidence)


def test_a_manual_rollback_is_refused_while_its_snapshot_is_damaged(host: Host) -> None:
    from reconciler.engine.context import Context
    from reconciler.engine.live.reconcile import roll_back
    from reconciler.engine.release.facts import collect_facts

    host.release(V2, Behaviour(schema=2))
    host.result()
    tar = host.root / "state" / "notes" / "snapshot" / "volumes" / "notes_example_test_data.tar"
    tar.write_bytes(b"gone")
    host.engine.changes.clear()
    context = Context(ports=host.ports(), settings=host.settings, spec=host.specs[0])
    facts = collect_facts(context, host.engine.look(), None)
    assert str(roll_back(context, facts, "why not").result) == f"rollback-refused:{V2}"
    assert host.engine.changes == []
    assert host.result() == "noop-healthy"


def test_an_error_in_one_app_leaves_the_others_and_the_status_alone(host: Host) -> None:
    other = host.specs[0].model_copy(update={"name": "other", "domain": "other.example.test"})
    host.specs.append(other)
    host.release(V2)
    calls: list[str] = []

    def once(call: str, when: str) -> None:
        if call == "protect_images" and when == "after" and not calls:
            calls.append(call)
            raise OSError(28, "No space left on device")

    host.engine.fault = once
    results = [str(report.outcome.result) for report in host.reconcile()]
    assert results[0] == "error"
    assert results[1].startswith("deployed:")
    assert (host.root / "state" / "status.json").exists()
    assert [alert.reason for alert in host.alerts()] == ["error"]


def test_an_engine_error_while_pruning_orphans_is_no_failure(tmp_path: Path) -> None:
    host = Host(tmp_path, stateful=False)
    host.release(V1)
    assert host.result() == f"deployed:{V1}"

    def fails(call: str, when: str) -> None:
        if call == "remove_services":
            raise ActError("500", host_fault=True)

    host.engine.fault = fails
    host.release(V2)
    assert host.result() == f"upgraded:{V1}->{V2}"


def test_unknown_while_gating_changes_nothing(host: Host) -> None:
    host.release(V2)

    def fails(call: str, when: str) -> None:
        if call == "observe_images":
            raise ObserveError("time-out")

    host.engine.fault = fails
    host.engine.changes.clear()
    assert host.result() == "unknown"
    assert host.engine.changes == []


def test_an_unhealthy_app_says_why_a_newer_release_is_not_taken(host: Host) -> None:
    from reconciler.engine.context import Context
    from reconciler.engine.live.plan import plan_app

    host.prober.broken = True
    host.release(V2)
    context = Context(ports=host.ports(), settings=host.settings, spec=host.specs[0])
    seen = plan_app(context, host.engine.look())
    assert [hold.reason for hold in seen.plan.holds] == ["prior-unhealthy"]
    assert "approve" in seen.plan.holds[0].clears_when
    assert host.result() == f"unhealthy:{V1}"


def test_a_pin_to_a_version_that_is_not_there_is_told(host: Host) -> None:
    recipe = host.specs[0].recipe.model_copy(update={"track": "9.9.9+9"})
    host.specs[0] = host.specs[0].model_copy(update={"recipe": recipe})
    assert host.result() == f"recipe:{V1}"
    assert ["9.9.9+9" in str(alert.evidence) for alert in host.alerts()] == [True]


def test_the_tag_of_what_runs_that_moves_is_told_once_and_nothing_is_done(host: Host) -> None:
    host.recipes.moved[V1] = "f" * 40
    host.engine.changes.clear()
    assert [host.result(), host.result()] == ["noop-healthy", "noop-healthy"]
    [alert] = host.alerts()
    assert (alert.reason, str(alert.severity), alert.to_version) == ("tag-moved", "warning", V1)
    assert "ffffffffffff now" in alert.evidence[0] and host.engine.changes == []
    host.recipes.moved.clear()
    host.result()
    assert host.alerts() == []


def test_the_tag_of_what_ran_is_no_matter_when_a_newer_release_runs(host: Host) -> None:
    host.recipes.moved[V1] = "f" * 40
    host.result()
    host.release(V2)
    assert host.result() == f"upgraded:{V1}->{V2}"
    assert [alert.reason for alert in host.alerts()] == []


def test_an_error_of_the_disk_names_its_path(host: Host) -> None:
    host.release(V2)

    def fail(point: str) -> None:
        if point == "snapshot:written":
            raise OSError(5, "Input/output error")

    host.on_effect = fail
    [report] = host.reconcile()
    assert f"snapshot failed: {host.root / 'state'}: Input/output error" in str(report.outcome.evidence)


@pytest.mark.parametrize("said", [("services.app Additional property imagee is not allowed",), None])
def test_what_docker_refuses_holds_before_anything_stops(said: tuple[str, ...] | None, host: Host) -> None:
    """Also where the tool cannot be asked."""
    host.release(V2, imagee="x")
    host.engine.refuses = said
    host.engine.changes.clear()
    for _ in range(3):
        assert host.result() == f"held-recipe:{V1}->{V2}"
    assert host.engine.changes == []
    [alert] = host.alerts()
    assert "compose.yml: services.app: Additional property imagee is not allowed" in alert.evidence[0]


def test_a_tool_that_cannot_be_run_holds_before_anything_stops(host: Host) -> None:
    def away(call: str, when: str) -> None:
        if call == "check_document":
            raise ActError("docker cannot be started: No such file or directory", host_fault=True)

    host.release(V2)
    host.engine.fault = away
    host.engine.changes.clear()
    assert host.result() == f"held-preflight:{V1}->{V2}"
    assert host.engine.changes == []


def release_with_network(host: Host, tag: str, behaviour: Behaviour | None = None, **definition: object) -> None:
    """A release whose app is in a network of that definition."""
    host.release(tag, behaviour)
    host.give_network(tag, **definition)


def test_a_network_of_another_definition_is_made_anew_and_the_way_back_does_so_too(host: Host) -> None:
    release_with_network(host, V2)
    assert host.result() == f"upgraded:{V1}->{V2}"
    release_with_network(host, V3, Behaviour(fails="after"), attachable=True)
    seen: list[bool] = []
    host.engine.on_undeploy = lambda: seen.extend(one.attachable for one in host.engine.networks.values())
    assert host.result() == f"rolled-back:{V3}->{V2}"
    assert seen == [False, True], "made anew for the release, and again for the way back"
    assert [one.attachable for one in host.engine.networks.values()] == [False]
    assert host.engine.violations == []


def test_a_network_that_others_use_holds_before_anything_stops(host: Host) -> None:
    release_with_network(host, V2)
    assert host.result() == f"upgraded:{V1}->{V2}"
    release_with_network(host, V3, attachable=True)
    host.engine.network_users = ("service other_web",)
    host.engine.changes.clear()
    assert host.result() == f"held-preflight:{V2}->{V3}"
    assert host.engine.changes == []
    assert "cannot be made anew while service other_web uses it" in host.alerts()[0].evidence[0]


def test_a_network_that_changes_under_an_app_without_data_is_held(tmp_path: Path) -> None:
    host = Host(tmp_path, stateful=False)
    release_with_network(host, V1)
    assert host.result() == f"deployed:{V1}"
    release_with_network(host, V2, attachable=True)
    host.engine.changes.clear()
    assert host.result() == f"held-preflight:{V1}->{V2}"
    assert host.engine.changes == []
    assert "network inner: attachable is false, sent true" in host.alerts()[0].evidence[0]
