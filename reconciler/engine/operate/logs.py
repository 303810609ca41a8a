"""What an app's containers said last, and what those of a failed release said. Effects: reads only."""

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.core import redact
from reconciler.engine.context import Context
from reconciler.model.errors import StateError, UsageError
from reconciler.model.history import HistoryLine


@dataclass(frozen=True, kw_only=True)
class LastWords:
    """Service -> text, secrets masked. `of`: the release that failed, and `at`, when; '' for what is there now."""

    said: Mapping[str, str]
    of: str = ""
    at: str = ""


def read_running(context: Context, lines: int) -> LastWords:
    """The newest containers of each service, those that ended too.

    Raises:
        UsageError: there is no container of the app.
        ObserveError: the engine could not be asked.
    """
    known = context.ports.store.known_good(context.app)
    try:
        doc = context.ports.store.bundle(context.app, known.release.bundle).doc if known is not None else {}
    except StateError:
        doc = {}  # the spec's own secrets are masked all the same
    mask = redact.for_app(context.spec.env, doc)
    said = {name: mask(text) for name, text in context.ports.node.containers.logs(context.stack, lines).items()}
    if not said:
        raise UsageError(f"{context.app} has no container here; ci-warm logs {context.app} --failed: the last failure")
    return LastWords(said=said)


def read_failed(context: Context, lines: int) -> LastWords:
    """What was kept of the last release that failed; its containers are gone.

    Raises:
        UsageError: none failed here, or nothing was kept of it.
    """
    store = context.ports.store
    failed = [one for one in context.ports.history.lines() if one.app == context.app and one.log]
    if not failed:
        raise UsageError(f"no release of {context.app} that failed has left a log here")
    last: HistoryLine = failed[-1]
    try:
        text = (store.root / last.log).read_text("utf-8", "replace")
    except FileNotFoundError as exc:
        raise UsageError(f"the log of {last.result} is no longer kept ({last.log})") from exc
    mask = redact.for_app(context.spec.env, {})
    said = {name: "\n".join(mask(words).splitlines()[-lines:]) for name, words in _split(text).items()}
    return LastWords(said=said, of=last.to_version or "", at=f"{last.ts:%Y-%m-%d %H:%M:%S}")


def _split(text: str) -> dict[str, str]:
    """By service, as `change.last_words` wrote it."""
    found: dict[str, str] = {}
    for part in f"\n{text}".split("\n--- ")[1:]:
        name, _, words = part.partition("\n")
        found[name] = words
    return found
