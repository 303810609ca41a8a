"""What a change that went well should say of data that ends with its tasks. Effects: reads rendered releases."""

from collections.abc import Mapping

from reconciler.core.release import data_places
from reconciler.engine.context import Context
from reconciler.model.errors import StateError
from reconciler.model.journal import Journal
from reconciler.model.release import Release


def tell(context: Context, journal: Journal) -> tuple[str, ...]:
    """Places in memory that a release of an app with data brings, and the one before had not."""
    if not context.spec.stateful:
        return ()
    docs = [_read_doc(context, release) for release in (journal.target, journal.origin) if release is not None]
    told = [data_places.list_short_lived(doc) for doc in docs]
    return tuple(text for text in told[0] if text not in sum(told[1:], ()))


def _read_doc(context: Context, release: Release) -> Mapping[str, object]:
    try:
        return context.ports.store.bundle(context.app, release.bundle).doc
    except StateError:
        return {}  # what is told here is worth no failure of a change that went well
