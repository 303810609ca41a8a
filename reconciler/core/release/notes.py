"""Release notes: which of them say that a human must act. Pure."""

import re
from collections.abc import Mapping, Sequence

NOTE_PLACES = ("release/{}", "release/{}.md", "releaseNotes/{}.md")
"""Where recipes keep the notes of a version; all are read."""


def alarming(notes: Mapping[str, str], patterns: Sequence[str]) -> dict[str, str]:
    """Version -> the first line of its notes that matches a pattern, for those that have one."""
    compiled = [re.compile(pattern, re.IGNORECASE) for pattern in patterns]
    found = {}
    for version, text in notes.items():
        line = next((line.strip() for line in text.splitlines() if any(p.search(line) for p in compiled)), None)
        if line is None and any(p.search(" ".join(text.split())) for p in compiled):
            line = " ".join(text.split())[:200]  # the phrase is broken over two lines
        if line is not None:
            found[version] = line
    return found
