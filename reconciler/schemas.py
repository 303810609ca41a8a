"""JSON Schema of every file we read or write, made from the models. Pure."""

import json

from pydantic import BaseModel

from reconciler.model.reports import DOCUMENTS
from reconciler.model.settings import Settings
from reconciler.model.spec import AppSpec


def all_schemas() -> dict[str, str]:
    """Name -> schema text, ending in a newline."""
    models: dict[str, type[BaseModel]] = {**DOCUMENTS, "app": AppSpec, "config": Settings}
    return {
        name: json.dumps(model.model_json_schema(by_alias=True), indent=1, sort_keys=True) + "\n"
        for name, model in sorted(models.items())
    }
