"""The program as packagers install it: a wheel in a prefix of its own, behind a wrapper, or in one archive.

The interpreter is a bare one: nothing but the program's first line knows where its packages lie.
"""

import os
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
import zipapp
import zipfile
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
BARE = os.path.realpath(sys.executable)
_HEAD = """#!{python}
import site, sys
sys.argv[0] = {program!r}
for folder in {folders!r}:
    site.addsitedir(folder)
"""
_TAIL = """
if __name__ == "__main__":
    from reconciler.cli import main
    sys.exit(main())
"""
_WRAPPER = """#!/bin/sh
export PYTHONNOUSERSITE=true
exec {inner} "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where it is installed. `seen`: the path by which it will be known; `libraries`: where what it needs will be."""

    prefix: Path
    seen: Path
    python: str
    libraries: Path


def wheel(into: Path, source: Path = PROJECT) -> Path:
    """Build the wheel as a packager does."""
    return _built(into, "wheel", "*.whl", source)


def sdist(into: Path) -> Path:
    """Build the source archive."""
    return _built(into, "sdist", "*.tar.gz", PROJECT)


def _built(into: Path, target: str, pattern: str, source: Path) -> Path:
    argv = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(into)]
    subprocess.run(argv, cwd=source, check=True, capture_output=True, timeout=120)
    [found] = into.glob(pattern)
    return found


def libraries(into: Path) -> Path:
    """What the program needs, without the program: our own environment has it installed as well."""
    into.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.suffix != ".pth" and not path.name.startswith(("ci_warm", "_editable", "reconciler", "__pycache__")):
            (into / path.name).symlink_to(path)
    return into


def here(prefix: Path) -> Layout:
    """A layout for this machine, its libraries those of our own environment."""
    prefix.mkdir()
    return Layout(prefix=prefix, seen=prefix, python=BARE, libraries=libraries(prefix / "libraries"))


def wrapped(layout: Layout, source: Path = PROJECT) -> Path:
    """Install behind a wrapper like that of nixpkgs; gives `bin/ci-warm`."""
    binaries = layout.prefix / "bin"
    binaries.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel(Path(folder), source)) as archive:
        archive.extractall(layout.prefix / "lib" / "site-packages")
    seen = layout.seen / "bin"
    folders = [str(layout.seen / "lib" / "site-packages"), str(layout.libraries)]
    head = _HEAD.format(python=layout.python, program=str(seen / "ci-warm"), folders=folders)
    _script(binaries / ".ci-warm-wrapped", head + _TAIL)
    _script(binaries / "ci-warm", _WRAPPER.format(inner=seen / ".ci-warm-wrapped"))
    return binaries / "ci-warm"


def archived(prefix: Path, libs: Path) -> Path:
    """A zipapp: the package inside, its libraries beside it."""
    folder = prefix / "archive"
    with zipfile.ZipFile(wheel(prefix)) as archive:
        archive.extractall(folder)
    main = folder / "__main__.py"
    main.write_text(f"import site, sys\nsite.addsitedir({str(libs)!r})\n{_TAIL}")
    target = prefix / "ci-warm.pyz"
    zipapp.create_archive(folder, target)
    shutil.rmtree(folder)
    return target


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def knows_us_not() -> bool:
    """Say whether the bare interpreter is as bare as that of a build: it must not find the package by itself."""
    argv = [BARE, "-c", "import importlib.util, sys; sys.exit(importlib.util.find_spec('reconciler') is not None)"]
    return subprocess.run(argv, cwd="/", env={"HOME": site.getuserbase()}).returncode == 0
