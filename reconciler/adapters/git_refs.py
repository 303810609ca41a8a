"""Commits of recipes that are no releases, from the mirrors. Effects: git processes, checkout folders."""

import re
from pathlib import Path

from typing_extensions import override

from reconciler.adapters.git import GitRecipes
from reconciler.core.redact import Redactor
from reconciler.model.errors import RecipeError
from reconciler.model.ids import is_ref
from reconciler.ports.recipes import Refs
from reconciler.state import files

_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_MAIN = ("main", "master")
_KEPT = "refs/ci-warm"
"""Where refs that are no branches and tags are kept, so that a fetch with --prune leaves them."""


class GitRefs(Refs):
    """What runs ask of a mirror beyond its releases."""

    def __init__(self, recipes: GitRecipes) -> None:
        self._recipes = recipes

    @override
    def resolve(self, url: str, ref: str) -> str:
        if not is_ref(ref):
            raise RecipeError(f"{ref!r} is not the name of a ref")
        if ref.startswith("refs/") and not ref.startswith(("refs/heads/", "refs/tags/")):
            return self._foreign(url, ref)
        # A release's tag before a branch of the same name: what is tested must be what would be deployed.
        names = [ref] if ref.startswith("refs/") else [f"refs/tags/{ref}", f"refs/heads/{ref}"]
        for name in names:
            commit = self._commit(url, name)
            if commit is not None:
                return commit
        # Last: a branch may have a name that looks like a commit.
        commit = self._commit(url, ref) if _COMMIT.fullmatch(ref) else None
        if commit is None:
            shown = Redactor().mask(url)
            raise RecipeError(f"{ref} is neither a tag nor a branch nor a commit of {shown} as it was last fetched")
        return commit

    def _foreign(self, url: str, ref: str) -> str:
        """A pull request's head, for instance: fetched by its own name."""
        kept = f"{_KEPT}/{ref.removeprefix('refs/')}"
        ran = self._recipes.git(
            url,
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--",
            url,
            f"+{ref}:{kept}",
        )
        if ran.code != 0:
            raise RecipeError(f"{ref} cannot be fetched from {Redactor().mask(f'{url}: {ran.output[-300:]}')}")
        commit = self._commit(url, kept)
        if commit is None:
            raise RecipeError(f"{ref} is not a commit")
        return commit

    def _commit(self, url: str, name: str) -> str | None:
        ran = self._recipes.git(url, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        return ran.raw.decode().strip() if ran.code == 0 else None

    @override
    def describe(self, url: str, commit: str) -> str:
        ran = self._recipes.git(url, "describe", "--abbrev=8", "--always", "--end-of-options", commit)
        return ran.raw.decode("utf-8", "replace").strip() if ran.code == 0 else commit[:8]

    @override
    def main(self, url: str) -> tuple[str, str] | None:
        """The only branch is the main one, whatever it is called."""
        ran = self._recipes.git(url, "for-each-ref", "--format=%(refname:strip=2) %(objectname)", "refs/heads")
        if ran.code != 0:
            said = Redactor().mask(f"{url}: branches cannot be listed: {ran.output[-300:]}")
            raise RecipeError(said)
        pairs = (line.rpartition(" ") for line in ran.raw.decode("utf-8", "replace").splitlines())
        branches = {name: commit for name, _, commit in pairs}
        names = [*(name for name in _MAIN if name in branches), *(list(branches) if len(branches) == 1 else [])]
        return (names[0], branches[names[0]]) if names else None

    @override
    def is_ancestor(self, url: str, one: str, other: str) -> bool:
        return one != other and self._recipes.git(url, "merge-base", "--is-ancestor", one, other).code == 0

    @override
    def checkout(self, url: str, commit: str, to: Path) -> None:
        """Links and submodules are left out: nothing in it leads anywhere else."""
        runnable = self._executables(url, commit)
        files.make_folder(to)
        for name, body in self._recipes.files(url, commit).items():
            path = to / name
            # Outermost first, each with an open mode, as checks may run as another user.
            for folder in reversed(path.relative_to(to).parents[:-1]):
                files.make_folder(to / folder, 0o755)
            files.write_atomic(path, body, 0o755 if name in runnable else 0o644)

    def _executables(self, url: str, commit: str) -> frozenset[str]:
        ran = self._recipes.git(url, "ls-tree", "-r", "-z", commit)
        if ran.code != 0:
            raise RecipeError(f"commit {commit[:12]} is gone")
        entries = (entry.partition("\t") for entry in ran.raw.decode("utf-8", "surrogateescape").split("\0"))
        return frozenset(path for meta, _, path in entries if meta.startswith("100755 "))
