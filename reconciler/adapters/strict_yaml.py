"""YAML as data, strictly: one loader for specs, settings and compose files. No effects: text in, data out.

Refused: files over 256 KiB, duplicate keys, aliases, depth over 32, keys that are not text, several documents.
Every value keeps its line, so that later checks can name it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from reconciler.model.errors import Problem, SpecError

MAX_BYTES = 256 << 10
MAX_DEPTH = 32
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Path = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """The data, and the line (from 1) of every key path in it."""

    data: object
    lines: Mapping[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """Line of that key, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(raw: bytes, name: str, *, anchors: bool = False) -> Parsed:
    """Read one document. `anchors`: recipes may use aliases (expansion is bounded), specs may not.

    Raises:
        SpecError: with every problem found.
    """
    if len(raw) > MAX_BYTES:
        raise SpecError([Problem(file=name, line=0, key="", message=f"is larger than {MAX_BYTES >> 10} KiB")])
    try:
        node = yaml.compose(raw.decode("utf-8-sig"), Loader=_LOADER)
    except UnicodeDecodeError as exc:
        raise SpecError([Problem(file=name, line=0, key="", message="is not UTF-8 text")]) from exc
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        mark = getattr(exc, "problem_mark", None)
        line = mark.line + 1 if mark else 0
        what = getattr(exc, "problem", None) or type(exc).__name__
        raise SpecError([Problem(file=name, line=line, key="", message=f"is not valid YAML: {what}")]) from exc
    builder = _Builder(name, anchors=anchors)
    data = builder.build(node, (), 0) if node is not None else None
    if builder.problems:
        raise SpecError(builder.problems)
    return Parsed(data=data, lines=builder.lines)


class _Builder:
    """Turns YAML nodes into data, collecting problems and lines on the way."""

    MAX_NODES = 20_000

    def __init__(self, name: str, *, anchors: bool) -> None:
        self.name = name
        self.anchors = anchors
        self.problems: list[Problem] = []
        self.lines: dict[Path, int] = {}
        self._constructor = yaml.SafeLoader("")
        self._seen: set[int] = set()
        self._count = 0

    def build(self, node: yaml.Node, path: Path, depth: int) -> object:
        self._count += 1
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if depth > MAX_DEPTH:
            self._problem(line, path, f"is nested deeper than {MAX_DEPTH} levels")
            return None
        if self._count > self.MAX_NODES:
            self._problem(line, path, "expands to too many values")
            return None
        if id(node) in self._seen and not self.anchors:
            self._problem(line, path, "aliases are not allowed")
            return None
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, index), depth + 1) for index, child in enumerate(node.value)]
        return self._scalar(node, path, line)

    def _mapping(self, node: yaml.MappingNode, path: Path, depth: int) -> dict[str, object]:
        found: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key_node.tag == "tag:yaml.org,2002:merge" and self.anchors:
                merged = self.build(value_node, path, depth + 1)
                for part in merged if isinstance(merged, list) else [merged]:
                    found = (part if isinstance(part, dict) else {}) | found
                continue
            if not isinstance(key, str):
                self._problem(line, path, "a key must be text")
                continue
            inner = (*path, key)
            if key in found and inner in self.lines:
                self._problem(line, inner, "stands twice")
            self.lines.pop(inner, None)
            self.lines[inner] = line
            found[key] = self.build(value_node, inner, depth + 1)
        return found

    def _scalar(self, node: yaml.Node, path: Path, line: int) -> object:
        try:
            return self._constructor.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError, OverflowError) as exc:
            self._problem(line, path, f"cannot be read: {getattr(exc, 'problem', None) or exc}")
            return None

    def _problem(self, line: int, path: Path, message: str) -> None:
        if len(self.problems) < 100:
            key = ".".join(str(part) for part in path)
            self.problems.append(Problem(file=self.name, line=line, key=key, message=message))
