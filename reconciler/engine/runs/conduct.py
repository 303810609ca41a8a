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

import structlog

from reconciler.core import level, redact, runtext, trialspec
from reconciler.engine import realms
from reconciler.engine.context import Context
from reconciler.engine.report import RUN_LOST
from reconciler.engine.runs import course as courses
from reconciler.engine.runs import teardown
from reconciler.engine.runs.course import Course
from reconciler.engine.runs.plans import Plan
from reconciler.engine.runs.site import Limited, Site
from reconciler.model.errors import DeadlineError, Interrupted, RecipeError, ReconcilerError
from reconciler.model.runs import Mode, Result, Run
from reconciler.model.spec import AppSpec
from reconciler.ports import Ports
from reconciler.ports.realms import Credentials
from reconciler.ports.runs import RunFolder

log = structlog.get_logger("ci-warm")
_NO_BASE = "the upgrade could not be tried; --base or tests.base can name another start"
Clean = Callable[[Course], Sequence[str]]
"""Removes what a run made, with ports that do not stop; gives what is left, by name."""


def run(site: Site, plan: Plan, play: Callable[[Course], None], clean: Clean, after: Callable[[Course], None]) -> Run:
    """Conduct one run; `after` comes once its stack is gone, if the run is green.

    Raises:
        Interrupted: asked to stop; everything of the run was removed first. Its text is the run's result line.
        ReconcilerError, OSError: there is not even a report.
    """
    request = plan.request
    name = trialspec.run_name(request.spec.name, secrets.token_hex(3))
    folder = site.desk.open(name, f"ci-warm {request.mode} {request.spec.name}")
    began = site.ports.clock.monotonic()
    begun: list[Course] = []
    try:
        opened = _opened(site, plan, name)
        folder.write(opened)
        site.ports.alerts.resolve(request.spec.app, [], reason=RUN_LOST)
        site.ports.effect("run:opened")
        if plan.problem:
            raise RecipeError(plan.problem)
        site.refs.checkout(request.spec.recipe.url, plan.head.commit, folder.checkout)
        with _realm(site, plan, opened) as (credentials, file, gone):
            course = _course(site, plan, opened, folder, credentials, file)
            begun.append(course)
            stopped = _play(course, play, clean, after, began)
        course.change(notes=(*course.run.notes, *gone))
        done = _closed(course, folder, began)
    except (ReconcilerError, OSError) as exc:
        if begun:
            # Whatever of it may still be there, its report says so, and the reaper reads it.
            return _closed(begun[0], folder, began, f"{type(exc).__name__}: {exc}")
        return _never_begun(site, folder, name, began, exc)
    finally:
        folder.close()
    if stopped is not None:
        raise Interrupted(runtext.result_line(done)) from stopped
    return done


def _opened(site: Site, plan: Plan, name: str) -> Run:
    request = plan.request
    spec = request.spec if request.mode is Mode.QUICK else trialspec.for_run(request.spec, name, site.suffix, {})
    return Run(
        run=name, mode=request.mode, confidence=_confidence(plan),
        app=request.spec.name,
        recipe=redact.Redactor().mask(request.spec.recipe.url), stack=spec.stack_name,
        domain=spec.domain, asked=plan.stages, head=plan.head,
        base=plan.base.source, base_reason=plan.base.reason, actor=request.actor, started_at=site.ports.clock.now(),
        notes=plan.notes,
    )  # fmt: skip


def _confidence(plan: Plan) -> Literal["full", "lower"]:
    """How much a green one says."""
    whole = plan.request.mode is Mode.COLD and set(plan.stages) >= set(plan.trial.stages)
    return "full" if whole else "lower"


@contextmanager
def _realm(site: Site, plan: Plan, run: Run) -> Iterator[tuple[Credentials | None, str, list[str]]]:
    """A realm of the run's own if it needs one. A deletion that fails is the reaper's; it costs no verdict."""
    gone: list[str] = []
    if "keycloak" not in plan.trial.needs:
        yield None, "", gone
        return
    held = ExitStack()
    made = held.enter_context(realms.lease(site.keeper(), plan.request.spec.name))
    realm = made.credentials.realm
    site.ports.progress(run.run, f"using the live Keycloak: realm {realm}")
    try:
        yield made.credentials, made.file, gone
    finally:
        try:
            held.close()
            site.ports.progress(run.run, f"deleted realm {realm}")
        except (ReconcilerError, OSError) as exc:
            gone.append(f"realm {realm} could not be deleted now, the reaper will: {exc}")


def _course(site: Site, plan: Plan, run: Run, folder: RunFolder, credentials: Credentials | None, file: str) -> Course:
    if site.settings.runs.user:
        file = folder.hand_over(site.settings.runs.user, file)
    env = courses.surroundings(plan, run, credentials, file)
    context = Context(
        ports=_private(site.ports, folder, run, plan.trial.deadline), settings=site.settings,
        spec=_spec(site, plan, run, env), actor=f"run {run.run}",
    )  # fmt: skip
    if credentials is not None:
        run = run.model_copy(update={"realm": credentials.realm})
    return Course(
        site=site, plan=plan, folder=folder, context=context, run=run, credentials=credentials, credentials_file=file
    )


def _spec(site: Site, plan: Plan, run: Run, env: dict[str, str]) -> AppSpec:
    if run.mode is Mode.QUICK:
        return trialspec.for_canonical(plan.request.spec, env)
    return trialspec.for_run(plan.request.spec, run.run, site.suffix, env)


def _private(ports: Ports, folder: RunFolder, run: Run, deadline_s: float) -> Ports:
    """A cold run has records of its own, gone with it; a quick one works on its canonical's snapshot."""
    own = replace(ports, store=folder.store, clock=Limited.of(ports.clock, deadline_s))
    return own if run.mode is Mode.QUICK else replace(own, snapshots=folder.snapshots)


def _play(
    course: Course, play: Callable[[Course], None], clean: Clean, after: Callable[[Course], None], began: float
) -> Interrupted | None:
    """Play it, take it down, then what comes after; a request to stop is given back when everything is tidy."""
    stopped: Interrupted | None = None
    try:
        play(course)
        result = level.result(course.run.stages, course.deploys, course.run.deploys_expected)
        course.tell(result=result, promotion=_NO_BASE if result is Result.PARTIAL else course.run.promotion)
    except DeadlineError as exc:
        course.change(result=Result.RED, notes=(*course.run.notes, str(exc)))
    except Interrupted as exc:
        stopped = exc
        course.change(result=Result.ABORTED)
    except RecipeError as exc:
        course.change(result=Result.RED, notes=(*course.run.notes, course.masked(str(exc))))
    except (ReconcilerError, OSError) as exc:
        course.change(result=Result.ERROR, notes=(*course.run.notes, course.masked(str(exc))))
    finally:
        _taken_down(course, clean, began)
    if course.run.result is Result.GREEN and stopped is None:
        try:
            after(course)
        except Interrupted as exc:
            stopped = exc
            course.change(promotion="asked to stop")
        except (ReconcilerError, OSError) as exc:
            # The verdict on the recipe stands; what should have followed did not come about.
            course.change(promotion=course.masked(str(exc)))
    return stopped


def _taken_down(course: Course, clean: Clean, began: float) -> None:
    site, run = course.site, course.run
    now = site.ports.clock.now()
    spent = round(site.ports.clock.monotonic() - began, 3)
    result = Result.DIED if run.result is Result.RUNNING else run.result
    course.run = run.model_copy(update={"result": result, "finished_at": now, "elapsed_seconds": spent})
    if course.plan.request.keep_on_failure and run.mode is Mode.COLD and result in (Result.RED, Result.ERROR):
        until = now + timedelta(seconds=site.settings.runs.keep_failed)
        course.run = course.run.model_copy(update={"kept_until": until})
        return
    try:
        course.folder.publish()
    except OSError as exc:
        course.change(notes=(*course.run.notes, f"artefacts could not be published: {exc}"))
    site.ports.progress(run.run, "teardown")
    try:
        left = tuple(clean(course))
    except Exception as exc:  # noqa: BLE001 - whatever it was, the report must say that something may be left
        left = (f"unknown: {course.masked(f'{type(exc).__name__}: {exc}')}",)
    course.run = course.run.model_copy(update={"leftovers": left, "torn_down": not left})


def _closed(course: Course, folder: RunFolder, began: float, problem: str = "") -> Run:
    """Write the last word. `problem`: what went wrong after the stages, which changes no verdict."""
    site = course.site
    spent = round(site.ports.clock.monotonic() - began, 3)
    course.change(elapsed_seconds=spent, finished_at=site.ports.clock.now())
    if problem:
        course.change(notes=(*course.run.notes, course.masked(problem)))
    done = teardown.finish(folder, course.run)
    try:
        site.ports.history.append(runtext.history_line(done))
    except OSError as exc:
        log.error("history", run=done.run, error=str(exc))
    return done


def _never_begun(site: Site, folder: RunFolder, name: str, began: float, exc: Exception) -> Run:
    """It did not come to its first stage: nothing of it exists but its folder."""
    report = site.desk.report(name)
    if report is None:
        raise exc
    spent = round(site.ports.clock.monotonic() - began, 3)
    result = Result.RED if isinstance(exc, RecipeError) else Result.ERROR
    result = Result.ABORTED if isinstance(exc, Interrupted) else result
    note = redact.Redactor().mask(str(exc))
    run = report.model_copy(
        update={
            "result": result, "finished_at": site.ports.clock.now(), "elapsed_seconds": spent, "torn_down": True,
            "notes": (*report.notes, note),
        }
    )  # fmt: skip
    done = teardown.finish(folder, run)
    site.ports.history.append(runtext.history_line(done))
    if isinstance(exc, Interrupted):
        raise Interrupted(runtext.result_line(done)) from exc
    return done
