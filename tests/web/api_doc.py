"""A document with the table of what the API says of itself: `python -m tests.web.api_doc FILE`. Effects: that file."""

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from reconciler.model.settings import WebSettings
from reconciler.web import app

BEGIN, END = "<!-- made by python -m tests.web.api_doc FILE -->\n", "<!-- end -->\n"


def described() -> dict[str, Any]:
    """The OpenAPI document of a page that anybody may read."""
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = app.build(Path(folder), Path(folder) / "config.yaml", WebSettings(), "").openapi()
    return found


def table(document: dict[str, Any]) -> str:
    """A row per operation: address, what it gives, what it takes."""
    lines = ["| address | what | takes |", "| --- | --- | --- |"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            lines.append(f"| `{method.upper()} {path}` | {_says(operation)} | {_takes(document, operation)} |")
    return "\n".join(lines) + "\n"


def _says(operation: dict[str, Any]) -> str:
    return " ".join(operation["description"].split()).replace("|", "\\|")


def _takes(document: dict[str, Any], operation: dict[str, Any]) -> str:
    taken = [f"`{one['name']}`" for one in operation.get("parameters", []) if one["in"] == "query"]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if "$ref" in body:
        properties = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]["properties"]
        taken.append(f"a document with {', '.join(f'`{name}`' for name in properties)}")
    return ", ".join(taken)


def rewritten(text: str) -> str:
    """The document with today's table."""
    return re.sub(
        f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: f"{BEGIN}{table(described())}{END}", text, flags=re.S
    )


if __name__ == "__main__":
    given = Path(sys.argv[1])
    given.write_text(rewritten(given.read_text()))
