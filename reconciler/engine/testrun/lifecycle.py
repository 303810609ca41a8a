"""The frame of every run: lock, report, realm, deadline, and a teardown that nothing can stop. Effects: all that.

The report is on disk before anything exists that it names. What comes after it (`play`) may fail in any way: the stack
goes, the realm goes, the report says how it ended.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Literal

from reconciler import logs
from reconciler.core import redact
from reconciler.core.conditions import RunLost
from reconciler.core.testrun import level, summary
from reconciler.core.testrun import spec as testrun_spec
from reconciler.engine.clocks import LimitedClock
from reconciler.engine.context import Context
from reconciler.engine.ports import Ports
from reconciler.engine.testrun import realms, teardown, variables
from reconciler.engine.testrun import session as sessions
from reconciler.engine.testrun.environment import RunEnvironment
from reconciler.engine.testrun.plan import RunPlan
from reconciler.engine.testrun.realms import Lease
from reconciler.engine.testrun.session import RunSession
from reconciler.model.app import AppSpec
from reconciler.model.errors import DeadlineError, Interrupted, RecipeError, ReconcilerError
from reconciler.model.moved import Counted
from reconciler.model.testrun import Run, RunMode, RunResult
from reconciler.state.runs import RunHandle

log = logs.Log()
_NO_BASE = "the upgrade could not be tried; --base or tests.base can name another start"
Clean = Callable[[RunSession], Sequence[str]]
"""Removes what a run made, with ports that do not stop; gives what is left, by name."""


def run(
    environment: RunEnvironment,
    plan: RunPlan,
    play: Callable[[RunSession], None],
    clean: Clean,
    after: Callable[[RunSession], None],
) -> Run:
    """Run one test; `after` comes once its stack is gone, if the run is green.

    Raises:
        Interrupted: asked to stop; everything of the run was removed first. Its text is the run's result line.
        ReconcilerError, OSError: there is not even a report.
    """
    request = plan.request
    name = testrun_spec.run_name(request.spec.name, secrets.token_hex(3))
    handle = environment.runs.open(name, f"ci-warm {request.mode} {request.spec.name}")
    began = environment.ports.clock.monotonic()
    begun: list[RunSession] = []
    try:
        opened = _open_report(environment, plan, name)
        # Before anything exists that it names: a run that is killed from here on can be cleaned up by its
        # report alone.
        handle.write(opened)
        request.begun(opened)
        # The report stands, so this run can no longer be lost in silence.
        environment.ports.alerts.resolve(request.spec.app, [], reason=RunLost.REASON)
        environment.ports.effect("run:opened")
        # Only now, although it was known before: a recipe that cannot be tested has a red report like any
        # other.
        if plan.problem:
            raise RecipeError(plan.problem)
        environment.refs.checkout(request.spec.recipe.url, plan.head.commit, handle.checkout)
        with _lend_realm(environment, plan, opened) as (lease, gone):
            session = _begin_session(environment, plan, opened, handle, lease)
            # A list, because the handlers below must know whether there was a session when the exception
            # came.
            begun.append(session)
            stopped = _play(session, play, clean, after, began)
        # Filled when the realm's block ends, after the session's own end: its notes can only be added here.
        for text in gone:
            session.report.add_note(text)
        done = _close(session, handle, began)
    except (ReconcilerError, OSError) as exc:
        if begun:
            # Whatever of it may still be there, its report says so, and the reaper reads it.
            return _close(begun[0], handle, began, f"{type(exc).__name__}: {exc}")
        return _close_unbegun(environment, handle, name, began, exc)
    finally:
        environment.ports.tell(Counted(app=name, doing="", done=0, of=0, over=True))
        handle.close()
    if stopped is not None:
        raise Interrupted(summary.result_line(done)) from stopped
    return done


def _open_report(environment: RunEnvironment, plan: RunPlan, name: str) -> Run:
    request = plan.request
    spec = (
        request.spec
        if request.mode is RunMode.QUICK
        else testrun_spec.for_run(request.spec, name, environment.suffix, {})
    )
    return Run(
        run=name,
        mode=request.mode,
        confidence=_judge_confidence(plan),
        app=request.spec.name,
        recipe=redact.Redactor().mask(request.spec.recipe.url),
        stack=spec.stack_name,
        domain=spec.domain,
        asked=plan.stages,
        head=plan.head,
        base=plan.base.source,
        base_reason=plan.base.reason,
        actor=request.actor,
        requests=request.requests,
        started_at=environment.ports.clock.now(),
        notes=plan.notes,
    )


def _judge_confidence(plan: RunPlan) -> Literal["full", "lower"]:
    """How much a green one says."""
    whole = plan.request.mode is RunMode.COLD and set(plan.stages) >= set(plan.tests.stages)
    return "full" if whole else "lower"


@contextmanager
def _lend_realm(environment: RunEnvironment, plan: RunPlan, run: Run) -> Iterator[tuple[Lease | None, list[str]]]:
    """A realm of the run's own if it needs one. A deletion that fails is the reaper's; it costs no verdict."""
    gone: list[str] = []
    if "keycloak" not in plan.tests.needs:
        yield None, gone
        return
    # Not a plain `with`: an error of the deletion must become a note, one of the run's own must not.
    held = ExitStack()
    made = held.enter_context(realms.lease(environment.realm_context(), plan.request.spec.name))
    realm = made.credentials.realm
    environment.ports.progress(run.run, f"using the live Keycloak: realm {realm}")
    try:
        yield made, gone
    finally:
        try:
            held.close()
            environment.ports.progress(run.run, f"deleted realm {realm}")
        except (ReconcilerError, OSError) as exc:
            gone.append(f"realm {realm} could not be deleted now, the reaper will: {exc}")


def _begin_session(
    environment: RunEnvironment, plan: RunPlan, run: Run, handle: RunHandle, lease: Lease | None
) -> RunSession:
    user = environment.settings.runs.user
    if user:
        file = handle.hand_over(user, lease.file if lease else "")
        lease = replace(lease, file=file) if lease else None
    env = variables.for_deploys(plan, run, lease)
    context = Context(
        ports=_make_private(environment, handle, run, plan.tests.deadline),
        settings=environment.settings,
        spec=_choose_spec(environment, plan, run, env),
        actor=f"run {run.run}",
    )
    if lease is not None:
        run = run.model_copy(update={"realm": lease.credentials.realm})
    return sessions.begin(environment, plan, context, run, handle, lease)


def _choose_spec(environment: RunEnvironment, plan: RunPlan, run: Run, env: dict[str, str]) -> AppSpec:
    if run.mode is RunMode.QUICK:
        return testrun_spec.for_canonical(plan.request.spec, env)
    return testrun_spec.for_run(plan.request.spec, run.run, environment.suffix, env)


def _make_private(environment: RunEnvironment, handle: RunHandle, run: Run, deadline_s: float) -> Ports:
    """A cold run has records of its own, gone with it; a quick one works on its canonical's snapshot."""
    # This clock is what ends a run at its deadline: whatever of the run waits must wait on it.
    own = replace(environment.ports, store=handle.store, clock=LimitedClock.of(environment.ports.clock, deadline_s))
    return own if run.mode is RunMode.QUICK else replace(own, node=environment.node_at(handle.state))


def _play(
    session: RunSession,
    play: Callable[[RunSession], None],
    clean: Clean,
    after: Callable[[RunSession], None],
    began: float,
) -> Interrupted | None:
    """Play it, take it down, then what comes after; a request to stop is given back when everything is tidy."""
    stopped: Interrupted | None = None
    try:
        play(session)
        result = level.result(session.report.run.stages, session.deployer.deploys, session.report.run.deploys_expected)
        session.report.tell(
            result=result, promotion=_NO_BASE if result is RunResult.PARTIAL else session.report.run.promotion
        )
    except DeadlineError as exc:
        session.report.change(result=RunResult.RED)
        session.report.add_note(str(exc))
    except Interrupted as exc:
        stopped = exc
        session.report.change(result=RunResult.ABORTED)
    except RecipeError as exc:
        session.report.change(result=RunResult.RED)
        session.report.add_note(str(exc))
    except (ReconcilerError, OSError) as exc:
        session.report.change(result=RunResult.ERROR)
        session.report.add_note(str(exc))
    finally:
        # In `finally` and not in the handlers: an exception that has no handler here must not leave a stack
        # behind.
        _take_down(session, clean, began)
    # The run's stack is gone by now, and with it its host ports: promotion deploys on the canonical's own
    # stack.
    if session.report.run.result is RunResult.GREEN and stopped is None:
        try:
            after(session)
        except Interrupted as exc:
            stopped = exc
            session.report.change(promotion="asked to stop")
        except (ReconcilerError, OSError) as exc:
            # The verdict on the recipe stands; what should have followed did not come about.
            session.report.change(promotion=session.report.mask(str(exc)))
    return stopped


def _take_down(session: RunSession, clean: Clean, began: float) -> None:
    environment, run = session.environment, session.report.run
    now = environment.ports.clock.now()
    spent = round(environment.ports.clock.monotonic() - began, 3)
    # Still "running" here means that the exception was of no kind that a run knows.
    result = RunResult.DIED if run.result is RunResult.RUNNING else run.result
    session.report.change(result=result, finished_at=now, elapsed_seconds=spent)
    if session.plan.request.keep_on_failure and run.mode is RunMode.COLD and result in (RunResult.RED, RunResult.ERROR):
        until = now + timedelta(seconds=environment.settings.runs.keep_failed)
        session.report.change(kept_until=until)
        return
    try:
        # Before the teardown, which may take long or fail: operators can read what checks left meanwhile.
        session.handle.publish()
    except OSError as exc:
        session.report.add_note(f"artefacts could not be published: {exc}")
    environment.ports.progress(run.run, "teardown")
    session.tell_done("teardown", len(run.asked))
    try:
        left = tuple(clean(session))
    except Exception as exc:  # noqa: BLE001 - whatever it was, the report must say that something may be left
        left = (f"unknown: {session.report.mask(f'{type(exc).__name__}: {exc}')}",)
    session.report.change(leftovers=left, torn_down=not left)


def _close(session: RunSession, handle: RunHandle, began: float, problem: str = "") -> Run:
    """Write the last word. `problem`: what went wrong after the stages, which changes no verdict."""
    environment = session.environment
    spent = round(environment.ports.clock.monotonic() - began, 3)
    session.report.change(elapsed_seconds=spent, finished_at=environment.ports.clock.now())
    if problem:
        session.report.add_note(problem)
    done = teardown.finish(handle, session.report.run)
    try:
        environment.ports.history.append(summary.history_line(done))
    except OSError as exc:
        log.error("history", run=done.run, error=str(exc))
    return done


def _close_unbegun(environment: RunEnvironment, handle: RunHandle, name: str, began: float, exc: Exception) -> Run:
    """It did not come to its first stage: nothing of it exists but its folder."""
    # Read back from disk: if it could not be written, nothing tells of this run but the error.
    report = environment.runs.report(name)
    if report is None:
        raise exc
    spent = round(environment.ports.clock.monotonic() - began, 3)
    result = RunResult.RED if isinstance(exc, RecipeError) else RunResult.ERROR
    result = RunResult.ABORTED if isinstance(exc, Interrupted) else result
    note = redact.Redactor().mask(str(exc))
    run = report.model_copy(
        update={
            "result": result,
            "finished_at": environment.ports.clock.now(),
            "elapsed_seconds": spent,
            "torn_down": True,
            "notes": (*report.notes, note),
        }
    )
    done = teardown.finish(handle, run)
    environment.ports.history.append(summary.history_line(done))
    if isinstance(exc, Interrupted):
        raise Interrupted(summary.result_line(done)) from exc
    return done
