"""The independent checker: reads what lies on disk and says which invariant it breaks. Effects: reads.

Shares no code with the writers on purpose (an import contract holds it): a bug there must not hide itself here.
Invariants are those of docs/invariants.md; severities are error, warning and note (a note is no finding).
"""

import hashlib
import json
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KNOWN_VERSION = 1
_PRIVATE = (
    "known_good.json",
    "last_good",
    "memory.json",
    "journal.json",
    "canonical.json",
    "use.json",
    "promotion.json",
    "inflight.json",
)
_BLOCKS = "blocks:"
"""How a digest begins that is made of those of blocks."""
_BAD_ENDS = ("rolled-back:", "rollback-failed:")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is not as promised."""

    invariant: str
    path: str
    message: str
    severity: str = "error"


def examine(state: Path, *, deep: bool = False, repair: bool = False) -> list[Finding]:
    """Check everything below a state root. `deep` also reads snapshots back. `repair` rewrites `last_good` only."""
    if not state.is_dir():
        return [Finding(invariant="root", path=str(state), message="is not a folder; has ci-warm ever run here?")]
    findings = list(_root(state))
    for folder in sorted(path for path in state.iterdir() if _is_app(path)):
        findings += _app(folder, deep=deep, repair=repair)
    findings += _runs(state / "runs")
    lines = list(_history(state / "history.jsonl", findings))
    alerts = list(_alerts(state / "alerts", findings))
    findings += _ends_have_alerts(lines, alerts)
    return findings


def _is_app(path: Path) -> bool:
    return path.is_dir() and any((path / name).exists() for name in (*_PRIVATE, "snapshot", "releases"))


def _root(state: Path) -> Iterator[Finding]:
    found = state.lstat()
    if found.st_mode & 0o022:
        yield Finding(invariant="I18", path=str(state), message="is writable by others")
    if stat.S_ISLNK(found.st_mode):
        yield Finding(invariant="I18", path=str(state), message="is a symlink")


def _load(path: Path) -> tuple[dict[str, Any] | None, Finding | None]:
    """(the object, what is wrong with it); both None when there is no file."""
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None, None
    except (OSError, ValueError) as exc:
        return None, Finding(invariant="I6", path=str(path), message=f"cannot be read: {exc}")
    if not isinstance(data, dict) or not isinstance(data.get("schema_version"), int):
        return None, Finding(invariant="I6", path=str(path), message="has no schema_version")
    if data["schema_version"] > KNOWN_VERSION:
        return None, Finding(invariant="I6", path=str(path), message=f"has newer schema {data['schema_version']}")
    return data, None


def _app(folder: Path, *, deep: bool, repair: bool) -> list[Finding]:
    findings = list(_modes(folder))
    records = {}
    for name in ("known_good", "memory", "journal", "canonical", "use", "promotion"):
        data, wrong = _load(folder / f"{name}.json")
        records[name] = data
        findings += [wrong] if wrong else []
        if data is not None and data.get("app") != folder.name:
            findings.append(
                Finding(invariant="I18", path=str(folder / name), message=f"belongs to {data.get('app')!r}")
            )
    known, journal = records["known_good"], records["journal"]
    findings += _canonical(folder, records["canonical"], records["promotion"])
    if known is not None:
        findings += _known_good(folder, known, repair=repair, journal=journal)
    if journal is not None:
        what = "is stalled: a human is asked" if journal.get("stalled") else "is open: the next pass resumes it"
        severity = "warning" if journal.get("stalled") else "note"
        findings.append(Finding(invariant="I11", path=str(folder / "journal.json"), message=what, severity=severity))
    findings += _snapshot(folder, known, journal, records["canonical"], deep=deep)
    findings += _leftovers(folder, journal)
    return findings


def _modes(folder: Path) -> Iterator[Finding]:
    if folder.stat().st_mode & 0o077:
        yield Finding(invariant="I19", path=str(folder), message="can be read by others than its owner")
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_mode & 0o077:
            yield Finding(invariant="I19", path=str(path), message="can be read by others than its owner")


def _known_good(
    folder: Path, known: dict[str, Any], *, repair: bool, journal: dict[str, Any] | None
) -> Iterator[Finding]:
    version = known["release"]["version"]
    derived = folder / "last_good"
    text = derived.read_text().strip() if derived.exists() else ""
    if text != version:
        if repair:
            derived.write_text(version + "\n")
            derived.chmod(0o600)
        fixed = " (repaired)" if repair else "; ci-warm doctor --repair rewrites it"
        severity = "note" if repair or journal is not None else "error"
        yield Finding(
            invariant="I6",
            path=str(derived),
            message=f"says {text!r}, known-good is {version}{fixed}",
            severity=severity,
        )
    releases = [known["release"], *([known["fallback"]["release"]] if known.get("fallback") else [])]
    for release in releases:
        yield from _bundle(folder / "releases" / f"{release['bundle']}.json", release)


def _bundle(path: Path, release: dict[str, Any]) -> Iterator[Finding]:
    data, wrong = _load(path)
    if wrong or data is None:
        yield wrong or Finding(invariant="I1", path=str(path), message=f"release {release['version']} is missing")
        return
    fields = {key: value for key, value in data.items() if key not in ("id", "schema_version")}
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    if hashlib.sha256(text).hexdigest() != release["bundle"]:
        yield Finding(invariant="I17", path=str(path), message="is not what its digest says")
    if any("@sha256:" not in image and not image.startswith("sha256:") for image in data.get("images", {}).values()):
        yield Finding(invariant="I17", path=str(path), message="names an image that is not pinned")


def _snapshot(  # noqa: C901 - a line per invariant
    folder: Path,
    known: dict[str, Any] | None,
    journal: dict[str, Any] | None,
    canonical: dict[str, Any] | None,
    *,
    deep: bool,
) -> Iterator[Finding]:
    place = folder / "snapshot"
    manifest, wrong = _load(place / "manifest.json")
    if wrong:
        yield wrong
    wanted = {(known or {}).get("fallback", None) and known["fallback"]["snapshot"]} if known else set()
    if journal is not None and journal.get("snapshot"):
        wanted = {journal["snapshot"]}
    if canonical is not None and not (folder / "promotion.json").exists():
        wanted |= {canonical.get("snapshot")}
    for name in sorted(filter(None, wanted)):
        if manifest is None or manifest["id"] != name:
            yield Finding(
                invariant="I1", path=str(place), message=f"the snapshot {name} that a record names is not there"
            )
    for volume in (manifest or {}).get("volumes", []):
        for key, seal in (("archive", "sha256"), ("index", "index_sha256")):
            path = place / volume[key]
            if not path.is_file():
                yield Finding(invariant="I1", path=str(path), message="is missing from the snapshot")
            elif key == "archive" and path.stat().st_size != volume["archive_bytes"]:
                yield Finding(invariant="I1", path=str(path), message="has the wrong size")
            elif (deep or key == "index") and _digest(path, volume[seal]) != volume[seal]:
                yield Finding(invariant="I1", path=str(path), message="does not match its sha256")


def _canonical(folder: Path, canonical: dict[str, Any] | None, promotion: dict[str, Any] | None) -> Iterator[Finding]:
    """A canonical and its snapshot are of one version; only a promotion under way may have them apart."""
    if promotion is not None:
        message = "a promotion was interrupted: the next pass ends it"
        yield Finding(invariant="I11", path=str(folder / "promotion.json"), message=message, severity="note")
        return
    manifest, _ = _load(folder / "snapshot" / "manifest.json")
    if canonical is None or manifest is None or canonical.get("snapshot") != manifest.get("id"):
        return
    for key in ("version", "commit", "images"):
        if canonical.get(key) != manifest.get(key):
            message = f"its {key} is not that of its snapshot"
            yield Finding(invariant="I1", path=str(folder / "canonical.json"), message=message)
    if any("@sha256:" not in image and not image.startswith("sha256:") for image in canonical["images"].values()):
        yield Finding(invariant="I17", path=str(folder / "canonical.json"), message="names an image that is not pinned")


def _runs(folder: Path) -> Iterator[Finding]:
    for path in sorted(folder.glob("*/run.json")):
        data, wrong = _load(path)
        if wrong or data is None:
            yield wrong or Finding(invariant="I20", path=str(path), message="vanished")
            continue
        if data.get("torn_down"):
            if (path.parent / "work").exists():
                yield Finding(invariant="I20", path=str(path.parent / "work"), message="is left of a run that is over")
            continue
        message = "is not torn down: it runs, is kept, or ci-warm runs reap removes it"
        yield Finding(invariant="I20", path=str(path), message=message, severity="note")


def _digest(path: Path, seal: str) -> str:
    """Of the kind that the seal is: sha256 of the whole, or of the size and the sha256 of each 64 KiB (ADR 0022)."""
    with path.open("rb") as stream:
        if not seal.startswith(_BLOCKS):
            return hashlib.file_digest(stream, "sha256").hexdigest()
        total = hashlib.sha256(b"%d\n" % path.stat().st_size)
        while block := stream.read(64 << 10):
            total.update(hashlib.sha256(block).digest() if block.strip(b"\0") else bytes(32))
        return _BLOCKS + total.hexdigest()


def _leftovers(folder: Path, journal: dict[str, Any] | None) -> Iterator[Finding]:
    for path in folder.iterdir():
        if path.name.startswith((".snapshot.partial", ".drill.")) and journal is None:
            yield Finding(invariant="I20", path=str(path), message="is left over", severity="note")
        if path.name.endswith(".tmp"):
            yield Finding(invariant="I20", path=str(path), message="is left over from a crash", severity="note")
        if ".unreadable-" in path.name:
            message = "is a copy of a record that could not be read"
            yield Finding(invariant="I14", path=str(path), message=message, severity="warning")


def _history(path: Path, findings: list[Finding]) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    raw = path.read_bytes()
    if raw and not raw.endswith(b"\n"):
        findings.append(Finding(invariant="I7", path=str(path), message="has a torn last line", severity="warning"))
    ids: Counter[str] = Counter()
    for number, line in enumerate(raw.splitlines(), 1):
        try:
            data = json.loads(line)
            ids[data["op_id"]] += 1
        except (ValueError, KeyError, TypeError):
            findings.append(Finding(invariant="I7", path=f"{path}:{number}", message="is not a history line"))
            continue
        yield data
    for op_id, count in ids.items():
        if count > 1:
            findings.append(Finding(invariant="I7", path=str(path), message=f"operation {op_id} has {count} lines"))


def _alerts(folder: Path, findings: list[Finding]) -> Iterator[dict[str, Any]]:
    # Hidden files are no alerts: the relay keeps there what it has delivered.
    for path in sorted(p for p in (*folder.glob("*.json"), *(folder / "seen").glob("*.json")) if p.name[0] != "."):
        data, wrong = _load(path)
        if wrong or data is None:
            findings.append(wrong or Finding(invariant="I8", path=str(path), message="vanished"))
            continue
        if not path.name.removesuffix(".json").endswith(f"-{data['reason']}"):
            findings.append(Finding(invariant="I8", path=str(path), message="its name does not end in its reason"))
        yield data


def _ends_have_alerts(lines: list[dict[str, Any]], alerts: list[dict[str, Any]]) -> Iterator[Finding]:
    """I8: a rollback leaves an alert, a commit none."""
    blamed = {(alert["app"], alert.get("attempted")) for alert in alerts}
    ids = {alert.get("op_id") for alert in alerts if alert["reason"] != "stalled"}
    for line in lines:
        ended_badly = line["result"].startswith(_BAD_ENDS)
        if ended_badly and (line["app"], line["to"]) not in blamed:
            yield Finding(invariant="I8", path=line["op_id"], message=f"{line['result']} left no alert")
        if line["result"].startswith(("upgraded:", "deployed:", "healed:")) and line["op_id"] in ids:
            yield Finding(
                invariant="I8", path=line["op_id"], message=f"{line['result']} left an alert", severity="warning"
            )
