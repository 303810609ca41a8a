"""What to do about each alert, as the page has it, made of a document: `python -m tests.web.cures FILE`.

Effects: `reconciler/web/static/cures.json`.
"""

import json
import re
import sys
from pathlib import Path

MADE = Path(__file__).parents[2] / "reconciler" / "web" / "static" / "cures.json"


def read(document: str) -> dict[str, str]:
    """Reason -> what to do, by the table of docs/alerts.md."""
    found = {}
    for line in document.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 3 and cells[0].startswith("`"):
            for reason in re.findall(r"`([a-z-]+)`", cells[0]):
                found[reason] = re.sub(r" \(\[.*?\]\(.*?\)\)|\[(.*?)\]\(.*?\)", r"\1", cells[2].replace(r"\|", "|"))
    return found


def write(document: str) -> str:
    """What the page has."""
    return json.dumps(read(document), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    MADE.write_text(write(Path(sys.argv[1]).read_text()))
