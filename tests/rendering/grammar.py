"""Generated compose documents: an app in one to three files, with what its services lean on. Pure.

Each case is a seed and a number. Its services and volumes are named after the number, so that many cases make one
document, which the docker CLI reads in one run.
"""

import random
from dataclasses import dataclass, field

from tests.rendering import service
from tests.rendering import values as v
from tests.rendering.values import Make, Rng

FILES = {name: f"content of {name}\n".encode() for name in ("a.txt", "b.txt", "sub/c.txt")} | {"some.env": b"X=1\n"}
SECTIONS = ("networks", "volumes", "configs", "secrets")
Document = dict[str, object]


@dataclass
class Case:
    """One generated app: what each of its files says, section by section."""

    number: int
    files: list[dict[str, dict[str, object]]] = field(default_factory=list)


_LABELS = v.pairs(("a", "external"))
_NETWORK = v.of(
    driver=v.choice("overlay", "bridge"),
    attachable=v.boolean,
    internal=v.boolean,
    driver_opts=v.of(encrypted=v.choice("", "true"), mtu=v.choice(1400, "${NUMBER}")),
    ipam=v.of(
        driver=v.choice("default"),
        config=v.some(lambda rng, file: {"subnet": f"10.{file}.{rng.randrange(9)}.0/24"}),
    ),
    labels=_LABELS,
    name=v.word,
)
_VOLUME = v.of(
    driver=v.choice("local", "nfs"),
    driver_opts=v.of(type=v.choice("nfs"), o=v.text, size=v.choice(5)),
    labels=_LABELS,
    name=v.word,
)


def _outside(rng: Rng) -> object:
    named = ({"external": True, "name": "x.${WORD}"}, {"external": {"name": "y"}})
    return rng.choice(({"external": True}, {"external": "${ON}"}, *named))


def _declared(section: str) -> Make:
    def make(rng: Rng, file: int) -> object:
        if rng.random() < 0.2:
            return _outside(rng)
        if section in ("networks", "volumes"):
            return (_NETWORK if section == "networks" else _VOLUME)(rng, file)
        if section == "secrets" and rng.random() < 0.2:
            return {"driver": "vault", "driver_opts": {"path": v.text(rng, file), "n": 5}}
        body: Document = {"file": rng.choice(("./a.txt", "b.txt", "${UNSET:-./sub/c.txt}", "sub/../a.txt"))}
        more = v.of(labels=_LABELS, template_driver=v.choice("golang"), name=v.word)
        return body | (more(rng, file) if rng.random() < 0.5 else {})

    return make


def make_case(seed: str, number: int, files: int) -> Case:
    """One app in so many files; its first has what all others lean on."""
    rng = random.Random(f"{seed}/{number}")
    case = Case(number)
    known: tuple[str, ...] | None = None
    for file in range(files):
        document: dict[str, dict[str, object]] = {"top": {}, "services": {}}
        if file == 0 or rng.random() < 0.8:
            body = service.make(rng, number, file, known)
            if file == 0:
                body |= service.make_base(rng)
            known = tuple(body)
            document["services"][f"app{number}"] = _with_anchor(rng, number, body, document["top"])
        for section in SECTIONS:
            names = _names(section, number)
            for name in names if file == 0 else [name for name in names if rng.random() < 0.3]:
                # The overlay's is never empty: what that takes away is a difference (differences.py).
                empty = file == 0 and section in ("networks", "volumes") and rng.random() < 0.3
                document.setdefault(section, {})[name] = None if empty else _declared(section)(rng, file)
        case.files.append(document)
    return case


def _names(section: str, number: int) -> tuple[str, ...]:
    shorts = {"networks": ("front", "back"), "volumes": ("data", "more")}.get(section)
    return tuple(f"{short}{number}" for short in shorts or (f"{section}-one", f"{section}-two", f"{section}-three"))


def _with_anchor(rng: Rng, number: int, body: Document, top: dict[str, object]) -> Document:
    """Now and then by a merge key: what is shared stands in an extension, and some of it is said anew."""
    if rng.random() > 0.3:
        return body
    shared = {key: value for key, value in body.items() if rng.random() < 0.6}
    if not shared:
        return body
    top[f"x-shared{number}"] = shared
    own: Document = {key: value for key, value in body.items() if key not in shared}
    shared |= {key: "stale" for key in ("hostname", "image", "user", "working_dir") if key in own}
    return {**own, v.MERGE_KEY: shared} if rng.random() < 0.5 else {v.MERGE_KEY: [shared], **own}


def join(cases: list[Case], version: str | None) -> list[bytes]:
    """The files of some cases as one app's."""
    texts = []
    for file in range(max(len(case.files) for case in cases)):
        document: Document = {"version": version} if version else {}
        sections: dict[str, dict[str, object]] = {}
        for case in cases:
            for section, bodies in case.files[file].items():
                sections.setdefault(section, {}).update(bodies)
        document |= sections.pop("top", {})
        document |= {section: bodies for section, bodies in sections.items() if bodies}
        texts.append(v.write(document))
    return texts
