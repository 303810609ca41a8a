"""One pass over all apps, in `after` order. Effects: fetches, one look, each app's pass, `status.json`."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from reconciler.engine.context import Context
from reconciler.engine.reconcile import reconcile
from reconciler.engine.report import Report, unknown
from reconciler.model.errors import ObserveError, RecipeError
from reconciler.model.ids import AppName
from reconciler.model.observed import World
from reconciler.model.records import Alert, Severity, StatusReport
from reconciler.model.settings import Settings
from reconciler.model.spec import AppSpec
from reconciler.ports import Ports

HOST = AppName("host")
"""The name that alerts about the host itself carry instead of an app's."""


def run(
    ports: Ports, settings: Settings, specs: Sequence[AppSpec], *, fetch: bool = True, actor: str = "reconcile",
    only: Iterable[str] = (),
) -> list[Report]:  # fmt: skip
    """Bring every app one safe step nearer to its spec.

    `only`: names of the apps to treat; none = all. One live upgrade at a time; a rollback stops the train.

    Raises:
        Interrupted: asked to stop between two steps.
    """
    began = ports.clock.monotonic()
    wanted = set(only)
    chosen = [spec for spec in specs if not wanted or spec.name in wanted]
    contexts = [Context(ports=ports, settings=settings, spec=spec, actor=actor) for spec in chosen]
    world = _look(ports)
    if isinstance(world, ObserveError):
        reports = [unknown(context, world) for context in contexts]
        _publish(ports, reports, "unknown", began)
        return reports
    problems = fetch_all(ports, [spec.recipe.url for spec in chosen]) if fetch else {}
    reports = []
    train: str | None = None
    for context in contexts:
        if train is not None or (reports and reports[-1].outcome.changed):
            world = _fresh(ports, world)
        report = reconcile(context, world, fetch_problem=problems.get(context.spec.recipe.url), train=train)
        reports.append(report)
        ports.clock.wait(0)
        train = context.app if report.outcome.stops_train and train is None else train
    _publish(ports, reports, world.engine, began, partial=bool(wanted))
    return reports


def _look(ports: Ports) -> World | ObserveError:
    try:
        world = ports.engine.look()
    except ObserveError as exc:
        ports.alerts.raise_(_host_alert(ports, str(exc)))
        return exc
    ports.alerts.resolve(HOST, [])
    return world


def _fresh(ports: Ports, world: World) -> World:
    """Look again after a change; if that fails, the app's own reads will say so."""
    try:
        return ports.engine.look()
    except ObserveError:
        return replace(world)


def _host_alert(ports: Ports, text: str) -> Alert:
    now = ports.clock.now()
    return Alert(
        app=HOST, reason="engine-unknown", severity=Severity.CRITICAL, evidence=(text,),
        clears_when="the engine answers and is a swarm manager", fingerprint=f"{HOST}|engine-unknown", first_at=now,
        last_at=now,
    )  # fmt: skip


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
            at=ports.clock.now(), elapsed_seconds=round(ports.clock.monotonic() - began, 3), engine=engine,
            apps=tuple(sorted((*kept, *entries.values()), key=lambda entry: entry.app)),
        )
    )  # fmt: skip
