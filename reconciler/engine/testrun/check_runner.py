"""The commands that judge an app, run after a stage. Effects: processes, their logs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.engine.clocks import LimitedClock
from reconciler.engine.context import Context, failed
from reconciler.engine.testrun.deployer import Deployer
from reconciler.engine.testrun.report import RunReport
from reconciler.model.journal import Failure, Step
from reconciler.model.settings import RunSettings
from reconciler.model.testrun import CheckResult
from reconciler.model.tests import CheckSpec, Stage
from reconciler.ports.checks import CheckJob, Checks


@dataclass(kw_only=True)
class CheckRunner:
    """`results`: of the stage that is under way. `variables`: what checks get to know, by stage."""

    checks: Checks
    wanted: Sequence[CheckSpec]
    settings: RunSettings
    context: Context
    report: RunReport
    deployer: Deployer
    variables: Callable[[Stage], Mapping[str, str]]
    results: list[CheckResult] = field(default_factory=list)

    def judge(self, stage: Stage) -> Failure | None:
        """Run the checks of a stage; the first reason if a required one fails."""
        for check in (check for check in self.wanted if check.stage is stage):
            self.report.progress(self.report.run.run, f"check {check.name}")
            self.results.append(self.checks.run(self._job(check, stage)))
            # Between two checks the deadline and a request to stop are met; a single check has its own
            # timeout.
            self.context.ports.clock.wait(0)
        # A check may have deployed something itself, which must show.
        self.deployer.count()
        bad = [check for check in self.results if not check.passed and check.required]
        if not bad:
            return None
        return failed(Step.VERIFY, f"check {bad[0].name}: {bad[0].detail}", *(f"{c.name}: {c.detail}" for c in bad[1:]))

    def _job(self, check: CheckSpec, stage: Stage) -> CheckJob:
        handle = self.report.handle
        return CheckJob(
            check=check,
            folder=handle.checkout,
            environment=self.variables(stage),
            log=handle.log(stage),
            user=self.settings.user,
            output_cap=self.settings.check_output,
            secrets=self.report.secrets,
            # A check may not outlive the run: its time ends with the run's, whatever its own says.
            timeout_s=min(check.timeout, time_left(self.context)),
        )


def time_left(context: Context) -> float:
    """Seconds until the run's deadline."""
    clock = context.ports.clock
    return clock.left() if isinstance(clock, LimitedClock) else float("inf")
