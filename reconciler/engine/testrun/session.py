"""One run under way: report, deployer and checks on one set of ports, whose clock is the run's. Effects: as those."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from reconciler.core import pace, redact
from reconciler.core.testrun import expected
from reconciler.engine.context import Context, failed
from reconciler.engine.ports import Ports
from reconciler.engine.testrun import variables
from reconciler.engine.testrun.check_runner import CheckRunner
from reconciler.engine.testrun.deployer import Deployer
from reconciler.engine.testrun.environment import RunEnvironment
from reconciler.engine.testrun.plan import RunPlan
from reconciler.engine.testrun.realms import Lease
from reconciler.engine.testrun.report import RunReport
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
from reconciler.model.moved import Counted
from reconciler.model.settling import Fault
from reconciler.model.testrun import Run, SkipCause, StageOutcome, StageResult
from reconciler.model.tests import Stage
from reconciler.state.runs import RunHandle

_LINES, _SHOWN = 200, 300


@dataclass(frozen=True, kw_only=True)
class Skip:
    """A stage that is left out, with the reason that the report gives."""

    reason: str
    cause: SkipCause = SkipCause.NONE


Ended = Failure | Skip | None
"""How a stage's work ended; None: well."""


@dataclass(frozen=True, kw_only=True)
class RunSession:
    """What stages work with. `environment`: the host, whose ports know no deadline; stages use `ports`.

    `like`: an earlier run whose times this one will take, too; None: there is none.
    """

    environment: RunEnvironment
    plan: RunPlan
    context: Context
    report: RunReport
    deployer: Deployer
    checks: CheckRunner
    lease: Lease | None = None
    like: Run | None = None

    @property
    def ports(self) -> Ports:
        """Everything outside, with a clock that ends at the run's deadline."""
        return self.context.ports

    @property
    def handle(self) -> RunHandle:
        """The run's folder."""
        return self.report.handle

    def run_stage(self, stage: Stage, work: Callable[[], Ended]) -> None:
        """Do a stage if it was asked for and nothing before it failed."""
        run = self.report.run
        broken = next((s.stage for s in run.stages if s.result in (StageOutcome.FAILED, StageOutcome.ERROR)), None)
        if stage not in run.asked or broken is not None:
            reason = f"after {broken}" if broken else "not asked for"
            cause = SkipCause.EARLIER_STAGE if broken else SkipCause.NONE
            left_out = StageResult(stage=stage, result=StageOutcome.NOT_RUN, reason=reason, cause=cause)
            self.report.add_stage(left_out, self.deployer.deploys)
            return
        self._tell_stage(stage)
        began = self.ports.clock.monotonic()
        self.checks.results.clear()
        try:
            ended = self._work(stage, work)
        except (DeadlineError, Interrupted) as exc:
            # The stage is on record before the run ends: without it a reader could not tell where the time
            # went.
            self._finish(stage, failed(Step.VERIFY, str(exc)), began)
            raise
        self._finish(stage, ended, began)

    def _tell_stage(self, stage: Stage) -> None:
        run, ports = self.report.run, self.environment.ports
        asked = [one for one in Stage if one in run.asked]
        done = asked.index(stage)
        left = self.tell_done(f"stage {stage}", done)
        parts = [
            f"stage {stage}",
            f"{done + 1} of {len(asked)}",
            f"{pace.describe_span((ports.clock.now() - run.started_at).total_seconds())} so far",
            f"about {pace.describe_span(left)} left" if left is not None else "",
        ]
        self.report.progress(run.run, ", ".join(part for part in parts if part))

    def tell_done(self, doing: str, done: int) -> float | None:
        """Tell how many stages are done; gives the seconds that are left until the run is over, None = not known."""
        run = self.report.run
        asked = [one for one in Stage if one in run.asked]
        left = expected.left_s(self.like, asked[done:])
        amount = Counted(app=run.run, doing=doing, done=done, of=len(asked), left_s=left)
        self.environment.ports.tell(amount)
        return left

    def _work(self, stage: Stage, work: Callable[[], Ended]) -> Ended:
        try:
            ended = work()
            # A backup's checks plant the data, so they come before it.
            return ended if ended is not None or stage is Stage.BACKUP else self.checks.judge(stage)
        except RecipeError as exc:
            return failed(Step.DEPLOY, str(exc))
        except (ActError, ObserveError, StateError, OSError) as exc:
            return failed(Step.DEPLOY, str(exc), host=not isinstance(exc, ActError) or exc.host_fault)

    def _finish(self, stage: Stage, ended: Ended, began: float) -> None:
        spent = round(self.ports.clock.monotonic() - began, 3)
        found = self._describe_end(stage, ended)
        shared = {"elapsed_seconds": spent, "checks": tuple(self.checks.results)}
        self.report.add_stage(found.model_copy(update=shared), self.deployer.deploys)

    def _describe_end(self, stage: Stage, ended: Ended) -> StageResult:
        match ended:
            case Skip(reason=reason, cause=cause):
                return StageResult(stage=stage, result=StageOutcome.SKIPPED, reason=reason, cause=cause)
            case Failure():
                evidence = (*(self.report.mask(text) for text in ended.evidence), *self._keep_last_words(stage))
                outcome = StageOutcome.ERROR if ended.fault is not Fault.APP else StageOutcome.FAILED
                return StageResult(
                    stage=stage, result=outcome, reason=self.report.mask(ended.reason), evidence=evidence
                )
            case None:
                standing = self.deployer.standing
                version = standing.version if standing else ""
                return StageResult(stage=stage, result=StageOutcome.PASSED, reason=version)
            case never:
                assert_never(never)

    def _keep_last_words(self, stage: Stage) -> list[str]:
        """Keep what the app's containers said, which go with the stack; gives the last line of each service."""
        try:
            # Now, because the teardown removes the containers and with them all they said.
            said = self.ports.node.containers.logs(self.context.stack, _LINES)
            for service, text in said.items():
                self.handle.say("containers", f"--- {stage}: {service}\n{self.report.mask(text)}\n")
        except (ReconcilerError, OSError):
            return []  # they explain a failure; they are none
        lasts = {service: self.report.mask(text).strip().splitlines()[-1:] for service, text in said.items()}
        return [f"{service} said last: {line[:_SHOWN]}" for service, lines in lasts.items() for line in lines]


def begin(
    environment: RunEnvironment,
    plan: RunPlan,
    context: Context,
    run: Run,
    handle: RunHandle,
    lease: Lease | None,
) -> RunSession:
    """Put a session together. `lease`: of its realm, if it has one."""
    secrets = redact.secret_values(context.spec.env)
    if lease is not None:
        secrets += [lease.credentials.client_secret, lease.credentials.password]
    report = RunReport(handle=handle, run=run, progress=context.ports.progress, secrets=secrets)
    deployer = Deployer(context=context, report=report)

    def tell_checks(stage: Stage) -> dict[str, str]:
        known = variables.describe_run(report.run, lease)
        return variables.for_checks(context, report.run, handle, known, stage)

    checks = CheckRunner(
        checks=environment.checks,
        wanted=plan.tests.checks,
        settings=environment.settings.runs,
        context=context,
        report=report,
        deployer=deployer,
        variables=tell_checks,
    )
    return RunSession(
        environment=environment,
        plan=plan,
        context=context,
        report=report,
        deployer=deployer,
        checks=checks,
        lease=lease,
        like=expected.choose_like(run, environment.runs.reports()),
    )
