"""Compose documents of which it is known what Docker does with them: `tests/real` asks it, other tests rely on it."""

from typing import Any

IMAGE = "ci-warm-documents:1"
"""Where an engine is asked, the image of the tests stands in its place."""


def document(top: dict[str, Any] | None = None, /, **service: Any) -> dict[str, Any]:
    """A stack of one service."""
    base = {"image": IMAGE, "command": ["sleep", "1000"], "stop_grace_period": "0s"}
    return {"version": "3.8", "services": {"app": base | service}, **(top or {})}


def deploying(**deploy: Any) -> dict[str, Any]:
    """That part of a service."""
    return {"deploy": deploy}
