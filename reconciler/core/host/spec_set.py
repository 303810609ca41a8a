"""Specs as a set: claims that two cannot both have, their order, and what stays usable when one is wrong. Pure."""

import heapq
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from graphlib import TopologicalSorter

from reconciler.model.app import AppSpec, Kind
from reconciler.model.errors import Problem


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """One good spec and the file it came from."""

    spec: AppSpec
    file: str


def conflicts(loaded: Sequence[Loaded], *, complete: bool = True) -> list[Problem]:
    """Claims that two specs cannot both have. `complete` False: others may stand elsewhere for `after`."""
    problems: list[Problem] = []
    claims: dict[tuple[str, str], Loaded] = {}
    for item in loaded:
        spec = item.spec
        for what, value in (("name", spec.name), ("domain", spec.domain), ("stack", spec.stack_name)):
            # Two apps on one stack would replace each other's services, pass after pass.
            other = claims.setdefault((what, value), item)
            if other is not item:
                kinds = " (a canonical and a live app)" if other.spec.kind is not spec.kind else ""
                message = f"{value!r} is already claimed by {other.spec.name!r} in {other.file}{kinds}"
                problems.append(Problem(file=item.file, line=0, key=what, message=message))
    return problems + _order_problems(loaded, complete=complete)


def _order_problems(loaded: Sequence[Loaded], *, complete: bool) -> list[Problem]:
    names = {item.spec.name for item in loaded}
    problems = [
        Problem(file=item.file, line=0, key="after", message=f"no app is named {other!r}")
        for item in loaded
        for other in item.spec.after
        if complete and other not in names
    ]
    ring = _ring({item.spec.name: item.spec.after for item in loaded})
    if ring:
        file = next(item.file for item in loaded if item.spec.name == ring[0])
        problems.append(Problem(file=file, line=0, key="after", message=f"goes in a circle: {' -> '.join(ring)}"))
    return problems


def _ring(after: Mapping[str, Sequence[str]]) -> list[str]:
    done: set[str] = set()
    for start in after:
        trail: list[str] = []
        # By hand instead of recursion: the number of specs is the operator's, and so is the depth.
        stack = [(start, iter(after[start]))]
        while stack:
            name, rest = stack[-1]
            if name not in trail:
                trail.append(name)
            following = next(rest, None)
            if following is None:
                done.add(name)
                trail.pop()
                stack.pop()
            elif following in trail:
                return [*trail[trail.index(following) :], following]
            elif following in after and following not in done:
                stack.append((following, iter(after[following])))
    return []


def in_order(specs: Sequence[AppSpec]) -> tuple[AppSpec, ...]:
    """Sort by `after`, then live before canonical, then name."""
    by_name = {spec.name: spec for spec in specs}
    ranked = sorted(specs, key=lambda spec: (spec.kind is Kind.CANONICAL, spec.name))
    place = {spec.name: number for number, spec in enumerate(ranked)}
    sorter = TopologicalSorter({spec.name: [name for name in spec.after if name in by_name] for spec in ranked})
    sorter.prepare()
    # A heap, so that among those that may go next the order is always the same: live first, then by name.
    ready = [place[name] for name in sorter.get_ready()]
    heapq.heapify(ready)
    found: list[AppSpec] = []
    while ready:
        spec = ranked[heapq.heappop(ready)]
        found.append(spec)
        sorter.done(spec.name)
        for name in sorter.get_ready():
            heapq.heappush(ready, place[name])
    return tuple(found)


def usable(
    new: Mapping[str, AppSpec], bad: AbstractSet[str], before: Mapping[str, AppSpec]
) -> tuple[dict[str, AppSpec], list[Problem]]:
    """Choose the specs to work with when some files are wrong: for those, what they said before, or nothing.

    `new`: by file, read without a problem. `bad`: files with problems. A clash between two specs takes the same way,
    file by file. Gives the choice, and the clashes found on the way.
    """
    # A typing error must not take an app away: its last good spec goes on.
    chosen = {**{file: before[file] for file in bad if file in before}, **new}
    problems: list[Problem] = []
    complete = not bad
    while found := conflicts([Loaded(spec=spec, file=file) for file, spec in chosen.items()], complete=complete):
        problems += [problem for problem in found if problem not in problems]
        for file in {problem.file for problem in found}:
            if file in before and chosen[file] != before[file]:
                chosen[file] = before[file]
            else:
                del chosen[file]
                complete = False
    return chosen, problems
