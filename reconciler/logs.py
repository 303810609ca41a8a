"""Logging: structlog, JSON for machines, console on a terminal, secrets masked in both. Effects: stderr."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

from reconciler.core.redact import Redactor


def configure(*, verbose: bool) -> None:
    """Set structlog up for this process."""
    import structlog

    on_terminal = sys.stderr.isatty()
    renderer: Any = structlog.dev.ConsoleRenderer() if on_terminal else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _mask,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _mask(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    redactor = Redactor()
    return {key: redactor.mask(value) if isinstance(value, str) else value for key, value in event.items()}
