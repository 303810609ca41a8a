"""Maintenance windows. Pure."""

from datetime import datetime
from zoneinfo import ZoneInfo

from reconciler.model.app import Window


def is_open(window: str | None, now: datetime) -> bool:
    """Say whether `now` falls in the window; no window is always open. The end minute is outside."""
    if window is None:
        return True
    parsed = Window.parse(window)
    local = now.astimezone(ZoneInfo(parsed.zone))
    minute = local.hour * 60 + local.minute
    if parsed.start_minute < parsed.end_minute:
        return parsed.start_minute <= minute < parsed.end_minute
    return minute >= parsed.start_minute or minute < parsed.end_minute
