"""The package's check phase in a sandbox like Nix's, without Nix: `python -m tests.nix.sandbox [PYTEST OPTIONS]`.

What is built, with what it is checked and what is left out is read from nix/package.nix. The tools are those of a
Debian whose Python is that of nixpkgs; they lie in one folder, as there is no /usr/bin: only /bin/sh. Needs root.
"""

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nixeval  # type: ignore[import-untyped] # a wheel of the snix evaluator without types

from tests.nix import installed
from tests.systemd.host import cache, debian, install_locked

PROJECT = Path(__file__).parents[2]
SUITE, PYTHON = "trixie", "3.13"
STDENV = (
    "bash",
    "bzip2",
    "coreutils",
    "diffutils",
    "file",
    "findutils",
    "gawk",
    "grep",
    "gzip",
    "make",
    "patch",
    "sed",
    "tar",
    "xz-utils",
)
DEBIAN = {
    "gitMinimal": "git",
    "gnupg": "gnupg",
    "openssh": "openssh-client",
    "openssl": "openssl",
    "procps": "procps",
}
"""Programs of nixpkgs by the packages that they are in here; hooks are none."""
_OURS = {"pytestCheckHook": "pytest"}
_STORE = Path("/nix/store")
SCRIPT = Path(__file__).with_name("sandbox.sh")


@functools.cache
def package() -> dict[str, Any]:
    """What nix/package.nix says."""
    found: dict[str, Any] = nixeval.loads(f"import {PROJECT}/nix/eval/package.nix")
    return found


def source(into: Path) -> Path:
    """Copy what the package is built from: of each file that git knows or would take."""
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(argv, cwd=PROJECT, check=True, capture_output=True, text=True).stdout.split("\0")
    kept = [Path(name).relative_to(PROJECT) for name in package()["src"]]
    for name in filter(None, listed):
        if (PROJECT / name).is_file() and any(Path(name).is_relative_to(path) for path in kept):
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, into / name)
            # As the store has it, whatever the umask of this checkout.
            (into / name).chmod(0o755 if (PROJECT / name).stat().st_mode & 0o100 else 0o644)
    return into


def tree() -> Path:
    """That Debian as a folder; built once."""
    wanted = ["python3", *STDENV, *DEBIAN.values()]
    path = cache() / f"sandbox-{SUITE}-{hashlib.sha256(repr(wanted).encode()).hexdigest()[:12]}"
    if not path.exists():
        made = path.with_suffix(f".{os.getpid()}.part")
        debian(SUITE, wanted, made, "--format=directory")
        made.rename(path)
    return path


def tools(debian: Path, into: Path) -> Path:
    """Copy the programs of stdenv, of the check inputs and the interpreter to one folder."""
    into.mkdir(parents=True)
    inputs = [DEBIAN[name] for name in package()["programs"] if name in DEBIAN]
    listed = [
        line
        for name in (*STDENV, *inputs)
        for line in next((debian / "var/lib/dpkg/info").glob(f"{name}[.:]*list")).read_text().splitlines()
    ]
    programs = {Path(line).name for line in listed if re.fullmatch(r"(/usr)?/s?bin/[^/]+", line)}
    for name in sorted(programs | {f"python{PYTHON}", "sh", "awk"}):
        found = next((debian / "usr" / folder / name for folder in ("bin", "sbin")), None)
        if found is not None and found.exists():
            shutil.copy2(os.path.realpath(_inside(debian, found)), into / name)
    (into / "python3").symlink_to(f"python{PYTHON}")
    return into


def _inside(debian: Path, path: Path) -> Path:
    """Follow the links of a tree as seen from inside it."""
    while path.is_symlink():
        target = path.readlink()
        path = debian / target.relative_to("/") if target.is_absolute() else path.parent / target
    return path


def libraries() -> Path:
    """The dependencies and the check inputs in Python, as the lock file has them, and nothing else of it."""
    lock = (PROJECT / "requirements-dev.lock").read_text()
    named = {*package()["dependencies"], *package()["build-system"], *(_OURS.get(n, n) for n in package()["python"])}
    text = "\n".join(wanted(lock, named)) + "\n"
    path = cache() / f"python{PYTHON}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if not path.exists():
        made = Path(tempfile.mkdtemp(dir=cache()))
        made.chmod(0o755)
        (made / "lock").write_text(text)
        install_locked(made / "lock", made, PYTHON, "--no-deps")
        made.rename(path)
    return path


def wanted(lock: str, named: set[str]) -> list[str]:
    """The entries of a lock file for these packages and all that they need."""
    entries = {found[1].lower(): found[0] for found in re.finditer(r"^([\w.-]+)==(?:.*\n?(?:[ ]+.*\n)*)", lock, re.M)}
    needed = {name: set(re.findall(r"#\s+(?:via )?([\w.-]+)", text)) for name, text in entries.items()}
    kept = {name.lower() for name in named}
    while more := {name for name, by in needed.items() if by & kept} - kept:
        kept |= more
    assert kept <= set(entries), f"the lock file has no {sorted(kept - set(entries))}"
    return [entries[name] for name in sorted(kept)]


def pytest_words(options: list[str]) -> list[str]:
    """The command line of the check phase."""
    ignored = [f"--ignore-glob={path}" for path in package()["disabledTestPaths"]]
    marks = "not (" + " or ".join(f"({mark})" for mark in package()["disabledTestMarks"]) + ")"
    return ["-m", "pytest", "-q", *ignored, "-m", marks, "-p", "no:cacheprovider", *options]


def say(text: str) -> None:
    """A line for the log of CI."""
    sys.stdout.write(f"sandbox: {text}\n")
    sys.stdout.flush()


def run(options: list[str]) -> int:
    """Build, install behind a wrapper, check; gives the exit code of the tests."""
    began = time.monotonic()
    debian, libs = tree(), libraries()
    with tempfile.TemporaryDirectory(prefix="ci-warm-sandbox-") as name:
        work = Path(name)
        work.chmod(0o755)
        src, root = source(work / "source"), work / "root"
        root.mkdir()
        tools(debian, work / "tools")
        program = installed.Layout(
            prefix=work / "ci-warm",
            seen=_STORE / "ci-warm",
            python=str(_STORE / f"tools/bin/python{PYTHON}"),
            libraries=_STORE / "libraries",
        )
        installed.wrapped(program, src)
        binds = {
            debian / "usr/lib": "/usr/lib",
            debian / "usr/lib64": "/lib64",
            debian / "etc/ssl": "/etc/ssl",
            work / "tools": "/nix/store/tools/bin",
            libs: "/nix/store/libraries",
            work / "ci-warm": "/nix/store/ci-warm",
            src: "/build/source",
        }
        environment = {
            "HOME": "/homeless-shelter",
            "TMPDIR": "/build",
            "NIX_BUILD_TOP": "/build",
            "PATH": "/nix/store/tools/bin",
            "PYTHONPATH": "/nix/store/ci-warm/lib/site-packages:/nix/store/libraries",
            "out": "/nix/store/ci-warm",
            "PYTHONNOUSERSITE": "1",
            "PYTHONHASHSEED": "0",
            "SOURCE_DATE_EPOCH": "315532800",
            "TERM": "xterm-256color",
            "PRE_CHECK": package()["preCheck"],
        }
        argv = [
            "unshare",
            "--mount",
            "--net",
            "--pid",
            "--ipc",
            "--uts",
            "--fork",
            "--kill-child",
            "sh",
            str(SCRIPT),
            str(root),
            str(debian / "usr/bin/dash"),
            " ".join(f"{here}:{there}" for here, there in binds.items()),
            *(f"{key}={value}" for key, value in environment.items()),
            "--",
            *pytest_words(options),
        ]
        say(f"{SUITE}, Python {PYTHON}, ready after {time.monotonic() - began:.0f} s")
        code = subprocess.run(argv).returncode
        say(f"ended with {code} after {time.monotonic() - began:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
