"""One run under way: its report, stage by stage, and what stages share. Effects: the report, checks, deploys."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from reconciler.core import redact
from reconciler.core.release import render
from reconciler.core.release.interpolate import InterpolationError
from reconciler.core.testrun import base, chaos_label, level
from reconciler.core.testrun import spec as testrun_spec
from reconciler.engine.change import unjournaled
from reconciler.engine.clocks import LimitedClock
from reconciler.engine.context import Context, failed
from reconciler.engine.release import build
from reconciler.engine.release.render import Extras
from reconciler.engine.testrun.environment import RunEnvironment
from reconciler.engine.testrun.plan import RunPlan
from reconciler.model.errors import (
    ActError,
    DeadlineError,
    Interrupted,
    ObserveError,
    RecipeError,
    ReconcilerError,
    StateError,
)
from reconciler.model.journal import Failure, Step
from reconciler.model.realm import Credentials
from reconciler.model.release import Bundle
from reconciler.model.testrun import CheckResult, Run, Source, StageResult
from reconciler.model.tests import Stage
from reconciler.ports.checks import CheckJob
from reconciler.state.runs import RunHandle


@dataclass(frozen=True, kw_only=True)
class Skip:
    """A stage that is left out, and everybody may know why."""

    reason: str
    cause: Literal["", "broken-base"] = ""


_LINES, _SHOWN = 200, 300
Ended = Failure | Skip | None
"""How a stage's work ended; None: well."""


@dataclass(kw_only=True)
class RunSession:
    """Changes as the run goes on; `run` is what the report says now."""

    site: RunEnvironment
    plan: RunPlan
    folder: RunHandle
    context: Context
    run: Run
    credentials: Credentials | None = None
    credentials_file: str = ""
    standing: Bundle | None = None
    deploys: int = 0
    ids: Mapping[str, str] = field(default_factory=dict)
    base_broken: bool = False
    checks: list[CheckResult] = field(default_factory=list)

    def change(self, **updates: object) -> None:
        """Change what the report will say when it is written next."""
        self.run = self.run.model_copy(update=updates)

    def tell(self, **updates: object) -> None:
        """Bring the report up to date, on disk too."""
        self.change(**updates)
        self.folder.write(self.run)

    def masked(self, text: str) -> str:
        """Text as it may be shown."""
        return redact.Redactor(self.secrets()).mask(text)

    def note(self, text: str) -> None:
        """Something worth telling beside the result."""
        text = self.masked(text)
        self.site.ports.progress(self.run.run, text)
        self.tell(notes=(*self.run.notes, text))

    def stage(self, stage: Stage, work: Callable[[], Ended]) -> None:
        """Do a stage if it was asked for and nothing before it failed."""
        broken = next((s.stage for s in self.run.stages if s.result in ("failed", "error")), None)
        if stage not in self.run.asked or broken is not None:
            reason, cause = (f"after {broken}", "earlier-stage") if broken else ("not asked for", "")
            found = {"stage": stage, "result": "not-run", "reason": reason, "cause": cause}
            self._add(StageResult.model_validate(found))
            return
        self.site.ports.progress(self.run.run, f"stage {stage}")
        began = self.site.ports.clock.monotonic()
        self.checks = []
        try:
            ended = self._guarded(stage, work)
        except (DeadlineError, Interrupted) as exc:
            self._finish(stage, failed(Step.VERIFY, str(exc)), began)
            raise
        self._finish(stage, ended, began)

    def _guarded(self, stage: Stage, work: Callable[[], Ended]) -> Ended:
        try:
            ended = work()
            # A backup's checks plant the data, so they come before it.
            return ended if ended is not None or stage is Stage.BACKUP else self.judge(stage)
        except RecipeError as exc:
            return failed(Step.DEPLOY, str(exc))
        except (ActError, ObserveError, StateError, OSError) as exc:
            return failed(Step.DEPLOY, str(exc), host=not isinstance(exc, ActError) or exc.host_fault)

    def _finish(self, stage: Stage, ended: Ended, began: float) -> None:
        spent = round(self.site.ports.clock.monotonic() - began, 3)
        shared = {"stage": stage, "elapsed_seconds": spent, "checks": tuple(self.checks)}
        match ended:
            case Skip(reason=reason, cause=cause):
                found: dict[str, object] = {"result": "skipped", "reason": reason, "cause": cause}
            case Failure():
                evidence = (*(self.masked(text) for text in ended.evidence), *self._last_words(stage))
                found = {
                    "result": "error" if ended.fault == "host" else "failed",
                    "reason": self.masked(ended.reason),
                    "evidence": evidence,
                }
            case None:
                found = {"result": "passed", "reason": self.standing.version if self.standing else ""}
        self._add(StageResult.model_validate({**shared, **found}))

    def _last_words(self, stage: Stage) -> list[str]:
        """Keep what the app's containers said, which go with the stack; gives the last line of each service."""
        try:
            said = self.context.ports.engine.logs(self.context.stack, _LINES)
            for service, text in said.items():
                self.folder.say("containers", f"--- {stage}: {service}\n{self.masked(text)}\n")
        except (ReconcilerError, OSError):
            return []  # they explain a failure; they are none
        lasts = {service: self.masked(text).strip().splitlines()[-1:] for service, text in said.items()}
        return [f"{service} said last: {line[:_SHOWN]}" for service, lines in lasts.items() for line in lines]

    def _add(self, stage: StageResult) -> None:
        stages = (*self.run.stages, stage)
        self.tell(stages=stages, level=level.reached(stages), level_cap=level.cap(stages), deploys=self.deploys)

    def bring(self, source: Source, extras: Extras, *, head: bool, known: Mapping[str, str] | None = None) -> Ended:
        """Render and deploy a commit, in place if something stands; a fault of the host is tried once more."""
        for attempt in (1, 2):
            failure = self._brought(source, extras, head=head, known=known)
            if failure is None:
                return self._seen(source, head=head)
            if failure.fault != "host" or attempt == 2:
                return failure
            self.note(f"the host was at fault at first ({failure.reason}); tried once more")
        return None

    def _brought(
        self, source: Source, extras: Extras, *, head: bool, known: Mapping[str, str] | None
    ) -> Failure | None:
        try:
            bundle = build.bundle(self.context, source, extras, self.run.run, head=head, known=known)
            pins = {*bundle.images.values(), *(self.standing.images.values() if self.standing else ())}
            self.context.ports.engine.protect_images(self.context.app, sorted(pins))
            had = {bundle.asked[name]: pinned for name, pinned in bundle.images.items() if name in bundle.asked}
            url = self.context.spec.recipe.url
            self.site.ports.canonicals.change_greens(url, lambda greens: base.brought(greens, had))
        except RecipeError as exc:
            return failed(Step.DEPLOY, str(exc))
        except (ActError, ObserveError) as exc:
            return failed(Step.DEPLOY, str(exc), host=not isinstance(exc, ActError) or exc.host_fault)
        failure = unjournaled.deploy(self.context, bundle)
        if failure is not None:
            self.count()
        else:
            for name in sorted(set(self.standing.images) - set(bundle.images) if self.standing else ()):
                self.note(f"prune-orphans: removed {name!r}")
            self.standing = bundle
        return failure

    def _seen(self, source: Source, *, head: bool) -> Failure | None:
        """Look at what really stands: whose deploy it is, and whether it is the head."""
        stack = self.context.ports.engine.observe_stack(self.context.stack)
        self.count()
        seen = render.running_version(stack, self.context.stack) or ""
        self.change(**{"version_after" if head else "version_before": seen})
        if not head or self.standing is None:
            return None
        wrong = chaos_label.problems(stack, self.context.stack, self.standing.images, source.commit)
        return failed(Step.SETTLE, "what runs is not the head", *wrong) if wrong else None

    def count(self) -> None:
        """Count deploys from outside, by what the engine shows."""
        stack = self.context.ports.engine.observe_stack(self.context.stack)
        found = {service.name: service.id for service in stack.services}
        self.deploys += chaos_label.is_anew(self.ids, found)
        self.ids = found or self.ids

    def start_over(self) -> None:
        """What stood before is gone and counts for nothing: the base was broken."""
        self.deploys, self.ids, self.base_broken = 0, {}, True

    def judge(self, stage: Stage) -> Failure | None:
        """Run the checks of a stage; the first reason if a required one fails."""
        wanted = [check for check in self.plan.trial.checks if check.stage is stage]
        for check in wanted:
            job = CheckJob(
                check=check,
                folder=self.folder.checkout,
                environment=self.environment(stage),
                log=self.folder.log(stage),
                user=self.site.settings.runs.user,
                output_cap=self.site.settings.runs.check_output,
                secrets=self.secrets(),
                timeout_s=min(check.timeout, self.time_left()),
            )
            self.site.ports.progress(self.run.run, f"check {check.name}")
            self.checks.append(self.site.checks.run(job))
            self.context.ports.clock.wait(0)
        self.count()
        bad = [check for check in self.checks if not check.passed and check.required]
        if not bad:
            return None
        return failed(Step.VERIFY, f"check {bad[0].name}: {bad[0].detail}", *(f"{c.name}: {c.detail}" for c in bad[1:]))

    def time_left(self) -> float:
        """Seconds until the run's deadline."""
        clock = self.context.ports.clock
        return clock.left() if isinstance(clock, LimitedClock) else float("inf")

    def secrets(self) -> list[str]:
        """Values that no log may show."""
        found = redact.secret_values(self.context.spec.env)
        if self.credentials is not None:
            found += [self.credentials.client_secret, self.credentials.password]
        return found

    def environment(self, stage: Stage | None = None) -> dict[str, str]:
        """What checks get to know; documented in docs/runs.md."""
        spec, run = self.context.spec, self.run
        health = spec.health
        found = known(self.run, self.credentials, self.credentials_file)
        port = "" if health.port is None else f":{health.port}"
        return found | {
            "CI_WARM_STAGE": str(stage or ""),
            "CI_WARM_BASE_URL": f"{health.scheme}://{spec.domain}{port}",
            "CI_WARM_ADDRESS": health.address,
            "CI_WARM_PORT": str(health.probe_port),
            "CI_WARM_STACK": run.stack,
            "CI_WARM_CHECKOUT": str(self.folder.checkout),
            "CI_WARM_ARTEFACTS": str(self.folder.artefacts),
            "CI_WARM_CA_FILE": health.ca_file or "",
            "CI_WARM_VERSION": run.head.version,
            "CI_WARM_COMMIT": run.head.commit,
            "CI_WARM_MODE": str(run.mode),
            "CI_WARM_RECIPE": run.app,
        }


def known(run: Run, credentials: Credentials | None, file: str) -> dict[str, str]:
    """What a run knows of itself before anything is deployed; `${CI_WARM_...}` in the metadata's env."""
    found = {"CI_WARM_RUN": run.run, "CI_WARM_DOMAIN": run.domain}
    if credentials is None:
        return found
    return found | {
        "CI_WARM_REALM": credentials.realm,
        "CI_WARM_ISSUER": credentials.issuer,
        "CI_WARM_CREDENTIALS": file,
        "CI_WARM_CLIENT_ID": credentials.client_id,
    }


def surroundings(plan: RunPlan, run: Run, credentials: Credentials | None, file: str) -> dict[str, str]:
    """Variables of the test's deploys. The client's secret may go into the app, and into nothing that is shown.

    Raises:
        RecipeError: a value that cannot be read.
    """
    more = {"CI_WARM_CLIENT_SECRET": credentials.client_secret} if credentials else {}
    try:
        return testrun_spec.environment(plan.trial, known(run, credentials, file) | more)
    except InterpolationError as exc:
        raise RecipeError(f"tests.env: {exc}") from exc
