"""Release notes: which of them say that a human must act. Pure."""

import re
from collections.abc import Mapping, Sequence

NOTE_PLACES = ("release/{}", "release/{}.md", "releaseNotes/{}.md")
"""Where recipes keep the notes of a version; all are read."""
_AROUND = 80
"""Characters of the text that are quoted on either side of what was found."""


def alarming(notes: Mapping[str, str], patterns: Sequence[str]) -> dict[str, str]:
    """Version -> the first line of its notes that matches a pattern, for those that have one."""
    compiled = [re.compile(pattern, re.IGNORECASE) for pattern in patterns]
    found = {}
    for version, text in notes.items():
        line = next((line.strip() for line in text.splitlines() if any(p.search(line) for p in compiled)), None)
        if line is None:
            line = _quote_across_lines(text, compiled)
        if line is not None:
            found[version] = line
    return found


def _quote_across_lines(text: str, patterns: Sequence[re.Pattern[str]]) -> str | None:
    """The words around a phrase that is broken over two lines; None: there is none."""
    joined = " ".join(text.split())
    match = next((found for pattern in patterns if (found := pattern.search(joined))), None)
    if match is None:
        return None
    begin = max(0, match.start() - _AROUND)
    return joined[begin : match.end() + _AROUND]
