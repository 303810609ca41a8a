"""Whether a run may become the canonical, and what a promotion that was interrupted comes to. Pure."""

from collections.abc import Collection, Sequence
from enum import StrEnum

from reconciler.model.app import AppSpec, Kind
from reconciler.model.canonical import Promotion
from reconciler.model.snapshot import SnapshotManifest
from reconciler.model.testrun import Run, RunMode, RunResult, Source, StageOutcome
from reconciler.model.tests import Stage


def find_unexplained(volumes: Sequence[str], live: str | None) -> str | None:
    """Why a first promotion would lose data that is not ours; None: it would not.

    `volumes` are those of the stack once every run that died was cleaned up after; `live` is the version that this name
    had as a live app, whose snapshot lies where the canonical's will.
    """
    if live is not None:
        return f"it was a live app at {live}, and its records and snapshot are there; give the canonical another name"
    if volumes:
        names = ", ".join(volumes)
        return f"no record of ours explains the data in {names}; remove what is not needed, or give another domain"
    return None


def find_refusal(run: Run, spec: AppSpec, latest: Source | None, full: Collection[Stage]) -> str | None:
    """Why this run must not become the canonical; None: it may. `full`: the stages that spec and recipe name."""
    if spec.kind is not Kind.CANONICAL:
        return "the recipe is not enrolled"
    if run.mode is not RunMode.COLD:
        return "a quick run never promotes"
    if run.result is not RunResult.GREEN:
        return f"the run is {run.result}"
    if not set(run.asked) >= set(full):
        return "not all stages were asked for"
    if run.head.kind != "release":
        return f"{run.head.name} is not a release"
    if latest is None or (run.head.version, run.head.commit) != (latest.version, latest.commit):
        return f"{run.head.version} is not the latest release{f', {latest.version} is' if latest else ''}"
    return None


class Leftover(StrEnum):
    """What to do with a promotion that was under way when its run ended."""

    FINISH = "finish"
    FORGET = "forget"


def after_crash(promotion: Promotion, manifest: SnapshotManifest | None) -> Leftover:
    """The exchange of the snapshot decides: if the new one stands, its record follows; else the old pair is whole."""
    wanted = promotion.candidate.snapshot
    if wanted is None:
        return Leftover.FORGET  # without data there is nothing but the one rename
    return Leftover.FINISH if manifest is not None and manifest.id == wanted else Leftover.FORGET


def withdraws(run: Run, stages: Sequence[Stage]) -> bool:
    """Say whether a run takes back that its release was green: with other checks, or on another day, it was.

    Only a stage that failed says so; a run that never came to one, or was cut off, says nothing about the release.
    """
    whole = set(run.asked) >= set(stages) and run.head.kind == "release"
    return run.result is RunResult.RED and whole and any(stage.result is StageOutcome.FAILED for stage in run.stages)
