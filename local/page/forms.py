"""Describe the send forms of the page, one per action, from openapi.yaml."""

from __future__ import annotations

from functools import cache
from typing import Any

import yaml

from local.paths import ROOT

DOCUMENT = ROOT / "openapi.yaml"
EXAMPLE_PICTURE = "https://example.com/parcel.jpg"  # in the document's examples; it does not exist
LONG = 2048  # characters; longer than any URL: a field that allows more gets a larger box


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loaded: dict[str, Any] = yaml.load(DOCUMENT.read_text(encoding="utf-8"), loader)
    return loaded


def forms(picture: str) -> list[dict[str, Any]]:
    """Return every action with its route, fields and an example that shows `picture`, a URL."""
    whole = document()
    sending = whole["paths"]["/messages"]["post"]
    schemas = whole["components"]["schemas"]
    found = []
    for action, reference in schemas["SendRequest"]["discriminator"]["mapping"].items():
        schema = _resolved({"$ref": reference})
        found.append(_form(action, "/messages", schema, sending, picture))
    for path, methods in whole["paths"].items():
        action = path.removeprefix("/actions/")
        if action == path or "{" in action:
            continue
        content = methods["post"]["requestBody"]["content"]["application/json"]
        schema = _resolved(content["schema"])
        found.append(_form(action, path, schema, methods["post"], picture))
    return found


def _form(
    action: str, path: str, schema: dict[str, Any], call: dict[str, Any], picture: str
) -> dict[str, Any]:
    content = call["requestBody"]["content"]["application/json"]
    example = content.get("examples", {}).get(action, {}).get("value", {})
    names_itself = path == "/messages"
    summary = schema.get("description") if names_itself else call.get("summary")
    return {
        "action": action,
        "path": path,
        "effect": call.get("x-skycore-effect", "send"),
        "summary": summary or call.get("summary", ""),
        "names_itself": names_itself,
        "fields": [field for field in _fields(schema) if field["name"] != "action"],
        "example": _with_picture({**example}, picture),
    }


def _fields(schema: dict[str, Any]) -> list[dict[str, Any]]:
    required = schema.get("required", [])
    properties = schema.get("properties", {})
    return [_field(name, _resolved(of), name in required) for name, of in properties.items()]


def _field(name: str, schema: dict[str, Any], required: bool) -> dict[str, Any]:
    types = schema.get("type", "string")
    kind = types if isinstance(types, str) else next(each for each in types if each != "null")
    field = {
        "name": name,
        "required": required,
        "help": schema.get("description", ""),
        "example": next(iter(schema.get("examples", [])), None),
        "deprecated": bool(schema.get("deprecated")),
        "kind": {"integer": "number", "boolean": "yes", "string": "text"}.get(kind, kind),
    }
    if "enum" in schema:
        field |= {"kind": "choice", "choices": schema["enum"], "example": schema["enum"][0]}
    elif kind == "array":
        field |= {"kind": "groups", "fields": _fields(_resolved(schema["items"]))}
    elif kind == "object" and schema.get("properties"):
        field |= {"kind": "group", "fields": _fields(schema)}
    elif kind == "object":
        field["kind"] = "pairs"
    elif kind == "string":
        field["long"] = schema.get("maxLength", 0) > LONG
        field["secret"] = schema.get("format") == "password"
    return field


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with its references resolved."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _resolved(document()["components"]["schemas"][name])
    if "allOf" in schema:
        merged: dict[str, Any] = {}
        for part in schema["allOf"]:
            merged |= _resolved(part)
        return {**merged, **{key: value for key, value in schema.items() if key != "allOf"}}
    return schema


def _with_picture(value: Any, picture: str) -> Any:
    if isinstance(value, dict):
        return {key: _with_picture(each, picture) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_picture(each, picture) for each in value]
    return picture if value == EXAMPLE_PICTURE else value
