"""What the stages of a run do. Effects: the run's own stack, its scratch snapshots, commands in its containers."""

from collections.abc import Sequence
from pathlib import Path

from reconciler.core.release.compose import ComposeError
from reconciler.core.testrun import backup_labels
from reconciler.engine.change import unjournaled
from reconciler.engine.context import failed
from reconciler.engine.testrun import teardown
from reconciler.engine.testrun.session import Ended, RunSession, Skip
from reconciler.model.errors import ActError, RecipeError
from reconciler.model.ids import AppName
from reconciler.model.journal import Failure, Step
from reconciler.model.release import Bundle
from reconciler.model.snapshot import SnapshotManifest
from reconciler.model.tests import Stage

_TRIES = 3
_HOOK_S = 600.0


def install(course: RunSession) -> Ended:
    """From nothing: the base if there is one to upgrade from, else the head."""
    base = course.plan.base.source
    course.tell(deploys_expected=1)
    if base is None:
        return course.bring(course.plan.head, course.plan.head_extras, head=True)
    ended = course.bring(base, course.plan.base_extras, head=False)
    if not isinstance(ended, Failure) or ended.fault == "host":
        return ended
    # What does not deploy any more says nothing about the head, which is installed in its place.
    course.note(f"the base does not deploy: {base.version}: {ended.reason}")
    left = teardown.stack(course.context.ports, course.run, course.site.specs)
    if left:
        return failed(Step.UNDEPLOY, "the broken base could not be removed", *left, host=True)
    course.start_over()
    course.tell(base=None, base_reason=course.masked(f"the base does not deploy: {base.version}: {ended.reason}")[:300])
    return course.bring(course.plan.head, course.plan.head_extras, head=True)


def upgrade(course: RunSession) -> Ended:
    """In place, to the head."""
    if course.run.base is None:
        return Skip(reason=course.run.base_reason, cause="broken-base" if course.base_broken else "")
    return course.bring(course.plan.head, course.plan.head_extras, head=True)


def custom(course: RunSession) -> Ended:
    """Only the checks, which follow every stage."""
    if not any(check.stage is Stage.CUSTOM for check in course.plan.trial.checks):
        return Skip(reason="no custom checks")
    return None


def _declared(course: RunSession) -> backup_labels.BackupPlan | None:
    bundle = _standing(course)
    try:
        return backup_labels.read_plan(bundle.doc, bundle.volumes)
    except ComposeError as exc:
        raise RecipeError(str(exc)) from exc


NO_BACKUP = Skip(reason="the recipe declares no backup (label backupbot.backup)")


def backup(course: RunSession) -> Ended:
    """Plant data with the stage's checks, then do what the recipe's labels say; an empty backup is none."""
    wanted = _declared(course)
    if wanted is None:
        return NO_BACKUP
    planted = course.judge(Stage.BACKUP)
    if planted is not None:
        return planted
    for attempt in range(1, _TRIES + 1):
        ended = _backed_up(course, wanted)
        if ended is None:
            if attempt > 1:
                course.note(f"backup: went well at try {attempt}")
            return None
    return ended


def _backed_up(course: RunSession, wanted: backup_labels.BackupPlan) -> Failure | None:
    """One try. What was done before is undone after, however the try ends: a database may stand still meanwhile."""
    failure = _hooks(course, wanted.before, "pre-hook")
    total = 0
    if failure is None:
        try:
            total = _archive(course, wanted)
            for name, paths in wanted.parts.items():
                total += course.site.backups.take(_data(course, name), paths, _parts(course, name, fresh=True))
        except ActError as exc:
            failure = failed(Step.SNAPSHOT, f"backup of {course.context.stack}: {exc}")
    failure = failure or _hooks(course, wanted.after, "post-hook")
    if failure is not None:
        return failure
    return None if total else failed(Step.SNAPSHOT, "the backup holds not one byte")


def _data(course: RunSession, name: str) -> Path:
    """Where a volume's data lies.

    Raises:
        ActError: it is gone, or not where we can reach it.
    """
    found = course.context.ports.engine.observe_volumes([name])
    if name not in found:
        raise ActError(f"volume {name} is gone")
    if not found[name].restorable:
        raise ActError(f"volume {name} (driver {found[name].driver}) cannot be reached from here")
    return Path(found[name].path)


def _archive(course: RunSession, wanted: backup_labels.BackupPlan) -> int:
    """Whole volumes, of the running app: what changes while it is read fails the try."""
    ports, bundle = course.context.ports, _standing(course)
    volumes = ports.engine.observe_volumes(wanted.whole)
    manifest = SnapshotManifest(
        id=f"{course.run.run}-backup",
        app=course.context.app,
        stack=course.context.stack,
        version=bundle.version,
        commit=bundle.commit,
        images=bundle.images,
        node="",
        created_at=ports.clock.now(),
        op_id=course.run.run,
        volumes=(),
    )
    done = course.context.ports.snapshots.create(
        manifest, [volumes[name] for name in sorted(volumes)], before_exchange=lambda: None
    )
    return sum(volume.data_bytes for volume in done.volumes)


def restore(course: RunSession) -> Ended:
    """Lose everything that was backed up, bring it back from the backup alone, and have the app answer again."""
    wanted = _declared(course)
    if wanted is None:
        return NO_BACKUP
    if not any(stage.stage is Stage.BACKUP and stage.result == "passed" for stage in course.run.stages):
        return Skip(reason="there is no backup of this run")
    ports, bundle = course.context.ports, _standing(course)
    course.tell(deploys_expected=course.run.deploys_expected + 1)
    failure = unjournaled.undeploy(course.context, bundle)
    if failure is not None:
        return failure
    volumes = ports.engine.observe_volumes([*wanted.whole, *wanted.parts])
    op_id = f"{course.run.run}-restore"
    app = AppName(course.context.app)
    course.context.ports.snapshots.restore(app, [volumes[name] for name in wanted.whole if name in volumes], op_id)
    course.context.ports.snapshots.set_aside([volumes[name] for name in wanted.parts], op_id)
    failure = unjournaled.deploy(course.context, bundle)
    if failure is not None:
        return failure
    return _given_back(course, wanted, bundle)


def _given_back(course: RunSession, wanted: backup_labels.BackupPlan, bundle: Bundle) -> Failure | None:
    failure = _hooks(course, wanted.restore_before, "restore.pre-hook")
    if failure is not None:
        return failure
    for name, paths in wanted.parts.items():
        course.site.backups.give(_data(course, name), paths, _parts(course, name, fresh=False))
    return _hooks(course, wanted.restore_after, "restore.post-hook") or unjournaled.verify(course.context, bundle)


def _hooks(course: RunSession, hooks: Sequence[backup_labels.Hook], name: str) -> Failure | None:
    """Run them in order; the first that fails ends it."""
    try:
        return next(filter(None, (_hook(course, hook, name) for hook in hooks)), None)
    except ActError as exc:
        return failed(Step.SNAPSHOT, f"{name}: {exc}", host=exc.host_fault)


def _hook(course: RunSession, hook: backup_labels.Hook, name: str) -> Failure | None:
    patience = min(_HOOK_S, course.time_left())
    said = course.context.ports.engine.execute(course.context.stack, hook.service, hook.argv, patience)
    if said.code == 0:
        return None
    return failed(Step.SNAPSHOT, f"{name} of service {hook.service} ended with {said.code}", said.output)


def _parts(course: RunSession, volume: str, *, fresh: bool) -> Path:
    """Where the single paths of a volume lie; of the newest try."""
    base = course.folder.work / "backup"
    tries = len(list(base.glob(f"{volume}.*")))
    folder = base / f"{volume}.{tries + fresh}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _standing(course: RunSession) -> Bundle:
    if course.standing is None:
        raise AssertionError("a stage after install without anything installed")
    return course.standing
