"""YAML as data, strictly: one loader for specs, settings and compose files. No effects: text in, data out.

Refused: files over 256 KiB, duplicate keys, aliases, depth over 32, keys that are not text, several documents.
Every value keeps its line, so that later checks can name it. Compose files are read as Docker's own loader reads them.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from reconciler.model.errors import Problem, SpecError

MAX_BYTES = 256 << 10
MAX_DEPTH = 32
TWICE = "stands twice"
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)|0[0-7]+|0o[0-7]+|0x[0-9a-fA-F]+")
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_OCTAL = re.compile(r"0[0-7]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DOCKER_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9][0-9]*)")
_TAGGED = re.compile(r"(&\S+\s+)?!")
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Path = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """The data, and the line (from 1) of every key path in it. `problems`: what is not in the data as it is written."""

    data: object
    lines: Mapping[Path, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def line(self, path: Path) -> int:
        """Line of that key, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(raw: bytes, name: str, *, recipe: bool = False) -> Parsed:
    """Read one document. `recipe`: aliases may be used (expansion is bounded), numbers are what Docker takes for them.

    Raises:
        SpecError: with every problem found.
    """
    found = read(raw, name, recipe=recipe)
    if found.problems:
        raise SpecError(found.problems)
    return found


def read(raw: bytes, name: str, *, recipe: bool = False) -> Parsed:
    """Read one document, for a reader that tells the problems in it together with its own.

    Raises:
        SpecError: it cannot be read at all.
    """
    if len(raw) > MAX_BYTES:
        raise SpecError([Problem(file=name, line=0, key="", message=f"is larger than {MAX_BYTES >> 10} KiB")])
    try:
        text = raw.decode("utf-8-sig")
        _check_depth(text, name)
        node = yaml.compose(text, Loader=_LOADER)
    except UnicodeDecodeError as exc:
        raise SpecError([Problem(file=name, line=0, key="", message="is not UTF-8 text")]) from exc
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        mark = getattr(exc, "problem_mark", None)
        line = mark.line + 1 if mark else 0
        what = getattr(exc, "problem", None) or type(exc).__name__
        raise SpecError([Problem(file=name, line=line, key="", message=f"is not valid YAML: {what}")]) from exc
    builder = _Builder(name, text, recipe=recipe)
    data = builder.build(node, (), 0) if node is not None else None
    return Parsed(data=data, lines=builder.lines, problems=tuple(builder.problems))


def _check_depth(text: str, name: str) -> None:
    """Refuse deep nesting before anything recurses over it (the C composer would overflow its stack)."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH + 1:
            line = event.start_mark.line + 1 if event.start_mark else 0
            message = f"is nested deeper than {MAX_DEPTH} levels"
            raise SpecError([Problem(file=name, line=line, key="", message=message)])


def read_plain(text: str) -> object:
    """A scalar without quotes as the YAML of Docker's loader has it, but that dates and infinities stay text."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    number = text if text.startswith(".") else text.replace("_", "")
    if text[0] in "+-0123456789" and _DOCKER_INTEGER.fullmatch(number) and len(number) < 70:
        found = int(re.sub(r"^([-+]?)0(?=[0-7])", r"\g<1>0o", number), 0)
        return found if -(1 << 63) <= found < 1 << 64 else float(found)
    if text[0] in "+-.0123456789" and _FLOAT.fullmatch(number) and math.isfinite(float(number)):
        return float(number)
    return text


class _Builder:
    """Turns YAML nodes into data, collecting problems and lines on the way."""

    MAX_NODES = 20_000

    def __init__(self, name: str, text: str, *, recipe: bool) -> None:
        self.name = name
        self.text = text
        self.recipe = recipe
        self.problems: list[Problem] = []
        self.lines: dict[Path, int] = {}
        self._seen: set[int] = set()
        self._count = 0

    def build(self, node: yaml.Node, path: Path, depth: int) -> object:
        self._count += 1
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if depth > MAX_DEPTH:
            self._problem(line, path, f"is nested deeper than {MAX_DEPTH} levels")
            return None
        # Aliases are walked again at each use, so a few lines of them could expand without end ("billion
        # laughs").
        if self._count > self.MAX_NODES:
            self._problem(line, path, "expands to too many values")
            return None
        if id(node) in self._seen and not self.recipe:
            self._problem(line, path, "aliases are not allowed")
            return None
        self._seen.add(id(node))
        if not isinstance(node, yaml.ScalarNode) and node.tag not in _COLLECTIONS:
            self._problem(line, path, f"has the unknown type {node.tag}")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, index), depth + 1) for index, child in enumerate(node.value)]
        return self._scalar(node, path, line)

    def _mapping(self, node: yaml.MappingNode, path: Path, depth: int) -> dict[str, object]:
        merged: dict[str, object] = {}
        own: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            # `<<` merges only where anchors are allowed; in a spec it is a key like any other, which no schema
            # knows.
            if key_node.tag == "tag:yaml.org,2002:merge" and self.recipe:
                parts = self.build(value_node, (*path, "<<"), depth + 1)
                for part in parts if isinstance(parts, list) else [parts]:
                    # As YAML's merge key has it: of several, the first one named wins.
                    merged = (part if isinstance(part, dict) else {}) | merged
                continue
            if not isinstance(key, str):
                self._problem(line, path, "a key must be text")
                continue
            inner = (*path, key)
            if key in own:
                self._problem(line, inner, TWICE)
            self.lines[inner] = line
            own[key] = self.build(value_node, inner, depth + 1)
        # Own keys win over merged ones, wherever `<<` stands among them.
        return merged | own

    def _scalar(self, node: yaml.Node, path: Path, line: int) -> object:
        """YAML 1.2's plain types: `22:22`, `yes` and dates are text, as the writer meant them."""
        tag, text = node.tag.removeprefix("tag:yaml.org,2002:"), node.value
        if self.recipe and self._is_plain(node):
            return read_plain(text)
        match tag:
            case "null":
                return None
            # PyYAML follows YAML 1.1, where `no`, `on` and `y` are booleans; a country code or a mode would
            # turn into one.
            case "bool" if text.lower() in ("true", "false"):
                return text.lower() == "true"
            # YAML 1.1 also reads `22:22` as a number of base 60, which a port mapping is not.
            case "int" if _INTEGER.fullmatch(text) and len(text) < 40:
                return int(text, 8) if _OCTAL.fullmatch(text) else int(text, 0)
            case "float" if _FLOAT.fullmatch(text):
                return float(text)
            case "str" | "bool" | "int" | "float" | "timestamp" | "value" | "merge":
                return text
        self._problem(line, path, f"has the unknown type {node.tag}")
        return None

    def _is_plain(self, node: yaml.Node) -> bool:
        """Say whether a scalar has neither quotes nor a tag of its own."""
        written = self.text[node.start_mark.index : node.end_mark.index]
        return isinstance(node, yaml.ScalarNode) and not node.style and _TAGGED.match(written) is None

    def _problem(self, line: int, path: Path, message: str) -> None:
        if len(self.problems) < 100:
            key = ".".join(str(part) for part in path)
            self.problems.append(Problem(file=self.name, line=line, key=key, message=message))
