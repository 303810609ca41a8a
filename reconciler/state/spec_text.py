"""A draft as the text of a spec file, with what is in doubt as comments. No effects: a value in, text out."""

import textwrap
from collections.abc import Iterable
from pathlib import Path

import yaml

from reconciler.model.app import AppSpec
from reconciler.model.draft import Doubt, Draft
from reconciler.state import specs, strict_yaml

SCHEMA = "# yaml-language-server: $schema=../schema/app.schema.json"
"""For editors: completion and checks while a spec is written; `init` puts the schemas there."""
_WIDTH = 100


def write(draft: Draft, heading: Iterable[str] = ()) -> str:
    """The text, read back before it is given.

    Raises:
        SpecError: what was found does not make a spec.
    """
    known = set(draft.spec)
    lines = [SCHEMA, *_comment(heading)]
    for key, value in draft.spec.items():
        lines += _comment(_of(draft.doubts, key))
        lines += _dump({key: value})
    rest = [doubt.text for doubt in draft.doubts if doubt.key not in known]
    text = "\n".join([*lines, *_comment(rest)]) + "\n"
    parse(text, f"{draft.name}.yaml")
    return text


def parse(text: str, name: str) -> AppSpec:
    """The spec that a text makes.

    Raises:
        SpecError: every problem in it.
    """
    return specs.validate(strict_yaml.parse(text.encode(), name), AppSpec, name)


def note_of(path: Path, doubts: Iterable[Doubt]) -> list[str]:
    """What is told of a file on a terminal: a line per doubt."""
    return [f"{path}: {doubt.key}: {doubt.text}" if doubt.key else f"{path}: {doubt.text}" for doubt in doubts]


def _of(doubts: Iterable[Doubt], key: str) -> list[str]:
    return [doubt.text for doubt in doubts if doubt.key == key]


def _comment(texts: Iterable[str]) -> list[str]:
    return [f"# {line}" for text in texts for line in textwrap.wrap(text, _WIDTH, break_long_words=False)]


def _dump(value: object) -> list[str]:
    # As JSON where that is shorter would hide long mappings in one line; a block reads better.
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)
    return text.rstrip("\n").split("\n")
