"""One pass over all apps, in `after` order. Effects: fetches, one look, each app's pass, `status.json`."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from reconciler.core.change import room
from reconciler.core.conditions import EngineUnknown, StateDiskFull
from reconciler.engine.context import Context
from reconciler.engine.host.one_app import check, reconcile
from reconciler.engine.live.report import Report, report_unknown
from reconciler.engine.ports import Ports
from reconciler.model.app import AppSpec
from reconciler.model.errors import ObserveError, RecipeError
from reconciler.model.ids import HOST, AppName
from reconciler.model.observed import World
from reconciler.model.published import StatusReport
from reconciler.model.settings import Settings


def run(
    ports: Ports,
    settings: Settings,
    specs: Sequence[AppSpec],
    *,
    actor: str = "reconcile",
    only: Iterable[str] = (),
    fetched: Mapping[str, str] | None = None,
) -> list[Report]:
    """Bring every app one safe step nearer to its spec.

    Apps are checked side by side; what is to be done is done one after the other, in `after` order, and a rollback
    stops the train. `only`: names of the apps to treat; none = all. `fetched`: recipes were fetched before, with these
    problems by URL, or local tags decide; None: they are fetched first.

    Raises:
        Interrupted: asked to stop between two steps.
    """
    began = ports.clock.monotonic()
    _keep_reserve(ports)
    wanted = set(only)
    chosen = [spec for spec in specs if not wanted or spec.name in wanted]
    contexts = [Context(ports=ports, settings=settings, spec=spec, actor=actor) for spec in chosen]
    world = _look(ports)
    if isinstance(world, ObserveError):
        reports = [report_unknown(context, world) for context in contexts]
        _publish(ports, reports, "unknown", began)
        return reports
    problems = fetched
    if problems is None:
        problems = fetch_all(ports, [spec.recipe.url for spec in chosen])
    quiet = _check_all(contexts, world, problems, settings.daemon.checks)
    reports = []
    train: str | None = None
    for context in contexts:
        report = quiet.get(context.app)
        if report is None:
            report = reconcile(context, fetch_problem=problems.get(context.spec.recipe.url), train=train)
        reports.append(report)
        ports.clock.wait(0)
        train = context.app if report.outcome.stops_train and train is None else train
    _publish(ports, reports, world.engine, began, partial=bool(wanted))
    return reports


def _keep_reserve(ports: Ports) -> None:
    """Keep room for our own records; a disk that has none for them is told while there still is some."""
    root, kept = str(ports.store.root), ports.store.fill_reserve()
    if not kept.missing:
        ports.alerts.resolve(HOST, [], reason=StateDiskFull.REASON)
        return
    figures = f"for our own records {room.describe(2 * kept.missing, kept.free, root)}"
    ports.alerts.raise_(StateDiskFull(root=root).alert(ports.clock.now(), [figures]))


def _check_all(
    contexts: Sequence[Context], world: World, problems: Mapping[str, str], workers: int
) -> dict[AppName, Report]:
    """Report on every app that needs nothing; those that are probed, which may take long, side by side."""

    def one(context: Context) -> Report | None:
        context.ports.clock.wait(0)
        return check(context, world, fetch_problem=problems.get(context.spec.recipe.url))

    probed = [any(service.desired for service in world.stack(context.stack).services) for context in contexts]
    slow = [context for context, is_probed in zip(contexts, probed, strict=True) if is_probed]
    found = [(context, one(context)) for context, is_probed in zip(contexts, probed, strict=True) if not is_probed]
    with ThreadPoolExecutor(max_workers=max(1, min(workers, len(slow)))) as pool:
        found += zip(slow, pool.map(one, slow), strict=True)
    return {context.app: report for context, report in found if report is not None}


def _look(ports: Ports) -> World | ObserveError:
    try:
        world = ports.engine.look()
    except ObserveError as exc:
        ports.alerts.raise_(EngineUnknown().alert(ports.clock.now(), [str(exc)]))
        return exc
    ports.alerts.resolve(HOST, [], reason=EngineUnknown.REASON)
    return world


def fetch_all(ports: Ports, urls: Sequence[str]) -> dict[str, str]:
    """Fetch each distinct recipe once, side by side; what failed, by URL."""
    distinct = list(dict.fromkeys(urls))
    if not distinct:
        return {}
    with ThreadPoolExecutor(max_workers=min(4, len(distinct))) as pool:
        answers = pool.map(lambda url: _fetch(ports, url), distinct)
        return {url: problem for url, problem in zip(distinct, answers, strict=True) if problem is not None}


def _fetch(ports: Ports, url: str) -> str | None:
    try:
        ports.recipes.fetch(url)
    except RecipeError as exc:
        return str(exc)
    return None


def _publish(ports: Ports, reports: Sequence[Report], engine: str, began: float, *, partial: bool = False) -> None:
    """Write `status.json`; a pass over some apps keeps the others' last entries."""
    entries = {report.status.app: report.status for report in reports}
    before = ports.store.status() if partial else None
    kept = tuple(entry for entry in before.apps if entry.app not in entries) if before else ()
    ports.store.put_status(
        StatusReport(
            at=ports.clock.now(),
            elapsed_seconds=round(ports.clock.monotonic() - began, 3),
            engine=engine,
            apps=tuple(sorted((*kept, *entries.values()), key=lambda entry: entry.app)),
        )
    )
