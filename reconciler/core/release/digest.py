"""One canonical text for a JSON value, and its digest. Pure."""

import hashlib
import json


def canonical(value: object) -> bytes:
    """Serialise so that equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: object) -> str:
    """sha256 of the canonical text, hex."""
    return hashlib.sha256(canonical(value)).hexdigest()
