"""A volume's data replaced whole, once per operation, at whatever moment the program dies. Effects: beside the volume.

The new tree is built beside the old one, a mark says which inode it has, the two change places in one step, and the old
data stays aside until the engine forgets it. A second call with the same operation goes on where the first one stopped.
"""

from collections.abc import Callable
from pathlib import Path

from reconciler.model.errors import ActError
from reconciler.model.observed import VolumeObs
from reconciler.state import files

_STAGED, _MARK, _ASIDE = ".ci-warm-staged-", ".ci-warm-mark-", ".ci-warm-aside-"


def replace(data: Path, op_id: str, build: Callable[[Path], None], effect: Callable[[str], None]) -> None:
    """Exchange a volume's data for what `build` makes in the folder that it is given; the old data ends up aside.

    Raises:
        ActError: a file system error; the old data stands, or the new one whole.
        Whatever `build` raises: nothing was exchanged.
    """
    staged, mark, aside = (data.with_name(prefix + op_id) for prefix in (_STAGED, _MARK, _ASIDE))
    try:
        # The rename to `aside` is the last step, so this operation is done; a second call may come from a
        # resumed journal.
        if aside.exists():
            mark.unlink(missing_ok=True)
            return
        # The mark names the new tree's inode: if the volume has it, the trees have changed places already,
        # and exchanging them again would bring the old data back.
        if not (mark.exists() and staged.exists() and mark.read_text() == str(data.stat().st_ino)):
            _stage(data, staged, mark, build)
            effect("restore:staged")
            files.exchange(staged, data)
            effect("restore:exchanged")
        # From here `staged` holds the data that was replaced.
        staged.rename(aside)
        files.sync_folder(data.parent)
        mark.unlink(missing_ok=True)
    except OSError as exc:
        raise ActError(f"{data}: restore failed: {exc.strerror or exc}", host_fault=True) from exc


def _stage(data: Path, staged: Path, mark: Path, build: Callable[[Path], None]) -> None:
    # Left by an operation that was given up: half a tree, or data that another restore has put aside.
    for old in _beside(data):
        files.remove_tree(old)
    staged.mkdir(mode=0o700)
    try:
        build(staged)
    except BaseException:
        files.remove_tree(staged)
        raise
    # The inode tells a later run whether the exchange happened: then it stands in the volume's place.
    files.write_atomic(mark, str(staged.stat().st_ino).encode())


def _beside(data: Path) -> list[Path]:
    return [path for prefix in (_STAGED, _MARK, _ASIDE) for path in data.parent.glob(f"{prefix}*")]


def leftovers(volume: VolumeObs) -> list[Path]:
    """What earlier restores left beside a volume's data."""
    return _beside(Path(volume.path))
