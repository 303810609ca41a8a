"""What is written rightly and will not work as it stands on this host. Effects: looks whether files are there.

Called by `validate`. None of it keeps a spec from being read: a file may come later, and one app must not stop all.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from reconciler.model.app import AppSpec, Kind
from reconciler.model.errors import Problem
from reconciler.model.settings import Settings

HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - named, not used
"""What the daemon's unit does not see (`ProtectHome=`, `PrivateTmp=`)."""
_GIVEN = "/run/credentials"
"""What systemd gives a unit while it runs, and nobody else sees."""


def find_doubts(by_file: Iterable[tuple[str, AppSpec]], settings: Settings) -> list[Problem]:
    """Every doubt about every spec, with the file and the key that it is about."""
    found = []
    for file, spec in by_file:
        rows = [*_recipe(spec, settings), *_files(spec), *_domain(spec, settings)]
        found += [Problem(file=file, line=0, key=key, message=message) for key, message in rows]
    return found


def _recipe(spec: AppSpec, settings: Settings) -> Iterator[tuple[str, str]]:
    url = spec.recipe.url
    if not url.startswith("file://"):
        return
    path = url.removeprefix("file://")
    if not settings.git.allow_file:
        yield "recipe.url", "file:// recipes are fetched only with git.allow_file: true in the settings"
    if _is_hidden(path):
        yield "recipe.url", f"the daemon's unit does not see {path}; put it elsewhere, such as /srv"
    elif not _is_there(path):
        yield "recipe.url", f"{path} is not there"


def _files(spec: AppSpec) -> Iterator[tuple[str, str]]:
    for key, path in _named_files(spec):
        if path.startswith(_GIVEN):
            continue
        if _is_hidden(path):
            yield key, f"the daemon's unit does not see {path}"
        elif not _is_there(path):
            yield key, f"{path} is not there"


def _named_files(spec: AppSpec) -> Sequence[tuple[str, str]]:
    found = [(f"secrets.{name}.file", one.file) for name, one in spec.secrets.items()]
    found += [("recipe.signers", spec.recipe.signers), ("health.ca_file", spec.health.ca_file)]
    found += [("overlays", name) for name in spec.overlays if name.startswith("/")]
    return [(key, path) for key, path in found if path]


def _domain(spec: AppSpec, settings: Settings) -> Iterator[tuple[str, str]]:
    suffix = settings.runs.domain_suffix or settings.domain_suffix
    if spec.kind is Kind.CANONICAL and not suffix:
        yield "kind", "test runs of a canonical answer below domain_suffix, and the settings have none"


def _is_hidden(path: str) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in HIDDEN)


def _is_there(path: str) -> bool:
    """Also when we may not look: whoever is no root cannot tell."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True
