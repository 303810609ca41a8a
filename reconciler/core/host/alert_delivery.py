"""Which alerts are to be sent on, given what was sent before. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.model.alert import Alert


@dataclass(frozen=True, kw_only=True)
class Message:
    """One thing to tell. `key`: the alert's file name; `mark`: what is remembered when it is delivered."""

    key: str
    mark: str
    title: str
    body: str
    alert: Alert


def messages(
    now_open: Sequence[tuple[str, Alert]], archived: Sequence[tuple[str, Alert]], delivered: Mapping[str, str]
) -> list[Message]:
    """New alerts, those that are news again, and the end of those that were told. Oldest first.

    `delivered`: file name -> mark, as remembered.
    """
    found = [_message(name, alert, "") for name, alert in now_open]
    # Acknowledged is not over: a receiver that was told hears of the end when it ends.
    over = [(name, alert) for name, alert in archived if "resolved" in (alert.resolution or "")]
    found += [_message(name, alert, "resolved") for name, alert in over if name in delivered]
    return sorted((m for m in found if delivered.get(m.key) != m.mark), key=lambda message: message.key)


def _message(name: str, alert: Alert, end: str) -> Message:
    # It moves with a new detail and when a reminder is due, and each of these is told; the count moves in each pass.
    mark = end or f"{alert.severity}:{alert.told or alert.count}"
    title = f"{'resolved' if end else alert.severity}: {alert.app} {alert.reason}"
    versions = f"{alert.from_version or '-'} -> {alert.to_version}" if alert.to_version else ""
    lines = [versions, *alert.evidence]
    if not end:
        lines.append(f"clears when: {alert.clears_when}")
    body = "\n".join(line for line in lines if line)
    return Message(key=name, mark=mark, title=title, body=body, alert=alert)


def remember(
    delivered: Mapping[str, str], sent: Sequence[Message], now_open: Sequence[tuple[str, Alert]]
) -> dict[str, str]:
    """What to remember: the marks of what stands, and of what ended and could not be told yet."""
    marks = {**delivered, **{message.key: message.mark for message in sent}}
    names = {name for name, _ in now_open}
    # A mark of one that ended stays until its end was told: without it the receiver would never hear of the
    # end.
    return {name: mark for name, mark in marks.items() if name in names or mark != "resolved"}
