"""What the stages of a run do. Effects: the run's own stack, its scratch snapshots, commands in its containers."""

from collections.abc import Sequence
from pathlib import Path

from reconciler.core.release.compose import ComposeError
from reconciler.core.testrun import backup_labels
from reconciler.engine.change import unjournaled
from reconciler.engine.context import failed
from reconciler.engine.testrun import teardown
from reconciler.engine.testrun.check_runner import time_left
from reconciler.engine.testrun.session import Ended, RunSession, Skip
from reconciler.model.errors import ActError, RecipeError
from reconciler.model.journal import Failure, Step
from reconciler.model.release import Bundle
from reconciler.model.settling import Fault
from reconciler.model.snapshot import SnapshotManifest
from reconciler.model.testrun import SkipCause, StageOutcome
from reconciler.model.tests import Stage

_TRIES = 3
_HOOK_S = 600.0


def install(session: RunSession) -> Ended:
    """From nothing: the base if there is one to upgrade from, else the head."""
    base = session.plan.base.source
    session.report.tell(deploys_expected=1)
    if base is None:
        return session.deployer.deploy(session.plan.head, session.plan.head_extras, head=True)
    ended = session.deployer.deploy(base, session.plan.base_extras, head=False)
    if not isinstance(ended, Failure) or ended.fault is not Fault.APP:
        return ended
    # What does not deploy any more says nothing about the head, which is installed in its place.
    session.report.note(f"the base does not deploy: {base.version}: {ended.reason}")
    patience = teardown.own_patience(session.environment.settings.runs)
    left = teardown.remove_stack(session.ports, session.report.run, session.environment.specs, patience)
    if left:
        return failed(Step.UNDEPLOY, "the broken base could not be removed", *left, host=True)
    # The broken base's deploy is no deploy of the head's: counted, it would make the run red.
    session.deployer.start_over()
    session.report.tell(
        base=None, base_reason=session.report.mask(f"the base does not deploy: {base.version}: {ended.reason}")[:300]
    )
    return session.deployer.deploy(session.plan.head, session.plan.head_extras, head=True)


def upgrade(session: RunSession) -> Ended:
    """In place, to the head."""
    if session.report.run.base is None:
        return Skip(
            reason=session.report.run.base_reason,
            cause=SkipCause.BROKEN_BASE if session.deployer.base_broken else SkipCause.NONE,
        )
    return session.deployer.deploy(session.plan.head, session.plan.head_extras, head=True)


def custom(session: RunSession) -> Ended:
    """Only the checks, which follow every stage."""
    if not any(check.stage is Stage.CUSTOM for check in session.plan.tests.checks):
        return Skip(reason="no custom checks")
    return None


def _read_backup_plan(session: RunSession) -> backup_labels.BackupPlan | None:
    bundle = _require_standing(session)
    try:
        return backup_labels.read_plan(bundle.doc, bundle.volumes)
    except ComposeError as exc:
        raise RecipeError(str(exc)) from exc


NO_BACKUP = Skip(reason="the recipe declares no backup (label backupbot.backup)")


def backup(session: RunSession) -> Ended:
    """Plant data with the stage's checks, then do what the recipe's labels say; an empty backup is none."""
    wanted = _read_backup_plan(session)
    if wanted is None:
        return NO_BACKUP
    planted = session.checks.judge(Stage.BACKUP)
    if planted is not None:
        return planted
    for attempt in range(1, _TRIES + 1):
        ended = _back_up(session, wanted)
        if ended is None:
            if attempt > 1:
                session.report.note(f"backup: went well at try {attempt}")
            return None
    return ended


def _back_up(session: RunSession, wanted: backup_labels.BackupPlan) -> Failure | None:
    """One try. What was done before is undone after, however the try ends: a database may stand still meanwhile."""
    failure = _run_hooks(session, wanted.before, "pre-hook")
    total = 0
    if failure is None:
        try:
            total = _archive(session, wanted)
            for name, paths in wanted.parts.items():
                total += session.ports.node.files.take(
                    _find_data(session, name), paths, _make_parts_folder(session, name, fresh=True)
                )
        except ActError as exc:
            failure = failed(Step.SNAPSHOT, f"backup of {session.context.stack}: {exc}")
    # After a failure as well: what the hook before it stopped must go on before the next try stops it again.
    undone = _run_hooks(session, wanted.after, "post-hook")
    failure = failure or undone
    if failure is not None:
        return failure
    # A label with a typing error backs up nothing and succeeds at it; that would only show when data is lost.
    return None if total else failed(Step.SNAPSHOT, "the backup holds not one byte")


def _find_data(session: RunSession, name: str) -> Path:
    """Where a volume's data lies.

    Raises:
        ActError: it is gone, or not where we can reach it.
    """
    found = session.ports.engine.observe_volumes([name])
    if name not in found:
        raise ActError(f"volume {name} is gone")
    if not found[name].restorable:
        raise ActError(f"volume {name} (driver {found[name].driver}) cannot be reached from here")
    return Path(found[name].path)


def _archive(session: RunSession, wanted: backup_labels.BackupPlan) -> int:
    """Whole volumes, of the running app: what changes while it is read fails the try."""
    ports, bundle = session.ports, _require_standing(session)
    volumes = ports.engine.observe_volumes(wanted.whole)
    manifest = SnapshotManifest(
        id=f"{session.report.run.run}-backup",
        app=session.context.app,
        stack=session.context.stack,
        version=bundle.version,
        commit=bundle.commit,
        images=bundle.images,
        node="",
        created_at=ports.clock.now(),
        op_id=session.report.run.run,
        volumes=(),
    )
    done = session.ports.node.snapshots.create(
        manifest, [volumes[name] for name in sorted(volumes)], before_exchange=lambda: None
    )
    return sum(volume.data_bytes for volume in done.volumes)


def restore(session: RunSession) -> Ended:
    """Lose everything that was backed up, bring it back from the backup alone, and have the app answer again."""
    wanted = _read_backup_plan(session)
    if wanted is None:
        return NO_BACKUP
    if not any(
        stage.stage is Stage.BACKUP and stage.result is StageOutcome.PASSED for stage in session.report.run.stages
    ):
        return Skip(reason="there is no backup of this run")
    ports, bundle = session.ports, _require_standing(session)
    # This undeploy and deploy are ours: they must not count as an app that restarted on its own.
    session.report.tell(deploys_expected=session.report.run.deploys_expected + 1)
    failure = unjournaled.undeploy(session.context, bundle)
    if failure is not None:
        return failure
    volumes = ports.engine.observe_volumes([*wanted.whole, *wanted.parts])
    op_id = f"{session.report.run.run}-restore"
    app = session.context.app
    chosen = [volumes[name] for name in sorted(volumes)]
    # The run's own data, which is lost here on purpose: where there is no room to keep it, it goes at once.
    for text in session.ports.node.snapshots.restore(app, chosen, op_id, give_up=session.report.note):
        session.report.note(text)
    failure = unjournaled.deploy(session.context, bundle)
    if failure is not None:
        return failure
    return _give_back(session, wanted, bundle)


def _give_back(session: RunSession, wanted: backup_labels.BackupPlan, bundle: Bundle) -> Failure | None:
    failure = _run_hooks(session, wanted.restore_before, "restore.pre-hook")
    if failure is not None:
        return failure
    for name, paths in wanted.parts.items():
        session.ports.node.files.give(_find_data(session, name), paths, _make_parts_folder(session, name, fresh=False))
    return _run_hooks(session, wanted.restore_after, "restore.post-hook") or unjournaled.verify(session.context, bundle)


def _run_hooks(session: RunSession, hooks: Sequence[backup_labels.Hook], name: str) -> Failure | None:
    """Run them in order; the first that fails ends it."""
    try:
        return next(filter(None, (_run_hook(session, hook, name) for hook in hooks)), None)
    except ActError as exc:
        return failed(Step.SNAPSHOT, f"{name}: {exc}", host=exc.host_fault)


def _run_hook(session: RunSession, hook: backup_labels.Hook, name: str) -> Failure | None:
    patience = min(_HOOK_S, time_left(session.context))
    said = session.ports.node.containers.execute(session.context.stack, hook.service, hook.argv, patience)
    if said.code == 0:
        return None
    return failed(Step.SNAPSHOT, f"{name} of service {hook.service} ended with {said.code}", said.output)


def _make_parts_folder(session: RunSession, volume: str, *, fresh: bool) -> Path:
    """Where the single paths of a volume lie; of the newest try."""
    base = session.handle.work / "backup"
    tries = len(list(base.glob(f"{volume}.*")))
    # A folder per try: what a failed try left half written must not be taken for the backup.
    folder = base / f"{volume}.{tries + fresh}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _require_standing(session: RunSession) -> Bundle:
    if session.deployer.standing is None:
        raise AssertionError("a stage after install without anything installed")
    return session.deployer.standing
