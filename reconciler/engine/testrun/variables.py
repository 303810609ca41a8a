"""What a run tells of itself: to recipes in `${CI_WARM_...}`, to checks in their environment (docs/runs.md). Pure."""

from reconciler.core.release.interpolate import InterpolationError
from reconciler.core.testrun import spec as testrun_spec
from reconciler.engine.context import Context
from reconciler.engine.testrun.plan import RunPlan
from reconciler.engine.testrun.realms import Lease
from reconciler.model.errors import (
    RecipeError,
)
from reconciler.model.testrun import Run
from reconciler.model.tests import Stage
from reconciler.state.runs import RunHandle


def describe_run(run: Run, lease: Lease | None) -> dict[str, str]:
    """What a run knows of itself before anything is deployed."""
    found = {"CI_WARM_RUN": run.run, "CI_WARM_DOMAIN": run.domain}
    if lease is None:
        return found
    credentials = lease.credentials
    return found | {
        "CI_WARM_REALM": credentials.realm,
        "CI_WARM_ISSUER": credentials.issuer,
        "CI_WARM_CREDENTIALS": lease.file,
        "CI_WARM_CLIENT_ID": credentials.client_id,
    }


def for_deploys(plan: RunPlan, run: Run, lease: Lease | None) -> dict[str, str]:
    """Variables of the test's deploys. The client's secret may go into the app, and into nothing that is shown.

    Raises:
        RecipeError: a value that cannot be read.
    """
    more = {"CI_WARM_CLIENT_SECRET": lease.credentials.client_secret} if lease else {}
    try:
        return testrun_spec.environment(plan.tests, describe_run(run, lease) | more)
    except InterpolationError as exc:
        raise RecipeError(f"tests.env: {exc}") from exc


def for_checks(context: Context, run: Run, handle: RunHandle, known: dict[str, str], stage: Stage) -> dict[str, str]:
    """What checks get to know. `known`: as in `describe_run`."""
    spec, health = context.spec, context.spec.health
    port = "" if health.port is None else f":{health.port}"
    return known | {
        "CI_WARM_STAGE": str(stage),
        "CI_WARM_BASE_URL": f"{health.scheme}://{spec.domain}{port}",
        "CI_WARM_ADDRESS": health.address,
        "CI_WARM_PORT": str(health.probe_port),
        "CI_WARM_STACK": run.stack,
        "CI_WARM_CHECKOUT": str(handle.checkout),
        "CI_WARM_ARTEFACTS": str(handle.artefacts),
        "CI_WARM_CA_FILE": health.ca_file or "",
        "CI_WARM_VERSION": run.head.version,
        "CI_WARM_COMMIT": run.head.commit,
        "CI_WARM_MODE": str(run.mode),
        "CI_WARM_RECIPE": run.app,
    }
