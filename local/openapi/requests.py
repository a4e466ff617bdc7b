"""JSON schemas of the requests, from the parameters of the actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.openapi import examples
from skycore.client.values import PATTERNS
from skycore.sending.validation import MAX_REFERENCE_LENGTH

if TYPE_CHECKING:
    from skycore.catalogue.actions import Action, Parameter

type Schema = dict[str, Any]

_ONE_LINE = r"^[^\r\n]*\S[^\r\n]*$"
_NUMBER = r"^\s*\+?[0-9 ()./\u00a0\u202f\u2010-\u2015\u2212-]+\s*$"
_MASK = "[A-Za-z0-9_ -]{1,11}"
_DAY = r"\d{4}-\d\d-\d\d"
_WITH_OFFSET = rf"{_DAY}[Tt ]\d\d:\d\d:\d\d(\.\d{{1,9}})?(Z|z|[+-]\d\d:\d\d)"
_TIME = rf"^({_WITH_OFFSET}|{_DAY} \d\d:\d\d:\d\d)$"
_KINDS: dict[str, Schema] = {
    "beacon_number": {"type": "string", "pattern": "^[0-9]{1,5}$"},
    "datetime": {"type": "string", "pattern": _TIME},
    "datetime_iso": {"type": "string", "pattern": _TIME},
    "integer": {"type": "integer"},
    "latitude": {"type": "string", "pattern": r"^[+-]?[0-9]{1,3}(\.[0-9]{1,20})?$"},
    "line": {"type": "string", "minLength": 1, "pattern": _ONE_LINE},
    "longitude": {"type": "string", "pattern": r"^[+-]?[0-9]{1,3}(\.[0-9]{1,20})?$"},
    "msisdn": {"type": "string", "pattern": _NUMBER},
    "sender": {"type": "string", "pattern": f"{_NUMBER}|^{_MASK}$"},
    "sender_mask": {"type": "string", "pattern": f"^{_MASK}$"},
    "sms_text": {"type": "string", "minLength": 1, "pattern": r"\S"},
    "text": {"type": "string", "minLength": 1, "pattern": r"\S"},
    "true_only": {"type": "boolean"},
    "url": {"type": "string", "pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s/?#]\S*$"},
    "value": {"type": "string"},
    "yes_no": {"type": "boolean"},
    **{k: {"type": "string", "pattern": f"^({text})$"} for k, (text, _) in PATTERNS.items()},
}
_MERGE_NAME = "^[a-z][a-z0-9_]{0,63}$"

# The fields of a message that Skycore never sees. No field has a `default`: generated clients would
# send it, or make it mandatory.
OUR_FIELDS: dict[str, Schema] = {
    "client_reference": {
        "type": ["string", "null"],
        "minLength": 1,
        "maxLength": MAX_REFERENCE_LENGTH,
        "description": "Your own reference: it comes back in every answer and event.",
        "examples": ["order-4711"],
    },
    "send_at": {
        "type": ["string", "null"],
        "pattern": f"^{_WITH_OFFSET}$",
        "description": "Queue the message then, at most 35 days ahead; the answer is 202.",
        "examples": ["2126-11-22T09:00:00-05:00"],
    },
    "quiet_hours": {
        "enum": ["ignore", None],
        "description": "ignore: a queued message goes in the recipient's quiet hours too.",
    },
    "expires_at": {
        "type": ["string", "null"],
        "pattern": f"^{_WITH_OFFSET}$",
        "description": "A message that has not left the queue by then is not sent any more.",
        "examples": ["2126-11-22T10:41:15Z"],
    },
    "dry_run": {
        "type": "boolean",
        "description": "true: everything is checked and nothing is sent; the answer is 200.",
    },
    "opt_out_confirmation": {
        "type": "boolean",
        "description": "true: the one message that may still follow a STOP, to confirm it.",
    },
}


def send_request(action: Action, components: dict[str, Schema]) -> Schema:
    """The body of POST /messages for one action; shared groups go to `components`."""
    schema = _request(action, components)
    usual = action.name == "sendSMS"
    without = " sendSMS is the default." if usual else ""
    named = {"enum": [action.name], "description": f"Any letter case is taken.{without}"}
    schema["properties"] = {
        "action": named,
        **schema["properties"],
        **OUR_FIELDS,
    }
    if not usual:
        schema["required"] = ["action", *schema.get("required", ())]
    return schema


def action_request(action: Action, components: dict[str, Schema]) -> Schema:
    """The body of POST /actions/{action}; shared groups go to `components`."""
    schema = _request(action, components)
    ways = ["post", "get"] if action.effect == "read" and action.get_form else ["post"]
    schema["properties"]["transport"] = {
        "enum": ways,
        "description": "post by default. A URL ends up in logs, so only reading may use get.",
    }
    return schema


def send_example(action: Action) -> dict[str, Any]:
    """A body of POST /messages that succeeds against a fresh simulator."""
    return {"action": action.name, **examples.minimal(action)}


def _request(action: Action, components: dict[str, Schema]) -> Schema:
    properties: dict[str, Schema] = {}
    for parameter in action.parameters:
        described = _parameter(action, parameter, components)
        properties[parameter.name] = described
        for alias in parameter.aliases:
            words = f"An older name of {parameter.name}."
            properties[alias] = {**described, "description": words, "deprecated": True}
    if any(parameter.kind == "sms_text" for parameter in action.parameters):
        properties["allow_multipart"] = {
            "type": "boolean",
            "description": "true: a text of more than one SMS is sent in several parts.",
        }
    must = [p for p in action.parameters if p.required == "always"]
    rules = _rules(action, must)
    plain = [parameter.name for parameter in must if not parameter.aliases]
    return {
        "type": "object",
        "description": action.purpose,
        **({"deprecated": True} if action.deprecated else {}),
        "properties": properties,
        **({"required": plain} if plain else {}),
        **_only_if(rules),
        "additionalProperties": False,
    }


def _rules(action: Action, must: list[Parameter]) -> list[Schema]:
    """Return the rules that `required` cannot express: one of several, one unless another."""
    rules: list[Schema] = [
        {"oneOf": [{"required": [name]} for name in (p.name, *p.aliases)]}
        for p in must
        if p.aliases
    ]
    if action.one_of:
        rules.append({"oneOf": [{"required": [name]} for name in action.one_of]})
    for parameter in action.parameters:
        if parameter.required_unless:
            others = [action.parameter(name) for name in parameter.required_unless]
            rules.append(
                {"anyOf": [{"required": [parameter.name]}, *(_present(p) for p in others if p)]}
            )
    return rules


def _only_if(rules: list[Schema]) -> Schema:
    """Return schema members that hold all the rules.

    Code generators would make a type of its own of each `oneOf` beside `properties`, and lose the
    fields. They ignore `if`, which validators read.
    """
    if not rules:
        return {}
    return {"if": rules[0] if len(rules) == 1 else {"allOf": rules}, "else": {"not": {}}}


def _present(parameter: Parameter) -> Schema:
    is_set: Schema = {"required": [parameter.name]}
    if parameter.kind in {"yes_no", "true_only"}:
        is_set["properties"] = {parameter.name: {"const": True}}
    return is_set


def _parameter(action: Action, parameter: Parameter, components: dict[str, Schema]) -> Schema:
    told: Schema = {"description": parameter.description}
    if parameter.deprecated:
        told["deprecated"] = True
    if parameter.secret:
        told["format"] = "password"
    match parameter.kind:
        case "slides" | "custom_text":
            name = "Slide" if parameter.kind == "slides" else "CustomText"
            bounds = {"minItems": parameter.min_items, "maxItems": parameter.max_items}
            items = _shared(name, _group(action, parameter), components)
            return {"type": "array", **bounds, "items": items, **told}
        case "pass_data":
            name = "PassData" if action.effect != "write" else "PassDataUpdate"
            return {"allOf": [_shared(name, _group(action, parameter), components)], **told}
        case "data":
            return {
                "type": "object",
                "maxProperties": parameter.max_items,
                "propertyNames": {"pattern": _MERGE_NAME},
                "additionalProperties": {"type": "string", "maxLength": parameter.max_length},
                **told,
                "examples": [examples.value(action, parameter)],
            }
    return {**_value(parameter), **told, "examples": [examples.value(action, parameter)]}


def _value(parameter: Parameter) -> Schema:
    bounds = {
        "maxLength": parameter.max_length,
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
    }
    return {**_KINDS[parameter.kind], **{k: v for k, v in bounds.items() if v is not None}}


def _group(action: Action, parameter: Parameter) -> Schema:
    must = [child.name for child in parameter.children if child.required == "always"]
    schema: Schema = {
        "type": "object",
        "properties": {c.name: _parameter(action, c, {}) for c in parameter.children},
        **({"required": must} if must else {}),
        "additionalProperties": False,
    }
    if parameter.kind == "slides":
        content = [child.name for child in parameter.children if child.kind != "integer"]
        schema |= _only_if([{"anyOf": [{"required": [name]} for name in content]}])
    return schema


def _shared(name: str, schema: Schema, components: dict[str, Schema]) -> Schema:
    if components.setdefault(name, schema) != schema:
        raise ValueError(f"two different schemas want the name {name}")
    return {"$ref": f"#/components/schemas/{name}"}
