"""What is: desired, observed and records become a status with reason and evidence. Pure."""

from reconciler.core.change import lost_tasks
from reconciler.core.live import drift
from reconciler.core.release.facts import AppFacts
from reconciler.model.observed import ServiceMode, ServiceObs, StackObs
from reconciler.model.status import Assessment, Status


def assess(facts: AppFacts) -> Assessment:
    """Judge the app. Interrupted work comes first, then the world, then what is desired."""
    detail = facts.answer.detail if facts.answer else ""
    # Before everything else: a change that is half done explains whatever else is seen of the app.
    if facts.journal is not None:
        return Assessment(
            status=Status.INTERRUPTED,
            reason=f"{facts.journal.kind} {facts.journal.target.version} stopped at step {facts.journal.step}",
        )
    if not facts.stack.services:
        return Assessment(status=Status.ABSENT, reason="no service of the stack exists")
    # Never healed and never upgraded without a record: the way back would lead to nothing.
    if facts.known is None:
        return Assessment(
            status=Status.UNMANAGED,
            reason="services run that no record of ours knows",
            evidence=(f"version by label: {facts.running or 'none'}", f"probe: {detail}"),
        )
    # Drift before health: an app that was edited by hand may well be ill because of it.
    drifted = drift.find_drift(facts.known, facts.stack)
    if drifted:
        return Assessment(status=Status.DRIFTED, reason=drifted[0], evidence=drifted)
    lost = lost_tasks.free(facts.stack, facts.taken_ports)
    if lost:
        # Redeploying changes nothing that runs; it is settling that wakes them.
        names = ", ".join(service.name for service in lost)
        reason = f"service {names} waits for a host port that is free: the engine has forgotten it"
        return Assessment(status=Status.DRIFTED, reason=reason, evidence=(reason,))
    down, coming = _down(facts.stack)
    if down is not None and coming:
        return Assessment(status=Status.UNVERIFIED, reason=f"still starting: {down}")
    if down is not None or (facts.answer is not None and not facts.answer.ok):
        return Assessment(
            status=Status.FAILED,
            reason=down or f"the app does not answer as required: {detail}",
            evidence=tuple(text for text in (down, detail) if text),
        )
    if facts.release_moved or facts.settings_moved:
        wanted = facts.candidate.text if facts.candidate else facts.known.release.version
        why = "a newer release" if facts.release_moved else "the settings changed"
        return Assessment(status=Status.OUT_OF_SYNC, reason=f"{why}: {wanted} is wanted")
    return Assessment(status=Status.IN_SYNC, reason=f"{facts.known.release.version} runs and answers")


def _down(stack: StackObs) -> tuple[str | None, bool]:
    """Why the services are not all up, judged by tasks alone (None if they are); and whether some are on the way.

    The order of services says nothing. While one is on its way the others may only be waiting for it.
    """
    short = [found for service in stack.services if (found := _find_shortage(service, stack)) is not None]
    if not short:
        return None, False
    return "; ".join(text for text, _ in short), any(coming for _, coming in short)


def _find_shortage(service: ServiceObs, stack: StackObs) -> tuple[str, bool] | None:
    """What one service lacks, and whether it is on its way; None: nothing."""
    if service.mode.is_job:
        return None
    tasks = stack.tasks_of(service)
    up = sum(1 for task in tasks if task.state == "running" and task.desired_state == "running")
    wanted = service.desired if service.mode is ServiceMode.GLOBAL else service.replicas
    done = service.restart_condition in ("none", "on-failure") and any(task.state == "complete" for task in tasks)
    if up >= wanted or done:
        return None
    errors = [task for task in tasks if task.error]
    last = max(errors, key=lambda task: task.at).error if errors else "no error on record"
    # A task that is new and has no error yet may just be starting; one error makes it a restart loop.
    coming = not errors and any(task.desired_state in ("running", "ready") for task in tasks)
    return f"service {service.name} has {up}/{wanted} tasks running: {last}", coming
