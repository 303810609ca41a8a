"""Fetching recipes, for a pass and for what only looks. Effects: the mirrors."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from reconciler.engine.ports import Ports
from reconciler.model.errors import RecipeError


def fetch_all(ports: Ports, urls: Sequence[str]) -> dict[str, str]:
    """Fetch each distinct recipe once, side by side; what failed, by URL."""
    return begin(ports, urls)()


def begin(ports: Ports, urls: Sequence[str]) -> Callable[[], dict[str, str]]:
    """Fetch as `fetch_all` does while the caller does something else; what is given waits, and says what failed."""
    distinct = list(dict.fromkeys(urls))
    if not distinct:
        return dict
    pool = ThreadPoolExecutor(max_workers=min(4, len(distinct)))
    answers = pool.map(lambda url: _fetch(ports, url), distinct)
    pool.shutdown(wait=False)

    def wait() -> dict[str, str]:
        return {url: problem for url, problem in zip(distinct, answers, strict=True) if problem is not None}

    return wait


def _fetch(ports: Ports, url: str) -> str | None:
    try:
        ports.recipes.fetch(url)
    except RecipeError as exc:
        return str(exc)
    return None
