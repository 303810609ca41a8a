"""Mirrors of recipes: made, fetched, and made anew where one is damaged. Effects: git processes, folders of mirrors.

A recipe is untrusted data: explicit refspecs, a deadline, no hooks, no submodules, no shell, and operands after `--`.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from reconciler.adapters import git_listing, process
from reconciler.adapters.git_listing import Listing
from reconciler.core.redact import Redactor
from reconciler.model.errors import ActError, RecipeError
from reconciler.model.ids import mirror_name
from reconciler.model.settings import GitSettings
from reconciler.state import files

_FETCH = ("fetch", "--quiet", "--no-tags", "--prune", "--no-recurse-submodules", "--no-write-fetch-head")
_BLOCKED = "; cannot create"
_REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_SHA256_DIGITS = 64
_FORM = "%(objecttype) %(objectname) %(*objecttype) %(*objectname) %(refname)"
"""How refs are listed. An object that is lost fails the listing."""


class Mirrors:
    """Bare mirrors below `root`, one per URL."""

    def __init__(self, root: Path, settings: GitSettings) -> None:
        self.root = root
        self._settings = settings

    def path(self, url: str) -> Path:
        """Where a recipe's mirror lies, or will."""
        return self.root / mirror_name(url)

    def exists(self, url: str) -> bool:
        """Whether it was ever made; a fetch may not have come to its end."""
        return (self.path(url) / "HEAD").exists()

    def run(
        self,
        url: str,
        *args: str,
        more: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        brief: bool = False,
    ) -> process.Ran:
        """Git in a recipe's mirror, whatever its exit code; what it printed is whole and not masked.

        `more`: of the environment.

        Raises:
            RecipeError: it could not be started, or did not end in time.
        """
        return self._run(self.path(url), url, *args, more=more, stdin=stdin, brief=brief)

    def _run(
        self,
        mirror: Path,
        url: str,
        *args: str,
        more: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        brief: bool = False,
    ) -> process.Ran:
        allow = "always" if self._settings.allow_file else "never"
        # Given on every call and not in the mirror's config: a config file in the mirror could be changed,
        # and these hold whatever git's own defaults are. A recipe is untrusted: `ext` runs commands, `file`
        # reads this host, hooks and submodules run or fetch what the recipe says.
        options = (
            "-c",
            f"protocol.file.allow={allow}",
            "-c",
            "protocol.ext.allow=never",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "submodule.recurse=false",
            "-c",
            "fetch.fsckObjects=true",
            "-c",
            "gc.auto=0",
            # Which is what it would look at: a process per fetch for nothing.
            "-c",
            "maintenance.auto=false",
            "-c",
            "safe.directory=*",
        )
        # A repository that asks for a password must fail at once: there is no terminal to answer, and the
        # fetch would hang to its deadline.
        env = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_ASKPASS": _refuses()}
        try:
            return process.run(
                ["git", "--git-dir", str(mirror), *options, *args],
                timeout_s=self._settings.timeout,
                env=env | dict(more or {}),
                stdin=stdin,
                brief=brief,
            )
        except ActError as exc:
            # Of which of many recipes it is, and what git was at.
            said = str(exc).replace("git --git-dir ", f"git {args[0]} ")
            raise RecipeError(f"{Redactor().mask(url)}: {said}") from exc

    def fetch(self, url: str) -> None:
        """Bring the mirror to what the repository is now; the old state stays whole where that fails.

        Raises:
            RecipeError: the repository cannot be fetched.
        """
        mirror = self.path(url)
        if not self.exists(url):
            self._init(mirror, url)
        elif self._is_current(mirror, url):
            return
        # Imported here: a command that fetches nothing starts sooner without it.
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

        again = Retrying(
            retry=retry_if_exception_type(RecipeError),
            stop=stop_after_attempt(2),
            wait=wait_exponential(multiplier=0.2, max=2),
            reraise=True,
        )
        try:
            again(self._fetch_once, mirror, url)
        except RecipeError as exc:
            # Git that did not end in time says nothing of the mirror.
            if isinstance(exc.__cause__, ActError) or not self._make_anew(mirror, url):
                raise

    def _is_current(self, mirror: Path, url: str) -> bool:
        """Most fetches bring nothing, and cost twice what it takes to see that."""
        ran = self._run(mirror, url, "ls-remote", "--quiet", "--refs", "--", url, "refs/heads/*", "refs/tags/*")
        if ran.code != 0:
            return False  # the fetch says why
        there = ran.raw.decode("utf-8", "replace")
        known = git_listing.read(mirror)
        if known is not None and known.there == git_listing.digest_of(there):
            return True
        # Before the listing: a ref that comes while git lists moves the stamp.
        stamp = git_listing.stamp_of_all(mirror)
        here = self._run(mirror, url, "for-each-ref", f"--format={_FORM}", "refs/heads", "refs/tags", brief=True)
        lines = [line for line in here.raw.decode("utf-8", "replace").split("\n") if line]
        have = {f"{fields[1]}\t{fields[-1]}" for fields in (line.split(" ") for line in lines)}
        if here.code != 0 or have != {line for line in there.split("\n") if line}:
            return False
        tags = "\n".join(line for line in lines if line.rpartition(" ")[2].startswith("refs/tags/"))
        git_listing.write(mirror, Listing(stamp=stamp, there=git_listing.digest_of(there), tags=tags))
        return True

    def list_tags(self, url: str) -> str:
        """The mirror's tags, a line each: type, id, and both of what it names, then the whole name.

        Raises:
            RecipeError: git cannot list them.
        """
        mirror = self.path(url)
        known = git_listing.read(mirror)
        if known is not None:
            return known.tags
        stamp = git_listing.stamp_of_all(mirror)
        ran = must(self.run(url, "for-each-ref", f"--format={_FORM}", "refs/tags", brief=True), "tags cannot be listed")
        tags = ran.raw.decode("utf-8", "replace")
        git_listing.write(mirror, Listing(stamp=stamp, there="", tags=tags))
        return tags

    def _init(self, mirror: Path, url: str, *options: str) -> None:
        files.make_folder(mirror)
        must(self._run(mirror, url, "init", "--quiet", "--bare", *options), f"{url}: cannot make a mirror")

    def _fetch_once(self, mirror: Path, url: str) -> None:
        # Explicit refspecs, so that no server can write other refs. `--prune` makes withdrawn tags go here
        # too; `--atomic` leaves the old state whole if the fetch dies half way.
        ran = self._run(mirror, url, *_FETCH, "--atomic", "--", url, *_REFSPECS)
        if ran.code != 0 and _BLOCKED in ran.output:
            # A branch `a` that became `a/b` cannot be made while the old one is there, which one step does not see.
            ran = self._run(mirror, url, *_FETCH, "--", url, *_REFSPECS)
        must(ran, f"{Redactor().mask(url)}: fetch failed, the last known state stays")

    def _make_anew(self, mirror: Path, url: str) -> bool:
        """Fetch into a new mirror, as after a power cut that tore a file of the old one, or for other digests.

        False: it is not the mirror's fault. The old one is there until the new one is whole.
        """
        fresh = mirror.with_name(f"{mirror.name}.new")
        try:
            shutil.rmtree(fresh, ignore_errors=True)
            self._init(fresh, url)
            listed = self._run(fresh, url, "ls-remote", "--quiet", "--heads", "--tags", "--", url)
            if listed.code != 0:
                return False
            if len(listed.raw.partition(b"\t")[0]) == _SHA256_DIGITS:
                shutil.rmtree(fresh)
                self._init(fresh, url, "--object-format=sha256")
            self._fetch_once(fresh, url)
            # A crash between the two leaves none, which the next fetch makes.
            shutil.rmtree(mirror, ignore_errors=True)
            fresh.rename(mirror)
        except (RecipeError, OSError):
            return False
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return True


def must(ran: process.Ran, what: str) -> process.Ran:
    """What a git process that must end well said.

    Raises:
        RecipeError: it did not; `what` says what that means.
    """
    if ran.code != 0:
        raise RecipeError(f"{what}: {Redactor().mask(ran.output)[-600:]}")
    return ran


def _refuses() -> str:
    """A program that knows no password, wherever this system keeps it; '' stands for none at all."""
    return shutil.which("false") or ""
