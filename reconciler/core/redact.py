"""Secrets out of everything people read: by value and by key. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping

MASK = "***"
_SECRET_KEY = re.compile(r"(?i)(pass(word|wd)?|secret|token|api_?key|credential|private_?key)")
_ASSIGNMENT = re.compile(
    r"(?i)((?:password|passwd|secret|token|api_?key|authorization)[\w.-]{0,40}[\"']?\s{0,3}[=:]\s{0,3}"
    r"(?:bearer |basic )?)(\"[^\"\n]{0,4096}\"|'[^'\n]{0,4096}'|[^\s,;\"']{1,4096})"
)
_URL_USER = re.compile(r"(://)[^/\s@]{1,512}@")
LONGEST = 64 << 10
"""Longer text is cut before it is masked: no person reads it, and it may be made to be slow."""
SHORTEST = 6
LONG_LINE = 16


def sounds_secret(name: str) -> bool:
    """Say whether a variable of that name may hold what nobody should read."""
    return _SECRET_KEY.search(name) is not None


def secret_values(env: Mapping[str, str]) -> list[str]:
    """Values of variables whose names sound secret, long enough to be masked without hiding ordinary words.

    Of a value of several lines each long one too: logs come line by line.
    """
    values = [value for key, value in env.items() if sounds_secret(key) and len(value) >= SHORTEST]
    lines = [line.strip() for value in values for line in value.splitlines()]
    return [*values, *(line for line in lines if len(line) >= LONG_LINE and not line.startswith("-----"))]


class Redactor:
    """Masks known values, `password=...` assignments and passwords in URLs."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        # Longest first: a value that is a part of another one would leave the rest of it in the open.
        self._values = sorted({value for value in values if len(value) >= SHORTEST}, key=len, reverse=True)

    def mask(self, text: str) -> str:
        """Replace what must not be seen."""
        if len(text) > LONGEST:
            text = f"{text[: LONGEST // 2]}\n...\n{text[-LONGEST // 2 :]}"
        for value in self._values:
            text = text.replace(value, MASK)
        text = _URL_USER.sub(rf"\g<1>{MASK}@", text)
        return _ASSIGNMENT.sub(rf"\g<1>{MASK}", text)


def for_document(doc: Mapping[str, object]) -> Redactor:
    """A redactor for what is said by and of the services of a compose document: masks their secret variables."""
    values: list[str] = []
    services = doc.get("services")
    for service in services.values() if isinstance(services, Mapping) else ():
        environment = service.get("environment") or {}
        values += secret_values({key: str(value) for key, value in environment.items()})
    return Redactor(values)


def for_app(env: Mapping[str, str], doc: Mapping[str, object]) -> Callable[[str], str]:
    """Masks what is secret by the spec's variables, and by the release's own: either may have moved on."""
    by_spec, by_release = Redactor(secret_values(env)), for_document(doc)
    return lambda text: by_release.mask(by_spec.mask(text))
