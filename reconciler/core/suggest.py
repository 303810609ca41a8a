"""What somebody may have meant who typed a name that there is not. Pure."""

from collections.abc import Iterable

_ALIKE = 0.6


def suggest(typed: str, names: Iterable[str]) -> str:
    """` (did you mean ...?)` for a message; '' if nothing is near."""
    import difflib  # for those who mistyped; it is slow to import

    known = sorted(set(names))
    near = difflib.get_close_matches(typed, known, n=2, cutoff=_ALIKE)
    # The beginning of a long name is what people type.
    near += [name for name in known if typed and name.startswith(typed) and name not in near][: 2 - len(near)]
    return f" (did you mean {' or '.join(near)}?)" if near else ""
