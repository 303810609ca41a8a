"""How to start this program once more, and the small scripts that it carries. Effects: none; looks at files.

A child must be the program that runs: behind a wrapper (nixpkgs) or in one archive (zipapp, shiv, pex) the bare
interpreter knows no package `reconciler`, so `python -m` would start nothing.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

_MODULE = "__main__.py"
_ZIP_END, _ZIP_TAIL = b"PK\x05\x06", (1 << 16) + 22
"""What ends an archive, and how many bytes from the end it begins at most: behind it is a comment of 64 KiB at most."""
_started: tuple[str, ...] = ()


def remember(argv0: str) -> None:
    """Note what the command line was started as; called once, before anything can change the working folder."""
    global _started
    _started = _as_started(argv0)


def argv() -> tuple[str, ...]:
    """The words that start this program, absolute; `python -m reconciler` where nothing else is known."""
    return _started or (sys.executable, "-m", "reconciler")


def script(package: str, name: str) -> Sequence[str]:
    """The words that run one of our scripts that need the standard library alone, also out of an archive."""
    from importlib import resources

    found = resources.files(package) / name
    source = [str(found)] if isinstance(found, Path) and found.is_file() else ["-c", found.read_text()]
    return [sys.executable, "-I", "-S", *source]


def _as_started(argv0: str) -> tuple[str, ...]:
    found = argv0 if os.sep in argv0 or Path(argv0).exists() else _on_path(argv0)
    path = Path(found).absolute()
    if path.name == _MODULE or not (path.is_file() or (path / _MODULE).is_file()):
        return ()
    whole = str(path.resolve())
    # An archive is run by the interpreter that runs it now: its own first line may name another.
    starts_itself = path.is_file() and os.access(path, os.X_OK) and not _is_archive(path)
    return (whole,) if starts_itself else (sys.executable, whole)


def _on_path(name: str) -> str:
    import shutil

    return shutil.which(name) or name


def _is_archive(path: Path) -> bool:
    """As the standard library says, which is imported only where there may be one: each start asks."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _ZIP_TAIL))
            if _ZIP_END not in file.read():
                return False
    except OSError:
        return False  # a program that we may run and not read
    import zipfile

    return zipfile.is_zipfile(path)
