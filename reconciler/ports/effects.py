"""Where tests stop the program: a call before and after every effect. Pure."""

from collections.abc import Callable

Effect = Callable[[str], None]
"""Called with the name of a point, such as `deploy:before`."""


def no_effect(_point: str) -> None:
    """Do nothing at a point: what runs in production."""
