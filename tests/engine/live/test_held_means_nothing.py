"""A held pass makes not one call that changes anything: a scene for each reason to hold."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.engine.context import Context
from reconciler.engine.operate import plan
from reconciler.model.app import SecretSpec
from reconciler.model.errors import ActError
from reconciler.model.hold import Hold, HoldReason
from reconciler.model.ids import AppName
from reconciler.model.observed import OtherPort, Others
from reconciler.model.release import Fallback
from tests.engine.live.scenes import V1, V2
from tests.fakes.world import Behaviour, Host, pin

MAJOR = "2.0.0+6.0.0"


def set_spec(host: Host, **changes: Any) -> None:
    host.specs[0] = host.specs[0].model_copy(update=changes)


def set_upgrade(host: Host, **changes: Any) -> None:
    set_spec(host, upgrade=host.specs[0].upgrade.model_copy(update=changes))


def with_secret(host: Host, tag: str = V2, *, name: str = "key") -> None:
    """A release that wants a secret which the spec lets us make."""
    host.release(tag, secrets=[name])
    doc = json.loads(host.recipes.releases[tag]["compose.yml"])
    doc["secrets"] = {name: {"external": True, "name": f"notes_example_test_{name}_v1"}}
    host.recipes.releases[tag]["compose.yml"] = json.dumps(doc).encode()


def be_at_rest(host: Host) -> None:
    """The spec lets us make a secret, and the bake watch is over."""
    (host.root / "key").write_text("hush")
    set_spec(host, secrets={"key": SecretSpec(file=str(host.root / "key"))})
    assert host.result() == f"reconfigured:{V1}"
    host.clock.seconds += 4000
    assert host.result() == "noop-healthy"


def no_room(host: Host) -> None:
    host.settings = host.settings.model_copy(
        update={"limits": host.settings.limits.model_copy(update={"reserve": 1e15})}
    )


def foreign_image(host: Host) -> None:
    host.engine.foreign = "linux/arm64"


def moved_image(host: Host) -> None:
    """The registry gives another image for the tag than the one first seen, and cannot be asked before the pull."""
    memory = host.ports().store.memory(host.specs[0].app)
    set_upgrade(host, suspend=True)
    host.reconcile()
    set_upgrade(host, suspend=False)
    memory = host.ports().store.memory(host.specs[0].app)
    seen = memory.tags[V2].model_copy(update={"images": {"registry.test/notes:5.0.1": "sha256:" + "0" * 64}})
    host.ports().store.put_memory(memory.model_copy(update={"tags": {**memory.tags, V2: seen}}))


def moved_tag(host: Host) -> None:
    set_upgrade(host, suspend=True)
    host.reconcile()
    set_upgrade(host, suspend=False)
    host.recipes.moved[V2] = "f" * 40


def fault(call: str, error: Exception) -> Callable[[Host], None]:
    def arrange(host: Host) -> None:
        def fails(name: str, when: str) -> None:
            if name == call and when == "before":
                raise error

        host.engine.fault = fails

    return arrange


def secret_file_gone(host: Host) -> None:
    (host.root / "key").unlink()


def failed_before(host: Host) -> None:
    host.engine.images["registry.test/notes:5.0.1"] = Behaviour(schema=2, fails="after")
    assert host.result().startswith("rolled-back:")


def lost_volume(host: Host) -> None:
    doc = json.loads(host.recipes.releases[V2]["compose.yml"])
    doc["services"]["app"]["volumes"] = []
    del doc["volumes"]
    host.recipes.releases[V2]["compose.yml"] = json.dumps(doc).encode()


def in_another_stack(host: Host) -> None:
    set_spec(host, domain="other.example.test")


def only_major(host: Host) -> None:
    del host.recipes.releases[V2]
    with_secret(host, MAJOR)


def in_its_watch(host: Host) -> None:
    store = host.ports().store
    known = store.known_good(AppName(host.specs[0].name))
    assert known is not None
    back = Fallback(release=known.release.model_copy(update={"version": "0.9.0+4.9.0"}), snapshot="s" * 64)
    later = host.clock.now() + timedelta(minutes=5)
    store.put_known_good(known.model_copy(update={"fallback": back, "bake_until": later, "baked": False}))


def port_taken(host: Host) -> None:
    doc = json.loads(host.recipes.releases[V2]["compose.yml"])
    doc["services"]["app"]["ports"] = ["8080:80"]
    host.recipes.releases[V2]["compose.yml"] = json.dumps(doc).encode()
    host.engine.others = Others(ports=(OtherPort(number=8080, protocol="tcp", mode="ingress", service="wiki_app"),))


def another_stacks_volume(host: Host) -> None:
    host.engine.others = Others(owners={("volume", "notes_example_test_data"): "notes_example"})


R = HoldReason
SCENES: dict[str, tuple[Callable[[Host], object], HoldReason]] = {
    "major": (only_major, R.MAJOR),
    "suspended": (lambda host: set_upgrade(host, suspend=True), R.SUSPENDED),
    "cooldown": (lambda host: set_upgrade(host, cooldown=1e6), R.COOLDOWN),
    "watched": (in_its_watch, R.WATCHED),
    "window": (lambda host: set_upgrade(host, window="03:00-03:01 UTC"), R.WINDOW),
    "untested": (lambda host: set_upgrade(host, after_green=True), R.UNTESTED),
    "room": (no_room, R.PREFLIGHT),
    "the image moved": (moved_image, R.TAG_MOVED),
    "the tag moved": (moved_tag, R.TAG_MOVED),
    "the pull fails": (fault("pull", ActError("manifest unknown", permanent=True)), R.PREFLIGHT),
    "the pull fails by the host": (fault("pull", ActError("time-out", host_fault=True)), R.HOST),
    "the secret's file is gone": (secret_file_gone, R.PREFLIGHT),
    "images cannot be kept": (fault("protect_images", ActError("full", host_fault=True)), R.HOST),
    "a secret is missing": (lambda host: with_secret(host, name="other"), R.PREFLIGHT),
    "quarantined": (failed_before, R.QUARANTINED),
    "a volume goes": (lost_volume, R.VOLUMES_CHANGED),
    "a port is taken": (port_taken, R.PREFLIGHT),
    "its volume is another stack's": (another_stacks_volume, R.POLICY),
    "another stack": (in_another_stack, R.STACK_CHANGED),
    "an image for another platform": (foreign_image, R.PREFLIGHT),
    "the app is not well": (lambda host: setattr(host.prober, "broken", True), R.PRIOR_UNHEALTHY),
}


@pytest.mark.parametrize(("arrange", "reason"), SCENES.values(), ids=SCENES)
def test_a_held_pass_makes_no_changing_call(host: Host, arrange: Callable[[Host], object], reason: HoldReason) -> None:
    be_at_rest(host)
    with_secret(host)
    arrange(host)
    host.clock.seconds += 1
    host.engine.changes.clear()
    secrets = set(host.engine.secrets)
    for _ in range(2):
        [report] = host.reconcile()
        held = report.outcome.result.hold
        assert held is reason or str(report.outcome.result) == f"unhealthy:{V1}", report.outcome
        assert (host.engine.changes, host.engine.secrets) == ([], secrets)
        host.clock.seconds += 1


@pytest.mark.parametrize("arrange", [no_room, secret_file_gone])
def test_what_a_pass_would_be_held_by_is_in_its_plan(host: Host, arrange: Callable[[Host], None]) -> None:
    be_at_rest(host)
    with_secret(host)
    arrange(host)
    context = Context(ports=host.ports(), settings=host.settings, spec=host.specs[0])
    row = plan.plan(context, host.engine.look(), None)
    [report] = host.reconcile()
    assert [hold.reason for hold in row.holds] == [R.PREFLIGHT]
    assert [_without_figures(hold) for hold in row.holds] == [_without_figures(hold) for hold in report.outcome.holds]


def _without_figures(hold: Hold) -> Hold:
    """What is free on the machine's disk differs from one look to the next."""
    return replace(hold, detail=re.sub(r"\d+(\.\d+)?", "N", hold.detail))


def test_an_image_for_another_platform_is_taken_where_the_spec_allows_it(host: Host) -> None:
    be_at_rest(host)
    foreign_image(host)
    host.release(V2)
    [report] = host.reconcile()
    assert report.outcome.result.hold is R.PREFLIGHT
    assert "is made for linux/arm64, which this engine is not" in report.outcome.holds[0].detail
    set_spec(host, allow=("foreign-platform",))
    host.clock.seconds += 1
    assert host.result() == f"upgraded:{V1}->{V2}"


def test_a_pull_counts_as_a_change_only_while_the_gate_is_closed(host: Host) -> None:
    be_at_rest(host)
    with_secret(host)
    no_room(host)
    host.engine.changes.clear()
    host.reconcile()
    assert pin("registry.test/notes:5.0.1") not in host.engine.local
