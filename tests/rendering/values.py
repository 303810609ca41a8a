"""What generated documents say in one place: literals, and variables in every form that Docker knows. Pure."""

import random
import re
from collections.abc import Callable
from typing import Any

import yaml

Rng = random.Random
Make = Callable[[Rng, int], Any]
"""One value, for the file of that number: what must not be in two files differs by it."""

VARIABLES = {
    "number": ("NUMBER", "COUNT"),
    "boolean": ("ON", "OFF"),
    "text": ("TEXT", "SPACED", "PRICE", "HASH"),
    "word": ("WORD", "TEXT"),
}


class Plain(str):
    """A scalar that is written without quotes, whatever it is taken for."""

    __slots__ = ()


class Writer(yaml.SafeDumper):
    """Shared objects get anchors, `<<` stays a merge key."""


def _represent(writer: Writer, value: Plain) -> yaml.Node:
    tag = writer.resolve(yaml.ScalarNode, str(value), (True, False))  # type: ignore[no-untyped-call] # PyYAML's own
    return yaml.ScalarNode(tag, str(value))


Writer.add_representer(Plain, _represent)
MERGE_KEY = Plain("<<")


def write(document: object) -> bytes:
    return yaml.dump(document, Dumper=Writer, sort_keys=False, width=200, allow_unicode=True).encode()


def env_file(rng: Rng) -> bytes:
    """The variables of some documents, in the quotes that env files have."""
    lines = [
        f"NUMBER={rng.randrange(1, 9)}",
        f"COUNT={rng.choice(('+7', '007', '12'))}",
        f"ON={rng.choice(('true', 'Yes', 'y', 'on'))}",
        f"OFF={rng.choice(('false', 'NO', 'n', 'off'))}",
        f"TEXT={rng.choice(('lorem', 'é', '22:22', '5', 'true', 'null'))}",
        f'SPACED="{rng.choice(("a b", "a: b", "# c", "x=y=z", "a, b"))}"',
        f'WORD="w.{rng.randrange(9)}"',
        "HASH='$2y$05$abc$NUMBER'",
        rng.choice(('PRICE="5\\$"', "PRICE='${WORD}'", 'PRICE="$WORD/${NUMBER:-1}$$"')),
        f"EMPTY={rng.choice(('', chr(34) * 2))}",
        rng.choice(("FILLED=in", "# nothing", "FILLED=")),
    ]
    return "\n".join(lines).encode()


def variable(rng: Rng, kind: str, default: str) -> str:
    """One variable that has a value of this kind, or a default that is one."""
    name = rng.choice(VARIABLES[kind])
    forms = [
        f"${{{name}}}",
        f"${{{name}:-{default}}}",
        f"${{{name}-{default}}}",
        f"${{{name}:?is needed}}",
        f"${{{name}?$2y is needed}}",
        f"${{UNSET:-{default}}}",
        f"${{UNSET-{default}}}",
        f"${{EMPTY:-{default}}}",
        f"${name}",
    ]
    return rng.choice(forms)


DEFAULTS = ("d", "ops:$2y$05$abcdefgh", "a$$b", "$TEXT", "$", "a b", "x:1", "a/b", "", "{", "[a]", "a: b", "'q'", "-x")
_PIECES = ("a", "b c", "1", "yes", "x=y", "22:22", "http://h/p?q", "~", "'", '"', "\\", "é", ".")


def text(rng: Rng, _file: int = 0) -> str:
    """Any text: plain, and with variables amid it."""
    parts = []
    for _ in range(rng.randrange(1, 4)):
        kind = rng.randrange(6)
        if kind == 0:
            parts.append(variable(rng, "text", rng.choice(DEFAULTS)))
        elif kind == 1:
            parts.append(rng.choice(("${UNSET}", "${EMPTY}", "${FILLED}", "${EMPTY-d}", "${EMPTY?is needed}")))
        elif kind == 2:
            parts.append(rng.choice(("$$", "$$TEXT", "$${TEXT}", "$$$$")))
        else:
            parts.append(rng.choice(_PIECES))
    # What follows a variable without braces may not read on as one of its operators: differences.py.
    return re.sub(r"(\$[A-Za-z_]\w*)(?=[?:-])", r"\1 ", "".join(parts))


def word(rng: Rng, file: int = 0) -> str:
    return variable(rng, "word", f"d{file}") if rng.random() < 0.3 else rng.choice(("a", "b", "c")) + str(file)


def number(rng: Rng, _file: int = 0) -> object:
    if rng.random() < 0.4:
        return variable(rng, "number", str(rng.randrange(9)))
    return rng.choice((rng.randrange(6), Plain("0x10"), Plain("1_0"), Plain("0o7"), Plain("+4"), Plain("07")))


def boolean(rng: Rng, _file: int = 0) -> object:
    return variable(rng, "boolean", "true") if rng.random() < 0.4 else rng.choice((True, False, Plain("True")))


def duration(rng: Rng, _file: int = 0) -> str:
    return rng.choice(("0s", "5s", "1m30s", "100ms", "1h", "1.5s", "${NUMBER}s", "${UNSET:-7s}", "0h0m", "0"))


def memory(rng: Rng, _file: int = 0) -> str:
    return rng.choice(("64M", "1g", "20mb", "0", "5000000", "${NUMBER}M", "1.5G"))


def scalar(rng: Rng, file: int = 0) -> object:
    """A value of a label or a variable: text, a number in any form, nothing."""
    forms = ("1", "1.0", "1e3", "09", "010", "0o10", "0x1F", "1_000", ".5", "-.5", "1.10", "+5", "-0", "1e30", "22:22")
    more = ("yes", "No", "~", "", "1234567890123456789", "12345678901234567890123", "0.1", "=", "_1", "0b11", "1e400")
    if rng.random() < 0.4:
        return Plain(rng.choice((*forms, *more)))
    return None if rng.random() < 0.1 else text(rng, file)


def pairs(keys: tuple[str, ...], value: Make = scalar) -> Make:
    """A mapping of these keys, or the list of `KEY=VALUE` that says the same."""

    def make(rng: Rng, file: int) -> object:
        chosen = rng.sample(keys, rng.randrange(1, len(keys) + 1))
        if rng.random() < 0.4:
            return [f"{key}={text(rng, file)}" if rng.random() < 0.85 else key for key in chosen]
        return {key: value(rng, file) for key in chosen}

    return make


def some(make: Make, most: int = 3) -> Make:
    """A list of such values, none twice."""

    def made(rng: Rng, file: int) -> list[object]:
        return list({str(item): item for item in (make(rng, file) for _ in range(rng.randrange(1, most + 1)))}.values())

    return made


def of(**keys: Make) -> Callable[[Rng, int], dict[str, object]]:
    """A mapping with some of these keys."""

    def make(rng: Rng, file: int) -> dict[str, object]:
        chosen = rng.sample(sorted(keys), rng.randrange(1, len(keys) + 1))
        return {key: keys[key](rng, file) for key in chosen}

    return make


def one_of(*makes: Make) -> Make:
    return lambda rng, file: rng.choice(makes)(rng, file)


def choice(*values: object) -> Make:
    return lambda rng, _file: rng.choice(values)


def optional(make: Make) -> Make:
    """Now and then nothing, in the type of the place."""

    def made(rng: Rng, file: int) -> object:
        value = make(rng, file)
        return type(value)() if rng.random() < 0.08 and isinstance(value, str | list | dict) else value

    return made
