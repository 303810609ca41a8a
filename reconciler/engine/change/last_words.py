"""What the containers of a failed release said, kept before they go. Effects: reads the engine, one log file.

Going back removes the containers, and with them all that could explain the failure.
"""

from reconciler.core import redact
from reconciler.engine.ports import Ports
from reconciler.model.app import AppSpec
from reconciler.model.errors import ReconcilerError
from reconciler.model.ids import StackName
from reconciler.model.journal import Journal

_LINES = 200
_SHOWN = 300


def keep(ports: Ports, spec: AppSpec, journal: Journal) -> tuple[str, tuple[str, ...]]:
    """Write what the stack's containers said last beside the app's records.

    Gives the log's path below the state root ('' if there is none) and the last line of each service, secrets masked.
    Never fails: last words explain a failure, they are none.
    """
    try:
        bundle = ports.store.bundle(spec.app, journal.target.bundle)
        mask = redact.for_app(spec.env, bundle.doc)
        words_of = ports.node.containers.logs(StackName(journal.stack), _LINES)
        said = {name: mask(text) for name, text in words_of.items()}
        text = "".join(f"--- {name}\n{words}\n" for name, words in said.items())
        path = ports.store.put_last_words(spec.app, journal.op_id, text) if said else ""
    except (ReconcilerError, OSError):
        return "", ()
    lasts = {name: words.strip().splitlines()[-1:] for name, words in said.items()}
    shown = [f"{name} said last: {line[:_SHOWN]}" for name, lines in lasts.items() for line in lines]
    return path, (*shown, *([f"more of what was said is in {path}"] if path else []))
