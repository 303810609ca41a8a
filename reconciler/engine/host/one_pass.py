"""One pass over all apps. Effects: fetches, one look, each app's pass, `status.json`.

First every app is checked, side by side. What is due is done then: what heals or goes back side by side, in `after`
order, and only what takes a new release one app after the other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from reconciler.core.change import room
from reconciler.core.conditions import EngineUnknown, StateDiskFull
from reconciler.core.live import turns
from reconciler.engine.context import Context
from reconciler.engine.host import undeclared
from reconciler.engine.host.fetch import fetch_all
from reconciler.engine.host.one_app import Due, check, reconcile
from reconciler.engine.live.report import Report, report_interrupted, report_unknown
from reconciler.engine.ports import Ports
from reconciler.engine.release.facts import note_disturbances
from reconciler.model.app import AppSpec
from reconciler.model.errors import Interrupted, ObserveError, StateError
from reconciler.model.ids import HOST, AppName
from reconciler.model.observed import World
from reconciler.model.published import StatusReport
from reconciler.model.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Checked:
    """Every app looked at: `reports` of those that need nothing or are held, and what is due for the others.

    `contexts`: of the apps with something due, in `after` order. `engine`: what answered; `by`: who looked, and where.
    `problems`: of fetching.
    """

    contexts: tuple[Context, ...]
    reports: tuple[Report, ...]
    due: Mapping[AppName, Due]
    engine: str
    by: str
    problems: Mapping[str, str]
    elapsed_s: float

    def problem(self, context: Context) -> str | None:
        """Why the recipe of an app could not be fetched; None: it was, or was not to be."""
        return self.problems.get(context.spec.recipe.url)


def run(
    ports: Ports,
    settings: Settings,
    specs: Sequence[AppSpec],
    *,
    actor: str = "reconcile",
    only: Iterable[str] = (),
    fetched: Mapping[str, str] | None = None,
) -> list[Report]:
    """Bring every app one safe step nearer to its spec, and wait for it.

    A rollback of an upgrade stops the train: no later upgrade is begun in this pass. `specs`: all that are declared;
    `only`: names of those to treat, none = all. `fetched`: recipes were fetched before, with these problems by URL, or
    local tags decide; None: they are fetched first.

    Raises:
        Interrupted: asked to stop between two steps.
    """
    began = ports.clock.monotonic()
    wanted = frozenset(only)
    chosen = [spec for spec in specs if not wanted or spec.name in wanted]
    checked = check_all(ports, settings, chosen, actor=actor, fetched=fetched)
    reports = {report.status.app: report for report in checked.reports}
    names = {spec.name for spec in specs}
    try:
        for report in _do_what_is_due(checked, settings.daemon.checks):
            reports[report.status.app] = report
    except Interrupted:
        # What was done before the stop is published with it; the rest keeps its last entries.
        reports |= {report.status.app: report for report in report_stopped(checked.contexts)}
        spent = ports.clock.monotonic() - began
        publish(ports, list(reports.values()), checked, spent, keep=names)
        raise
    found = [reports[spec.name] for spec in chosen]
    others = names - reports.keys()
    if not others:
        undeclared.settle_alerts(ports, specs)
    publish(ports, found, checked, ports.clock.monotonic() - began, keep=others)
    return found


def _do_what_is_due(checked: Checked, side_by_side: int) -> Iterator[Report]:
    for wave in turns.arrange(checked.contexts, lambda c: c.app, lambda c: c.spec.after):
        urgent = [context for context in wave if checked.due[context.app] is Due.CARE]
        with ThreadPoolExecutor(max_workers=max(1, min(side_by_side, len(urgent)))) as pool:
            yield from pool.map(lambda c: reconcile(c, fetch_problem=checked.problem(c)), urgent)
    upgrades = [context for context in checked.contexts if checked.due[context.app] is Due.RELEASE]
    yield from take_releases(upgrades, checked.problems)


def report_stopped(contexts: Iterable[Context]) -> list[Report]:
    """Reports of those apps in whose change a stop came: who reads `status` must see that they may be down."""
    found = []
    for context in contexts:
        try:
            journal = context.ports.store.journal(context.app)
        except StateError:
            continue  # the next pass says so
        if journal is not None:
            found.append(report_interrupted(context, journal))
    return found


def take_releases(contexts: Sequence[Context], problems: Mapping[str, str]) -> Iterable[Report]:
    """Take new releases, one app after the other; a rollback stops the train.

    Raises:
        Interrupted: asked to stop between two steps.
    """
    train: str | None = None
    for context in contexts:
        report = reconcile(context, fetch_problem=problems.get(context.spec.recipe.url), train=train)
        train = context.app if report.outcome.stops_train and train is None else train
        yield report
        # A request to stop is met between two apps, where nothing is half done.
        context.ports.clock.wait(0)


def _keep_reserve(ports: Ports) -> None:
    """Keep room for our own records; a disk that has none for them is told while there still is some."""
    root, kept = str(ports.store.root), ports.store.fill_reserve()
    if not kept.missing:
        ports.alerts.resolve(HOST, [], reason=StateDiskFull.REASON)
        return
    figures = f"for our own records {room.describe(2 * kept.missing, kept.free, root)}"
    ports.alerts.raise_(StateDiskFull(root=root).alert(ports.clock.now(), [figures]))


def check_all(
    ports: Ports,
    settings: Settings,
    specs: Sequence[AppSpec],
    *,
    actor: str,
    fetched: Mapping[str, str] | None = None,
) -> Checked:
    """Look once, and at every app; those that are probed, which may take long, side by side.

    Raises:
        Interrupted: asked to stop.
    """
    began = ports.clock.monotonic()
    _keep_reserve(ports)
    contexts = [Context(ports=ports, settings=settings, spec=spec, actor=actor) for spec in specs]
    # One look for all apps: its cost does not grow with their number. What is acted on is looked at anew,
    # under the lock.
    world = _look(ports)
    due: dict[AppName, Due] = {}
    reports: list[Report] = []
    problems: Mapping[str, str] = fetched or {}
    if isinstance(world, ObserveError):
        reports = [report_unknown(context, world) for context in contexts]
    else:
        if fetched is None:
            problems = fetch_all(ports, [spec.recipe.url for spec in specs])
        for context, found in _check_each(contexts, world, problems, settings.daemon.checks):
            if isinstance(found, Due):
                due[context.app] = found
            else:
                reports.append(found)
    return Checked(
        contexts=tuple(context for context in contexts if context.app in due),
        reports=tuple(reports),
        due=due,
        engine="unknown" if isinstance(world, ObserveError) else world.engine,
        by=actor if isinstance(world, ObserveError) else f"{actor} on {world.node_name}",
        problems=problems,
        elapsed_s=ports.clock.monotonic() - began,
    )


def _check_each(
    contexts: Sequence[Context], world: World, problems: Mapping[str, str], workers: int
) -> list[tuple[Context, Report | Due]]:
    def one(context: Context) -> Report | Due:
        context.ports.clock.wait(0)
        return check(context, world, fetch_problem=problems.get(context.spec.recipe.url))

    probed = [any(service.desired for service in world.stack(context.stack).services) for context in contexts]
    # Threads only for those that are probed: the others wait for nothing.
    slow = [context for context, is_probed in zip(contexts, probed, strict=True) if is_probed]
    found = [(context, one(context)) for context, is_probed in zip(contexts, probed, strict=True) if not is_probed]
    with ThreadPoolExecutor(max_workers=max(1, min(workers, len(slow)))) as pool:
        found += zip(slow, pool.map(one, slow), strict=True)
    return found


def _look(ports: Ports) -> World | ObserveError:
    try:
        world = ports.engine.look()
    except ObserveError as exc:
        ports.alerts.raise_(EngineUnknown().alert(ports.clock.now(), [str(exc)]))
        return exc
    ports.alerts.resolve(HOST, [], reason=EngineUnknown.REASON)
    return replace(world, disturbances=note_disturbances(ports, world, remember=True))


def publish(
    ports: Ports, reports: Sequence[Report], checked: Checked | None, elapsed_s: float, *, keep: Iterable[str] = ()
) -> None:
    """Write `status.json`. `keep`: apps that keep their last entry if none of these reports is about them.

    `checked`: what answered, and who asked; None: as it was.
    """
    entries = {report.status.app: report.status for report in reports}
    wanted = frozenset(keep) - entries.keys()
    before = ports.store.status() if wanted or checked is None else None
    kept = tuple(entry for entry in before.apps if entry.app in wanted) if before else ()
    ports.store.put_status(
        StatusReport(
            at=ports.clock.now(),
            elapsed_seconds=round(elapsed_s, 3),
            engine=checked.engine if checked else before.engine if before else "unknown",
            apps=tuple(sorted((*kept, *entries.values()), key=lambda entry: entry.app)),
            by=checked.by if checked else before.by if before else "",
        )
    )
