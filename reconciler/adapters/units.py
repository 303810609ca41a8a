"""The systemd units that come with the package. Effects: files in a unit folder."""

from importlib import resources
from pathlib import Path

from reconciler.model.errors import UsageError
from reconciler.state import files

PROGRAM = "/usr/bin/ci-warm"
"""What the units name; replaced by where the program really is."""
NAMES = ("ci-warm.service", "ci-warm-sweep.service", "ci-warm-sweep.timer", "ci-warm-web.service", "ci-warm.target")


def texts(program: str) -> dict[str, str]:
    """Each unit's text, starting `program`.

    Raises:
        UsageError: systemd could not start that path.
    """
    if not program.startswith("/") or any(char.isspace() or char in "%\"'\\" for char in program):
        raise UsageError(f"{program!r}: units need an absolute path without spaces, quotes or %")
    folder = resources.files("reconciler") / "units"
    return {name: (folder / name).read_text().replace(PROGRAM, program) for name in NAMES}


def install(folder: Path, program: str) -> list[Path]:
    """Write the units; those that are right already are left alone. Gives what was written.

    Raises:
        UsageError: there is no such folder, or one of our names is taken by something that is not a file.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    written = []
    for name, text in texts(program).items():
        path = folder / name
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise UsageError(f"{path} is not a plain file (masked, or managed by another program); nothing is replaced")
        if not path.exists() or path.read_text() != text:
            files.write_atomic(path, text.encode(), 0o644)
            written.append(path)
    return written
