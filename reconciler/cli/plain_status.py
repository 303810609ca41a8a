"""`status` into a pipe, from the published file alone: what monitoring asks every minute. Effects: reads.

Command line parser and models cost far more than the file does (ADR 0018); only light modules may be imported here.
What is not exactly as we write it is the ordinary command's (`inspect.status`); a test holds both to the same bytes.
"""

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

STATE = "/var/lib/ci-warm"
_MAX_BYTES = 8 << 20
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?!\.000000)(\.\d{6})?Z")


def answer(argv: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """What `ci-warm status` prints into a pipe; None: not asked for in the plain form, or not for us to judge."""
    try:
        asked = _parse(argv, environ)
        if asked is None:
            return None
        state, as_json = asked
        report = _read(f"{state}/status.json", REPORT)
        return _dump(report) if as_json else _table(report, state)
    except (OSError, ValueError, RecursionError):
        return None


def _parse(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[str, bool] | None:
    """The state root, and whether JSON is asked for."""
    state, words = environ.get("CI_WARM_STATE_DIR", STATE), list(argv)
    while len(words) > 1 and words[0] in ("--config", "--state-dir"):
        if words[1].startswith("-"):
            return None
        state = words[1] if words[0] == "--state-dir" else state
        del words[:2]
    if words not in (["status"], ["status", "--json"]) or not state or "_CI_WARM_COMPLETE" in environ:
        return None
    return state, len(words) > 1


def _table(report: Mapping[str, Any], state: str) -> str:
    folder = f"{state}/alerts"
    names = sorted(os.listdir(folder)) if os.path.lexists(folder) else []  # noqa: PTH208 - likewise
    alerts = [_read(f"{folder}/{name}", ALERT) for name in names if name.endswith(".json") and name[0] != "."]
    held = {alert["app"]: alert["first_at"] for alert in alerts if "held-" in alert["reason"]}
    at = f"{datetime.fromisoformat(report['at']):%Y-%m-%d %H:%M:%S}"
    by = f", by {report['by']}" if report["by"] else ""
    lines = [f"last pass {at} UTC, {report['elapsed_seconds']} s, {report['engine']}{by}\n"]
    for app in report["apps"]:
        why = ", ".join(hold["reason"] for hold in app["holds"])
        since = held.get(app["app"]) if app["holds"] else None
        cells = [app["app"], app["status"], app["result"], app["known_good"] or "-", why]
        cells.append(f"{datetime.fromisoformat(since):%Y-%m-%d %H:%M}" if since else "")
        lines.append("  ".join(" ".join(cell.split()) or "-" for cell in cells) + "\n")
    return "".join(lines)


def _read(path: str, shape: Mapping[str, Any]) -> Any:
    """One of our documents.

    Raises:
        OSError, ValueError: it is not there, or not exactly what this program writes.
    """
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_BYTES:
        raise ValueError
    with open(path, encoding="utf-8", newline="") as file:  # noqa: PTH123 - pathlib costs more than the file
        text = file.read()
    document = json.loads(text, parse_constant=int)  # which takes neither NaN nor Infinity
    # Only what we would write so: a key that stands twice, a lone surrogate or a number of odd form is not.
    if _dump(document) != text or not _fits(document, shape):
        raise ValueError
    return document


def _dump(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _fits(value: Any, shape: Any) -> bool:
    """`shape`: types, a list of one shape, an object's shapes by key in order, or a question to ask of the value."""
    if isinstance(shape, tuple):
        return type(value) in shape  # not isinstance: to that True is a number
    if isinstance(shape, list):
        return type(value) is list and all(_fits(one, shape[0]) for one in value)
    if isinstance(shape, dict):
        keys = list(shape)
        return type(value) is dict and list(value) == keys and all(_fits(value[key], shape[key]) for key in keys)
    if isinstance(shape, set):
        return type(value) in (int, str) and value in shape
    return bool(shape(value))


def _is_time(value: Any) -> bool:
    return type(value) is str and _TIME.fullmatch(value) is not None and bool(datetime.fromisoformat(value))


_TEXT, _MAYBE = (str,), (str, type(None))
_HOLD = {"reason": _TEXT, "detail": _TEXT, "clears_when": _TEXT}
_SNAPSHOT = {"id": _TEXT, "version": _TEXT, "created_at": _is_time, "bytes": (int,)}
APP: Mapping[str, Any] = {
    **dict.fromkeys(("app", "kind", "status", "result"), _TEXT),
    **{"known_good": _MAYBE, "candidate": _MAYBE, "holds": [_HOLD], "evidence": [_TEXT]},
    **{"fallback": _MAYBE, "at": _is_time, "known_good_at": lambda value: value is None or _is_time(value)},
    **{"snapshot": lambda value: value is None or _fits(value, _SNAPSHOT), "node": _TEXT},
}
REPORT: Mapping[str, Any] = {
    **{"schema_version": {1}, "at": _is_time, "elapsed_seconds": (float,), "engine": _TEXT, "apps": [APP], "by": _TEXT},
}
ALERT: Mapping[str, Any] = {
    **{"schema_version": {1}, "app": _TEXT, "reason": _TEXT, "severity": {"info", "warning", "critical"}},
    **{"from": _MAYBE, "to": _MAYBE, "notes": lambda value: type(value) is dict and _fits([*value.values()], [_TEXT])},
    **{"evidence": [_TEXT], "clears_when": _TEXT, "fingerprint": _TEXT, "first_at": _is_time, "last_at": _is_time},
    **{"count": (int,), "told": (int, type(None)), "told_at": lambda value: value is None or _is_time(value)},
    **{"attempted": _MAYBE, "last_good": _MAYBE, "recovered": (bool, type(None)), "op_id": _MAYBE},
    "resolution": _MAYBE,
}
