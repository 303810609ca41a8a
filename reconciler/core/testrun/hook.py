"""What a forge's webhook says of a comment, whichever of the three forges it is. Pure. Called by the page's process.

Forgejo and Gitea send `issue_comment` with `is_pull` and, for a pull request, an issue with `pull_request`; GitHub
sends the same names but for `is_pull`. Nothing else of the document is looked at.
"""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from reconciler.model.app import AppSpec, Kind

EVENT = "issue_comment"
_SHORT = 200


@dataclass(frozen=True, kw_only=True)
class Said:
    """A new comment on a pull request. `urls`: of its repository; `ref`: the head of the pull request."""

    user: str
    comment: str
    urls: tuple[str, ...]
    ref: str


def is_signed(body: bytes, secret: bytes, signature: str) -> bool:
    """Say whether the signature, HMAC-SHA256 in hex, is of this body by this secret; GitHub's begins with `sha256=`."""
    given = signature.removeprefix("sha256=").strip().lower().encode(errors="surrogateescape")
    return bool(secret) and hmac.compare_digest(hmac.new(secret, body, "sha256").hexdigest().encode(), given)


def read(document: object) -> Said | None:
    """Read the document of an `issue_comment`; None: it is no new comment on a pull request.

    Raises:
        ValueError: it has not the shape of one.
    """
    if not isinstance(document, Mapping):
        raise ValueError("is no object")
    if document.get("action") != "created":
        return None
    issue, comment = _object(document, "issue"), _object(document, "comment")
    if not (document.get("is_pull") or issue.get("pull_request")):
        return None
    number, repository = issue.get("number"), _object(document, "repository")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 10**9:
        raise ValueError("issue.number is no number")
    urls = [repository.get(key) for key in ("clone_url", "ssh_url", "html_url")]
    return Said(
        user=_text(_object(comment, "user"), "login", "comment.user.login"),
        comment=_text(comment, "body", "comment.body", None),
        urls=tuple(url for url in urls if isinstance(url, str)),
        ref=f"refs/pull/{number}/head",
    )


def find_canonical(urls: Iterable[str], specs: Iterable[AppSpec]) -> str | None:
    """The canonical whose recipe lies in that repository; None: none does."""
    wanted = {_repository(url) for url in urls} - {None}
    found = (spec.name for spec in specs if spec.kind is Kind.CANONICAL and _repository(spec.recipe.url) in wanted)
    return next(found, None)


def _repository(url: str) -> tuple[str, str] | None:
    """Host and path of a repository, however it is reached."""
    if "://" not in url and ":" in url:  # user@host:path
        url = f"ssh://{url.replace(':', '/', 1)}"
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    path = parts.path.strip("/").removesuffix(".git").lower()
    return (host, path) if host and path else None


def _object(document: Mapping[object, object], key: str) -> Mapping[object, object]:
    found = document.get(key)
    if not isinstance(found, Mapping):
        raise ValueError(f"{key} is no object")
    return found


def _text(document: Mapping[object, object], key: str, name: str, longest: int | None = _SHORT) -> str:
    found = document.get(key)
    if not isinstance(found, str) or (longest is not None and not 0 < len(found) <= longest):
        raise ValueError(f"{name} is no text")
    return found
