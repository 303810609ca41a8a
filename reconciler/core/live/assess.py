"""What is: desired, observed and records become a status with reason and evidence. Pure."""

from datetime import datetime

from reconciler.core.change import disturbances, lost_tasks
from reconciler.core.live import drift, wellness
from reconciler.core.release import placement, versions
from reconciler.core.release.facts import AppFacts
from reconciler.model.release import KnownGood
from reconciler.model.settling import Fault
from reconciler.model.status import Assessment, Status


def assess(facts: AppFacts, now: datetime) -> Assessment:
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
    foreign = _find_foreign(facts, facts.known, detail)
    if foreign is not None:
        return foreign
    # Drift before health: an app that was edited by hand may well be ill because of it.
    drifted = drift.find_drift(facts.known, facts.stack)
    if not drifted and facts.here and facts.spec.stateful:
        drifted = placement.find_loose(facts.stack, facts.here)
    if drifted:
        return Assessment(status=Status.DRIFTED, reason=drifted[0], evidence=drifted)
    lost = lost_tasks.free(facts.stack, facts.taken_ports)
    if lost:
        # Redeploying changes nothing that runs; it is settling that wakes them.
        names = ", ".join(service.name for service in lost)
        reason = f"service {names} waits for a host port that is free: the engine has forgotten it"
        return Assessment(status=Status.DRIFTED, reason=reason, evidence=(reason,))
    unwell = _find_unwell(facts, now)
    if unwell is not None:
        return unwell
    remarks = facts.answer.remarks if facts.answer else ()
    if facts.release_moved or facts.settings_moved:
        wanted = facts.candidate.text if facts.candidate else facts.known.release.version
        reason = f"{_name_move(facts)}: {wanted} is wanted"
        return Assessment(status=Status.OUT_OF_SYNC, reason=reason, evidence=remarks)
    return Assessment(status=Status.IN_SYNC, reason=f"{facts.known.release.version} runs and answers", evidence=remarks)


def _find_foreign(facts: AppFacts, known: KnownGood, detail: str) -> Assessment | None:
    """What runs and is not what is on record. No drift: a hand may have had it change the data of known-good."""
    if facts.runs_another:
        reason = f"{facts.running} runs, known-good is {known.release.version}"
        evidence: tuple[str, ...] = (f"version by label: {facts.running}",)
    else:
        # By its label it may be the release on record all the same.
        evidence = drift.find_foreign_images(known, facts.stack) if facts.spec.stateful else ()
        reason = next(iter(evidence), "")
    if not reason:
        return None
    return Assessment(status=Status.UNMANAGED, reason=reason, evidence=(*evidence, f"probe: {detail}"))


def _name_move(facts: AppFacts) -> str:
    """What is wanted beside what is on record; only a pin may be older."""
    if not facts.release_moved:
        return "the settings changed"
    before = versions.parse(facts.origin or "")
    is_older = before is not None and facts.candidate is not None and facts.candidate < before
    return "an older release" if is_older else "a newer release"


def _find_unwell(facts: AppFacts, now: datetime) -> Assessment | None:
    """Why the app is not well, by the history of its tasks and by its answer; None: it is."""
    detail = facts.answer.detail if facts.answer else ""
    problem = wellness.find_problem(facts, now)
    if problem is not None:
        reason = problem.text if problem.persists else f"still starting: {problem.text}"
        return Assessment(
            status=Status.FAILED if problem.persists else Status.UNVERIFIED,
            reason=reason,
            evidence=tuple(text for text in (problem.text, *problem.evidence, detail) if text),
            fault=problem.fault,
        )
    if facts.answer is None or facts.answer.ok:
        return None
    started = wellness.find_fresh_start(facts, now)
    if started is not None:
        return Assessment(status=Status.UNVERIFIED, reason=f"{started} and does not answer yet: {detail}")
    fault, why = _find_whose_silence(facts, now)
    return Assessment(
        status=Status.FAILED,
        reason=f"the app does not answer as required: {detail}",
        evidence=tuple(text for text in (detail, why) if text),
        fault=fault,
    )


def _find_whose_silence(facts: AppFacts, now: datetime) -> tuple[Fault, str]:
    """Whose fault it is that an app with all its tasks does not answer, with what speaks for the release."""
    if facts.committed_answer is not None and facts.committed_answer.ok:
        text = "it answers as it did when it was committed; the health settings of the spec have changed since"
        return Fault.UNKNOWN, text
    for answer in (facts.answer, facts.committed_answer):
        if answer is not None and not answer.ok and answer.fault is not Fault.APP:
            return answer.fault, f"that could not be asked: {answer.detail}"
    if disturbances.find(facts.stack, now, "") is not None:
        return Fault.HOST, "the engine or a node was disturbed just now"
    halted = [service.name for service in facts.stack.services if wellness.is_halted(service)]
    if halted:
        return Fault.UNKNOWN, f"service {', '.join(halted)} was scaled to 0, which the spec leaves to others"
    restless = wellness.find_restless_neighbour(facts, now)
    if restless is not None:
        return Fault.UNKNOWN, f"app {restless}, which it comes after, is not at rest"
    return Fault.APP, ""
