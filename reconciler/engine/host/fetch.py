"""Fetching recipes, for a pass and for what only looks. Effects: the mirrors."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from reconciler.engine.ports import Ports
from reconciler.model.errors import RecipeError


def fetch_all(ports: Ports, urls: Sequence[str]) -> dict[str, str]:
    """Fetch each distinct recipe once, side by side; what failed, by URL."""
    distinct = list(dict.fromkeys(urls))
    if not distinct:
        return {}
    with ThreadPoolExecutor(max_workers=min(4, len(distinct))) as pool:
        answers = pool.map(lambda url: _fetch(ports, url), distinct)
        return {url: problem for url, problem in zip(distinct, answers, strict=True) if problem is not None}


def _fetch(ports: Ports, url: str) -> str | None:
    try:
        ports.recipes.fetch(url)
    except RecipeError as exc:
        return str(exc)
    return None
