"""Recipes read from their bare git mirrors. Effects: git processes; a fetch changes the mirror."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from typing_extensions import override

from reconciler.adapters import git_listing, process, signatures
from reconciler.adapters.git_mirror import Mirrors, must
from reconciler.core.redact import Redactor
from reconciler.core.release.notes import NOTE_PLACES
from reconciler.model.errors import RecipeError
from reconciler.model.ids import is_tag
from reconciler.model.recipe import Tags
from reconciler.model.settings import GitSettings
from reconciler.ports.recipes import Recipes

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_MAX_RECIPE_BYTES = 16 << 20
_FRESH_S = 0.5
_TAGS = "refs/tags/"


class GitRecipes(Recipes):
    """Bare mirrors, one per URL."""

    def __init__(self, root: Path, settings: GitSettings, monotonic: Callable[[], float]) -> None:
        self.root = root
        self._mirrors = Mirrors(root, settings)
        self._monotonic = monotonic
        self._tags: dict[str, tuple[git_listing.Stamp, Tags]] = {}
        self._checked: dict[str, float] = {}
        self._trees: dict[tuple[str, str], Mapping[str, bytes]] = {}

    def _must_exist(self, url: str) -> None:
        if not self._mirrors.exists(url):
            raise RecipeError(f"{Redactor().mask(url)}: has never been fetched")

    def git(self, url: str, *args: str) -> process.Ran:
        """Ask git something about a recipe's mirror; what it printed is not masked.

        Raises:
            RecipeError: there is no mirror yet, or git did not end in time.
        """
        self._must_exist(url)
        return self._mirrors.run(url, *args)

    @override
    def fetch(self, url: str) -> None:
        self._mirrors.fetch(url)
        self._checked.pop(url, None)  # afterwards: a pass beside us may have looked while the fetch ran

    @override
    def tags(self, url: str) -> Tags:
        """Cached by the mirror's ref files, so a quiet pass starts no process."""
        cached, now = self._tags.get(url), self._monotonic()
        if cached is not None and now - self._checked.get(url, -_FRESH_S) < _FRESH_S:
            return cached[1]  # many apps of one pass share a recipe
        self._must_exist(url)
        stamp = git_listing.stamp(self._mirrors.path(url))
        self._checked[url] = now
        if cached is not None and cached[0] == stamp:
            return cached[1]
        tags = parse_tags(self._mirrors.list_tags(url))
        self._tags[url] = (stamp, tags)
        return tags

    @override
    def files(self, url: str, commit: str) -> Mapping[str, bytes]:
        """Read straight from the object store: no work tree that others could change."""
        # An operand from a record or a spec: anything but a commit id could be an option, or a ref that
        # moves.
        if not _COMMIT.fullmatch(commit):
            raise RecipeError(f"{commit!r} is not a commit id")
        cached = self._trees.get((url, commit))
        if cached is not None:
            return cached
        listing = must(
            self._mirrors.run(url, "ls-tree", "-r", "-z", "-l", commit, brief=True), f"commit {commit[:12]} is gone"
        ).raw
        wanted: dict[str, str] = {}
        total = 0
        for entry in listing.decode("utf-8", "surrogateescape").split("\0"):
            meta, _, path = entry.partition("\t")
            fields = meta.split()
            # Plain files alone: a link (120000) could lead out of the recipe, a submodule (160000) is no
            # content.
            if len(fields) == 4 and fields[0] in ("100644", "100755") and fields[3].isdigit():
                total += int(fields[3])
                wanted[path] = fields[2]
        # Summed up from the listing, before a single blob is read into memory.
        if total > _MAX_RECIPE_BYTES:
            raise RecipeError(
                f"the recipe at {commit[:12]} holds {total >> 20} MiB; the limit is {_MAX_RECIPE_BYTES >> 20}"
            )
        found = self._blobs(url, wanted)
        # Commits never change, so a cached tree is right for ever; the newest 64 bound the daemon's memory.
        self._trees = {**dict(list(self._trees.items())[-63:]), (url, commit): found}
        return found

    def _blobs(self, url: str, wanted: Mapping[str, str]) -> dict[str, bytes]:
        ids = list(dict.fromkeys(wanted.values()))
        ran = self._cat(url, ids)
        contents: dict[str, bytes] = {}
        at = 0
        for blob in ids:
            end = ran.index(b"\n", at)
            head = ran[at:end].split()
            # `cat-file --batch` answers "<id> missing" in the same stream, which would shift everything after
            # it.
            if len(head) != 3 or head[0].decode() != blob:
                raise RecipeError(f"object {blob[:12]} is missing from the mirror")
            size = int(head[2])
            contents[blob] = ran[end + 1 : end + 1 + size]
            at = end + 2 + size
        return {path: contents[blob] for path, blob in wanted.items()}

    def _cat(self, url: str, ids: Sequence[str]) -> bytes:
        given = "".join(f"{blob}\n" for blob in ids).encode()
        ran = self._mirrors.run(url, "cat-file", "--batch", stdin=given, brief=True)
        return must(ran, "recipe files cannot be read").raw

    @override
    def find_signature_problem(self, url: str, commit: str, signers: Path, tag: str = "") -> str:
        def ask(env: Mapping[str, str], *args: str) -> process.Ran:
            return self._mirrors.run(url, *args, more=env)

        return Redactor().mask(signatures.find_problem(ask, commit, signers, tag))

    @override
    def notes(self, url: str, commit: str, versions: Sequence[str]) -> Mapping[str, str]:
        """All places that have notes for a version are joined."""
        present = self.files(url, commit)
        found = {}
        for version in versions:
            texts = [present[place.format(version)] for place in NOTE_PLACES if place.format(version) in present]
            if texts:
                found[version] = "\n".join(text.decode("utf-8", "replace").strip() for text in texts)
        return found


def parse_tags(listing: str) -> Tags:
    """Read `for-each-ref` output: annotated tags with their peeled commits, and the lightweight ones by name."""
    annotated: dict[str, str] = {}
    lightweight: list[str] = []
    for line in listing.split("\n"):  # a name may hold what ends a line elsewhere
        kind, _, rest = line.partition(" ")
        fields = line.split(" ")
        name = fields[-1].removeprefix(_TAGS) if fields[-1].startswith(_TAGS) else ""
        # A tag's name ends up in file names, result lines and labels.
        if not is_tag(name):
            continue
        # Only annotated tags of commits count as releases. The lightweight ones are kept by name, so that
        # evidence can say why nothing comes of them.
        if kind == "tag" and len(fields) == 5 and fields[2] == "commit":
            annotated[name] = fields[3]
        elif rest:
            lightweight.append(name)
    return Tags(annotated=annotated, lightweight=tuple(sorted(lightweight)))
