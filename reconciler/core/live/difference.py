"""What a release changes of what runs, from the two documents: names and images, never values of variables. Pure.

Called by `engine.operate.plan`. Whether it may be taken is asked elsewhere (`gate`).
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from reconciler.core.release import compose
from reconciler.model.base import Json

Kind = Literal["service", "image", "env", "port", "volume", "network", "config", "secret"]
_SECTIONS: tuple[tuple[Kind, str], ...] = (
    ("volume", "volumes"),
    ("network", "networks"),
    ("config", "configs"),
    ("secret", "secrets"),
)


@dataclass(frozen=True, kw_only=True)
class Side:
    """A document with the images as they are asked for, by service. One that deploys nothing is empty."""

    doc: Mapping[str, object]
    images: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Change:
    """`before` '': it is added; `after` '': it goes. Of a variable both are its name, for its value is not shown."""

    kind: Kind
    name: str
    before: str
    after: str

    def __str__(self) -> str:
        if self.before and self.after:
            moved = f" {self.before} -> {self.after}" if self.before != self.after else ""
            return f"~ {self.kind} {self.name}{moved}"
        shown = self.before or self.after
        return f"{'+' if self.after else '-'} {self.kind} {self.name}" + (f" {shown}" if shown != self.name else "")


def compare(before: Side, after: Side) -> tuple[Change, ...]:
    """Every change, services first, by name."""
    return (*_services(before, after), *_sections(before.doc, after.doc))


def _services(before: Side, after: Side) -> Iterator[Change]:
    old, new = compose.services(before.doc), compose.services(after.doc)
    for name in sorted({*old, *new}):
        if name not in old or name not in new:
            yield _by_name("service", name, old, new)
        was, is_ = before.images.get(name, ""), after.images.get(name, "")
        if was != is_:
            yield Change(kind="image", name=name, before=was, after=is_)
        yield from _env(name, old.get(name, {}), new.get(name, {}))
        yield from _ports(name, old.get(name, {}), new.get(name, {}))


def _env(service: str, old: Json, new: Json) -> Iterator[Change]:
    was, is_ = old.get("environment") or {}, new.get("environment") or {}
    for name in sorted({*was, *is_}):
        if name not in was or name not in is_ or str(was[name]) != str(is_[name]):
            yield _by_name("env", name, was, is_, f"{service}.{name}")


def _ports(service: str, old: Json, new: Json) -> Iterator[Change]:
    was, is_ = _port_texts(old.get("ports") or ()), _port_texts(new.get("ports") or ())
    yield from (Change(kind="port", name=service, before=text, after="") for text in sorted(was - is_))
    yield from (Change(kind="port", name=service, before="", after=text) for text in sorted(is_ - was))


def _port_texts(ports: Sequence[object]) -> set[str]:
    found = set()
    for port in ports:
        if isinstance(port, Mapping):
            where = f"{port.get('published') or '?'}:{port.get('target')}"
            found.add(f"{where}/{port.get('protocol') or 'tcp'} {port.get('mode') or 'ingress'}")
        else:
            found.add(str(port))
    return found


def _sections(old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[Change]:
    for kind, section in _SECTIONS:
        was, is_ = compose.section(old, section), compose.section(new, section)
        for name in sorted({*was, *is_}):
            if name not in was or name not in is_:
                yield _by_name(kind, name, was, is_)


def _by_name(kind: Kind, key: str, old: Container[str], new: Container[str], shown: str = "") -> Change:
    name = shown or key
    return Change(kind=kind, name=name, before=name if key in old else "", after=name if key in new else "")
