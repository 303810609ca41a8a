"""Records as JSON files: read, checked, written. Effects: files.

The store of all of them is `record_store`: who reads one kind of record need not import the others. Anything torn,
newer or foreign is copied aside once and raises `StateError`; it is never reset to empty.
"""

import hashlib
import json
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from reconciler.model.base import Record
from reconciler.model.errors import StateError
from reconciler.state import files

R = TypeVar("R", bound=Record)
MAX_BYTES = 64 << 20


def read(path: Path, model: type[R], version: int = 1) -> R | None:
    """Read one record; None if there is no file.

    Raises:
        StateError: unreadable, torn, of a newer schema, or not of this shape. The content is copied aside.
    """
    try:
        # A fifo or a device here would block or feed us for ever; a link would make another file our record.
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise StateError(str(path), "is not a regular file")
        if path.exists() and path.stat().st_size > MAX_BYTES:
            raise StateError(str(path), "is larger than any record of ours")
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise StateError(str(path), f"cannot be read: {exc.strerror}") from exc
    try:
        return parse(raw, model, version)
    except ValueError as exc:
        # The copy is named by its content, so a pass that meets the same damage again writes nothing.
        _keep_copy(path, raw)
        raise StateError(str(path), str(exc)) from exc


def parse(raw: bytes, model: type[R], version: int = 1) -> R:
    """Turn bytes into a record.

    Raises:
        ValueError: with one sentence that says what is wrong.
    """
    try:
        data = json.loads(raw, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"is not valid JSON ({exc}); {len(raw)} bytes") from exc
    if not isinstance(data, dict):
        raise ValueError("is not a JSON object")
    found = data.get("schema_version")
    # In Python `True` is an int, and JSON's `true` would pass for version 1.
    if not isinstance(found, int) or isinstance(found, bool):
        raise ValueError("has no schema_version")
    # A newer program wrote it: dropping what we do not know and writing it back would lose it for that
    # program.
    if found > version:
        raise ValueError(f"has schema version {found}, newer than {version}, the newest this program knows")
    try:
        return model.model_validate(data)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"key {where or '(whole)'}: {first['msg']}") from exc


def _refuse_constant(text: str) -> object:
    raise ValueError(f"{text} is not a number we accept")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    # JSON lets a later key win in silence; of two values of one key we cannot tell which was meant.
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def dump(record: Record) -> bytes:
    """The record as it goes to disk: readable, one final newline."""
    return (record.model_dump_json(by_alias=True, indent=1) + "\n").encode()


def _keep_copy(path: Path, raw: bytes) -> None:
    copy = path.with_name(f"{path.name}.unreadable-{hashlib.sha256(raw).hexdigest()[:12]}")
    try:
        if not copy.exists():
            files.write_atomic(copy, raw)
    except OSError:
        return  # the original stays in place; the StateError that follows names it
