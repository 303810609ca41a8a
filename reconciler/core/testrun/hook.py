"""What a forge's webhook says of a pull request, whichever of the three forges it is. Pure. For the page's process.

Forgejo and Gitea send `issue_comment` with `is_pull` and, for a pull request, an issue with `pull_request`; GitHub
sends the same names but for `is_pull`. A push to a pull request is `pull_request` with an action `synchronized`, at
GitHub `synchronize`. Nothing else of the documents is looked at.
"""

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from reconciler.model.app import AppSpec, Kind
from reconciler.model.request import COMMIT, ForgePlace

COMMENT, PUSH = "issue_comment", "pull_request"
EVENTS = (COMMENT, PUSH)
_PUSHED = ("synchronized", "synchronize")
_SHORT = 200
_COMMIT = re.compile(COMMIT)


@dataclass(frozen=True, kw_only=True)
class Said:
    """A new comment on a pull request, or a push to it. `urls`: of its repository; `ref`: its head.

    `comment` None: a push. `place` None: the repository has a name that no forge gives. `head`: the commit that the
    forge saw at its head then, '' if it does not say.
    """

    user: str
    comment: str | None
    urls: tuple[str, ...]
    ref: str
    place: ForgePlace | None
    head: str = ""


def is_signed(body: bytes, secret: bytes, signature: str) -> bool:
    """Say whether the signature, HMAC-SHA256 in hex, is of this body by this secret; GitHub's begins with `sha256=`."""
    given = signature.removeprefix("sha256=").strip().lower().encode(errors="surrogateescape")
    return bool(secret) and hmac.compare_digest(hmac.new(secret, body, "sha256").hexdigest().encode(), given)


def read(event: str, document: object) -> Said | None:
    """Read the document of one of EVENTS; None: it is neither a new comment on a pull request nor a push to one.

    Raises:
        ValueError: it has not the shape of one.
    """
    if not isinstance(document, Mapping):
        raise ValueError("is no object")
    if event == PUSH:
        if document.get("action") not in _PUSHED:
            return None
        pull = _object(document, "pull_request")
        user = _text(_object(document, "sender"), "login", "sender.login")
        return replace(_said(document, pull.get("number"), "pull_request.number", user, None), head=_find_head(pull))
    if document.get("action") != "created":
        return None
    issue, comment = _object(document, "issue"), _object(document, "comment")
    if not (document.get("is_pull") or issue.get("pull_request")):
        return None
    user = _text(_object(comment, "user"), "login", "comment.user.login")
    said = _said(document, issue.get("number"), "issue.number", user, _text(comment, "body", "comment.body", None))
    return replace(said, head=_find_head(document.get("pull_request")))


def _find_head(pull: object) -> str:
    """Not every forge says it with a comment; what is tested comes from git all the same."""
    head = pull.get("head") if isinstance(pull, Mapping) else None
    sha = head.get("sha") if isinstance(head, Mapping) else None
    return sha if isinstance(sha, str) and _COMMIT.fullmatch(sha) else ""


def _said(document: Mapping[object, object], number: object, key: str, user: str, comment: str | None) -> Said:
    repository = _object(document, "repository")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 10**9:
        raise ValueError(f"{key} is no number")
    urls = [repository.get(name) for name in ("clone_url", "ssh_url", "html_url")]
    try:
        place = ForgePlace.model_validate({"repository": repository.get("full_name"), "number": number})
    except ValueError:
        place = None
    return Said(
        user=user,
        comment=comment,
        urls=tuple(url for url in urls if isinstance(url, str)),
        ref=f"refs/pull/{number}/head",
        place=place,
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
