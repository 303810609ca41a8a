"""What is: desired, observed and records become a status with reason and evidence. Pure."""

from dataclasses import dataclass

from reconciler.core.change import lost_tasks
from reconciler.core.live import drift
from reconciler.core.release import versions
from reconciler.core.release.render import LABEL_VERSION
from reconciler.model.app import AppSpec
from reconciler.model.journal import Journal
from reconciler.model.observed import ServiceMode, StackObs
from reconciler.model.release import KnownGood, Release
from reconciler.model.status import Assessment, Status


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Everything known about one app at the start of its pass. `answer`: the probe, None = nothing to probe.

    `taken_ports`: as in `World`; None: not known.
    """

    spec: AppSpec
    stack: StackObs
    known: KnownGood | None
    journal: Journal | None
    desired: str
    candidate: versions.Version | None
    probe_ok: bool | None = None
    probe_detail: str = ""
    taken_ports: frozenset[int] | None = None


def running_version(stack: StackObs, stack_name: str) -> str | None:
    """The version that runs, by its labels: ours, else the recipe's own; None if none or not one."""
    for label in (LABEL_VERSION, f"coop-cloud.{stack_name}.version"):
        found = {service.labels[label] for service in stack.services if label in service.labels}
        if len(found) == 1:
            return found.pop()
    return None


def wants_probe(stack: StackObs) -> bool:
    """Say whether probing makes sense: something is there."""
    return bool(stack.services)


def status(seen: Seen) -> Assessment:
    """Judge the app. Interrupted work comes first, then the world, then the wish."""
    if seen.journal is not None:
        return Assessment(
            status=Status.INTERRUPTED,
            reason=f"{seen.journal.kind} {seen.journal.target.version} stopped at step {seen.journal.step}",
        )
    if not seen.stack.services:
        return Assessment(status=Status.ABSENT, reason="no service of the stack exists")
    if seen.known is None:
        version = running_version(seen.stack, seen.spec.stack_name)
        return Assessment(
            status=Status.UNMANAGED,
            reason="services run that no record of ours knows",
            evidence=(f"version by label: {version or 'none'}", f"probe: {seen.probe_detail}"),
        )
    drifted = drift.of(seen.known, seen.stack)
    if drifted:
        return Assessment(status=Status.DRIFTED, reason=drifted[0], evidence=drifted)
    lost = lost_tasks.free(seen.stack, seen.taken_ports)
    if lost:
        # Redeploying changes nothing that runs; it is settling that wakes them.
        names = ", ".join(service.name for service in lost)
        reason = f"service {names} waits for a host port that is free: the engine has forgotten it"
        return Assessment(status=Status.DRIFTED, reason=reason, evidence=(reason,))
    down, coming = _down(seen.stack)
    if down is not None and coming:
        return Assessment(status=Status.UNVERIFIED, reason=f"still starting: {down}")
    if down is not None or seen.probe_ok is False:
        return Assessment(
            status=Status.FAILED,
            reason=down or f"the app does not answer as required: {seen.probe_detail}",
            evidence=tuple(text for text in (down, seen.probe_detail) if text),
        )
    if moved(seen.known.release, seen.candidate) or seen.desired != seen.known.desired:
        wanted = seen.candidate.text if seen.candidate else seen.known.release.version
        why = "a newer release" if moved(seen.known.release, seen.candidate) else "the settings changed"
        return Assessment(status=Status.OUT_OF_SYNC, reason=f"{why}: {wanted} is wanted")
    return Assessment(status=Status.IN_SYNC, reason=f"{seen.known.release.version} runs and answers")


def moved(release: Release, candidate: versions.Version | None) -> bool:
    """Say whether the wanted version is another than the one on record."""
    return candidate is not None and candidate.text != release.version


def _down(stack: StackObs) -> tuple[str | None, bool]:
    """Why the services are not all up, judged by tasks alone (None if they are); and whether they are on the way."""
    for service in stack.services:
        if service.mode.is_job:
            continue
        tasks = stack.tasks_of(service)
        up = sum(1 for task in tasks if task.state == "running" and task.desired_state == "running")
        wanted = service.desired if service.mode is ServiceMode.GLOBAL else service.replicas
        done = service.restart_condition in ("none", "on-failure") and any(task.state == "complete" for task in tasks)
        if up < wanted and not done:
            errors = [task for task in tasks if task.error]
            last = max(errors, key=lambda task: task.at).error if errors else "no error on record"
            coming = not errors and any(task.desired_state in ("running", "ready") for task in tasks)
            return f"service {service.name} has {up}/{wanted} tasks running: {last}", coming
    return None, False
