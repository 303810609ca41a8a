"""What an operator starts from: settings with their defaults as comments, schemas for editors. Effects: files."""

from importlib import resources
from pathlib import Path

from reconciler import schemas
from reconciler.state import new_files

MODE = 0o644
"""Neither holds a secret, and `validate` needs no root."""
_FOR_EDITORS = ("app", "config")


def init(config: Path) -> list[Path]:
    """Write the settings, the schemas, and an empty folder for specs; gives what was written.

    Raises:
        UsageError: settings are there already; nothing was written.
    """
    apps = config.parent / "apps"
    return new_files.create_all({config: settings_text().encode(), **schema_texts(config)}, MODE, folders=[apps])


def settings_text(engine: str = "swarm") -> str:
    """The settings that `init` writes: all defaults but for what a host without canonicals needs."""
    text = (resources.files("reconciler") / "templates" / "config.yaml").read_text()
    return text if engine == "swarm" else f"{text}\nengine: {engine}\n"


def schema_texts(config: Path) -> dict[Path, bytes]:
    """Where editors look for the schemas that specs and settings name in their first line."""
    texts = {name: schemas.schema(name) for name in _FOR_EDITORS}
    return {config.parent / "schema" / f"{name}.schema.json": texts[name].encode() for name in _FOR_EDITORS}
