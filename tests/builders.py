"""Values for tests: a spec, a release, services and tasks, with only what a test is about spelled out."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.core.change.settle import Expected
from reconciler.core.release import versions
from reconciler.core.release.digest import digest
from reconciler.core.release.facts import AppFacts
from reconciler.model.app import AppSpec
from reconciler.model.ids import StackName
from reconciler.model.journal import Change, Journal, Step
from reconciler.model.memory import Memory, TagSeen
from reconciler.model.observed import ContainerObs, ServiceMode, ServiceObs, StackObs, TaskObs, UpdateObs
from reconciler.model.recipe import Tags
from reconciler.model.release import KnownGood, Release

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
STACK = StackName("notes_example_test")
BUNDLE = "b" * 64
IMAGE = "registry.test/notes:1@sha256:" + "1" * 64
QUICK = {"min_healthy": 0.1, "successes": 1, "interval": 0, "deadline": 30, "progress": 20}


def spec(**changes: Any) -> AppSpec:
    """A live, stateful app."""
    base: dict[str, Any] = {
        "name": "notes",
        "recipe": {"url": "https://git.test/notes.git"},
        "domain": "notes.example.test",
        "stateful": True,
        "health": {"scheme": "http", "path": "/health", **QUICK},
        "upgrade": {"bake": 0},
    }
    return AppSpec.model_validate(base | changes)


def release(version: str = "1.0.0+5.0.0", **changes: Any) -> Release:
    """A release of one service."""
    fields: dict[str, Any] = {"version": version, "commit": digest(version)[:40], "bundle": digest(["b", version])}
    return Release(**(fields | {"images": {"app": IMAGE}} | changes))


def known(version: str = "1.0.0+5.0.0", **changes: Any) -> KnownGood:
    """What runs and is good."""
    fields: dict[str, Any] = {"app": "notes", "release": release(version), "services": {"app": "spec-1"}, "at": NOW}
    return KnownGood(**(fields | changes))


def journal(kind: Change = Change.UPGRADE, step: Step = Step.OPENED, **changes: Any) -> Journal:
    """An upgrade from 1.0.0 to 1.0.1 under way."""
    fields: dict[str, Any] = {
        "op_id": "op-1",
        "app": "notes",
        "stack": STACK,
        "kind": kind,
        "stateful": True,
        "step": step,
        "origin": release("1.0.0+5.0.0") if kind in (Change.UPGRADE, Change.ROLLBACK) else None,
        "target": release("1.0.1+5.0.1"),
        "desired": "d",
        "started_at": NOW - timedelta(seconds=30),
    }
    return Journal(**(fields | changes))


def memory(tags: Mapping[str, str] | None = None, *, age_s: float = 3600, **changes: Any) -> Memory:
    """Tags as first seen, `age_s` ago."""
    first = NOW - timedelta(seconds=age_s)
    seen = {name: TagSeen(commit=commit, first_seen=first) for name, commit in (tags or {}).items()}
    return Memory(**({"app": "notes", "tags": seen} | changes))


def facts(**changes: Any) -> AppFacts:
    """What a pass knows of a live app; a candidate is named by its version."""
    wanted = changes.pop("candidate", None)
    fields: dict[str, Any] = {
        "spec": changes.pop("spec", None) or spec(),
        "known": None,
        "journal": None,
        "memory": memory(),
        "stack": stack(),
        "tags": Tags(annotated={}),
        "choice": versions.Choice(candidate=versions.parse(wanted) if wanted else None),
        "desired": "",
        "running": None,
    }
    return AppFacts(**(fields | changes))


def service(name: str = "app", **changes: Any) -> ServiceObs:
    """A service that carries the bundle."""
    fields: dict[str, Any] = {
        "id": f"id-{name}",
        "name": name,
        "stack": STACK,
        "version_index": 10,
        "labels": {"ci-warm.bundle": BUNDLE, "ci-warm.version": "1.0.0+5.0.0"},
        "image": IMAGE,
        "mode": ServiceMode.REPLICATED,
        "replicas": 1,
        "running": 1,
        "desired": 1,
        "spec_fingerprint": "spec-1",
        "template_fingerprint": "template-2",
    }
    return ServiceObs(**(fields | changes))


def task(state: str = "running", *, of: str = "app", **changes: Any) -> TaskObs:
    """A task of the current spec."""
    fields: dict[str, Any] = {
        "id": f"task-{of}-{state}",
        "service_id": f"id-{of}",
        "state": state,
        "desired_state": "running",
        "template_fingerprint": "template-2",
        "at": NOW,
    }
    return TaskObs(**(fields | changes))


def stack(*parts: ServiceObs | TaskObs | ContainerObs) -> StackObs:
    """One look at the stack."""
    return StackObs(
        services=tuple(part for part in parts if isinstance(part, ServiceObs)),
        tasks=tuple(part for part in parts if isinstance(part, TaskObs)),
        containers=tuple(part for part in parts if isinstance(part, ContainerObs)),
    )


def update(state: str, started_at: str = "2026-11-21T12:00:00Z") -> UpdateObs:
    """An update status."""
    return UpdateObs(state=state, started_at=started_at, message=f"update {state}")


def expected(**changes: Any) -> Expected:
    """What settling waits for of one service that is sent."""
    fields: dict[str, Any] = {
        "bundle": BUNDLE,
        "services": {"app": IMAGE},
        "min_healthy_s": 2,
        "progress_s": 60,
        "deadline_s": 120,
        "pending_s": 10,
        "new_s": 5,
        "max_restarts": 0,
    }
    return Expected(**(fields | changes))
