"""Files that an operator starts from: all of them or none, and nothing that is there is touched. Effects: files.

Called by `init` and `import`. Files of ours that change go through `state.files`.
"""

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from reconciler.model.errors import UsageError
from reconciler.state import files


def create_all(
    contents: Mapping[Path, bytes], mode: int = files.PRIVATE_FILE, folders: Iterable[Path] = ()
) -> list[Path]:
    """Write every file, or none; gives those that were written. One that is there with this content is left alone.

    `folders`: made as well, if they are not there.

    Raises:
        UsageError: one is there with another content; nothing was written.
        OSError: no room, no permission, I/O error; nothing is left of what was written.
    """
    new = check_free(contents)
    made: list[Path] = []
    try:
        for folder in folders:
            _make_parents(folder, made)
        for path in new:
            _make_parents(path.parent, made)
            _create(path, contents[path], mode)
            made.append(path)
    except BaseException:
        remove_made(made)
        raise
    return new


def check_free(contents: Mapping[Path, bytes]) -> list[Path]:
    """Those of the files that are not there yet.

    Raises:
        UsageError: one is there with another content.
    """
    new = [path for path in contents if not _is_there(path, contents[path])]
    taken = [str(path) for path in new if os.path.lexists(path)]
    if taken:
        raise UsageError(f"{', '.join(taken)}: is there already; nothing was written")
    return new


def remove_made(made: list[Path]) -> None:
    """Take back what was made, the last first; a folder that others have put something into stays."""
    for path in reversed(made):
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def _is_there(path: Path, content: bytes) -> bool:
    return path.is_file() and not path.is_symlink() and path.read_bytes() == content


def _make_parents(folder: Path, made: list[Path]) -> None:
    if folder.is_dir():
        return
    _make_parents(folder.parent, made)
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    made.append(folder)


def _create(path: Path, content: bytes, mode: int) -> None:
    """A link and not a rename: a file that came meanwhile is not replaced."""
    temp = path.with_name(f".{path.name}.{os.getpid()}.new")
    files.write_atomic(temp, content, mode)
    try:
        os.link(temp, path)
    except FileExistsError as exc:
        raise UsageError(f"{path}: is there already; nothing was written") from exc
    finally:
        temp.unlink()
    files.sync_folder(path.parent)
