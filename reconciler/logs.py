"""Logging: structlog, JSON for machines, console on a terminal, secrets masked in both. Effects: stderr or stdout."""

import logging
import os
import sys
import threading
from collections.abc import Callable, MutableMapping
from typing import Any, TextIO

from reconciler.core.redact import Redactor

_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


class Log:
    """What is logged; structlog is imported at the first line, as most commands write none."""

    def info(self, event: str, **fields: Any) -> None:
        """A line of level info; `event` is its name."""
        load().get_logger("ci-warm").info(event, **fields)

    def warning(self, event: str, **fields: Any) -> None:
        """As `info`."""
        load().get_logger("ci-warm").warning(event, **fields)

    def error(self, event: str, **fields: Any) -> None:
        """As `info`."""
        load().get_logger("ci-warm").error(event, **fields)


_wanted: list[Callable[[], None]] = []
_loading = threading.RLock()


def configure(*, verbose: bool, service: bool = False) -> None:
    """Set logging up for this process: at once if structlog is there, else when it is.

    `service`: the daemon's log is what it prints, so it goes to stdout, and each line tells journald its priority.
    """
    out = sys.stdout if service else sys.stderr
    _wanted[:] = [lambda: _configure(out, verbose=verbose, service=service)]
    if service or "structlog" in sys.modules:
        load()


def load() -> Any:
    """The module structlog, set up. Without rich, which it would take for tracebacks that we do not print.

    Whoever uses structlog by its own name calls this first; whoever imports rich afterwards gets it.
    """
    with _loading:
        blocked = not {"rich", "structlog"} & sys.modules.keys()
        if blocked:
            sys.modules["rich"] = None  # type: ignore[assignment] # the documented way to say that a module cannot be had
        try:
            import structlog
        finally:
            if blocked:
                del sys.modules["rich"]
        while _wanted:
            _wanted.pop()()
    return structlog


def _configure(out: TextIO, *, verbose: bool, service: bool) -> None:
    import structlog

    renderer: Any = structlog.processors.JSONRenderer()
    if out.isatty():
        renderer = structlog.dev.ConsoleRenderer(colors=uses_colour())
    target: Any = _Terminal() if out is sys.stderr and out.isatty() else out
    last: list[Any] = [_number, renderer, _prefix] if service and "JOURNAL_STREAM" in os.environ else [renderer]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _mask,
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )


class _Terminal:
    """stderr as it is when a line is written: while a bar is drawn, something else stands there and writes above it."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def uses_colour() -> bool:
    """Whether nobody asked for none (no-color.org), and the terminal shows it; it can show movement then, too."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in ("dumb", "")


def _mask(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    redactor = Redactor()
    return {key: _masked(redactor, value) for key, value in event.items()}


def _masked(redactor: Redactor, value: Any) -> Any:
    if isinstance(value, str):
        return redactor.mask(value)
    if isinstance(value, list | tuple):
        return [_masked(redactor, item) for item in value]
    return value


def _number(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["priority"] = _PRIORITIES.get(str(event.get("level")), 6)
    return event


def _prefix(_logger: object, method: str, line: str) -> str:
    """sd-daemon(3): a line that starts with <N> has priority N."""
    return f"<{_PRIORITIES.get(method, 6)}>{line}"
