"""A document against a JSON Schema: the keywords that ours use, and an error for any other one."""

from collections.abc import Iterator, Mapping
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_SAY_NOTHING = {"title", "description", "default", "$defs", "format"}
_KNOWN = {
    *("$ref", "type", "const", "enum", "anyOf", "items", "properties", "required", "additionalProperties"),
    *("prefixItems", "minItems", "maxItems", "pattern", "minimum", "exclusiveMinimum", "maxLength", "minLength"),
}


def problems(document: object, schema: Mapping[str, Any], root: Mapping[str, Any], place: str = "$") -> Iterator[str]:
    """Every way in which a document is not what the schema says."""
    unknown = set(schema) - _SAY_NOTHING - _KNOWN
    assert not unknown, f"{place}: this checker does not know {unknown}"
    if "$ref" in schema:
        yield from problems(document, root["$defs"][schema["$ref"].rpartition("/")[2]], root, place)
    if "anyOf" in schema and all(list(problems(document, one, root, place)) for one in schema["anyOf"]):
        yield f"{place}: {document!r} is none of {schema['anyOf']}"
    if "const" in schema and document != schema["const"]:
        yield f"{place}: {document!r} is not {schema['const']!r}"
    if "enum" in schema and document not in schema["enum"]:
        yield f"{place}: {document!r} is not one of {schema['enum']}"
    kind = schema.get("type")
    if kind is not None and (
        not isinstance(document, _TYPES[kind])
        or (kind != "boolean" and document in (True, False) and isinstance(document, bool))
    ):
        yield f"{place}: {document!r} is no {kind}"
    elif isinstance(document, list):
        for index, item in enumerate(document):
            yield from problems(item, schema.get("items", {}), root, f"{place}[{index}]")
    elif isinstance(document, dict) and kind == "object":
        yield from _of_object(document, schema, root, place)


def _of_object(
    document: dict[str, object], schema: Mapping[str, Any], root: Mapping[str, Any], place: str
) -> Iterator[str]:
    known, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
    yield from (f"{place}: {name} is missing" for name in schema.get("required", ()) if name not in document)
    for name, value in document.items():
        if name in known:
            yield from problems(value, known[name], root, f"{place}.{name}")
        elif rest is False:
            yield f"{place}: {name} is not in the schema"
        elif isinstance(rest, dict):
            yield from problems(value, rest, root, f"{place}.{name}")
