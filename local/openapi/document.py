"""The whole document: routes, security and components."""

from __future__ import annotations

import re
from typing import Any

import yaml

from local import package
from local.openapi import answers, requests, routes
from skycore.catalogue.actions import Action, all_actions, all_errors, problem_for

type Part = dict[str, Any]

_ABOUT = """Send SMS and MMS through Skycore, read what became of them, and use all else that
Skycore's Messaging API offers, as JSON. Requests are signed with AWS Signature Version 4 (service
execute-api); a caller needs execute-api:Invoke and nothing else. Every error is problem details
(RFC 9457) with a stable code. The ids in the examples are those of the local simulator."""


def as_yaml() -> str:
    """The document as YAML text."""
    head = "# Written by make openapi from the catalogue; do not edit.\n"
    text: str = yaml.dump(
        document(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=160
    )
    return head + text


def document() -> Part:
    """Return the OpenAPI document as data."""
    sends = [action for action in all_actions() if action.effect == "send"]
    others = [action for action in all_actions() if action.effect != "send"]
    components: dict[str, Part] = {}
    for action in sends:
        components[routes.request_name(action)] = requests.send_request(action, components)
    for action in others:
        components[routes.request_name(action)] = requests.action_request(action, components)
    paths = routes.paths(sends, others)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Skycore on AWS",
            "version": package.version(),
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [_server()],
        "security": [{"sigv4": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"sigv4": _sigv4()},
            "headers": {
                "Retry-After": answers.RETRY_AFTER,
                "Location": answers.LOCATION,
                "Idempotency-Replayed": answers.REPLAYED,
            },
            "responses": _shared_responses(paths),
            "schemas": {
                **answers.schemas(),
                "SendRequest": _send_request(sends),
                **routes.batch_requests(),
                **components,
            },
        },
        "x-skycore-errors": _skycore_errors(),
    }


def _shared_responses(paths: dict[str, Part]) -> dict[str, Part]:
    """Takes the error responses out of the operations and leaves references to them."""
    shared: dict[str, Part] = {}
    operations = (part for path in paths.values() for part in path.values())
    for operation in operations:
        responses = operation.get("responses", {}) if isinstance(operation, dict) else {}
        for status, response in responses.items():
            if int(status) >= 400:
                names = (f"Problem{status}{suffix}" for suffix in ("", *"bcdefgh"))
                name = next(n for n in names if shared.get(n, response) == response)
                shared[name] = response
                responses[status] = {"$ref": f"#/components/responses/{name}"}
    return dict(sorted(shared.items()))


class _Row(dict[str, Any]):
    """A mapping that is written on one line."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _data: Any) -> bool:
        return True  # a reader wants the thing, not an anchor


# Plain scalars that YAML 1.2 reads as numbers and YAML 1.1, which PyYAML writes, does not.
_LIKE_A_NUMBER = re.compile(r"[-+]?(0o?[0-7]+|0x[0-9a-fA-F]+|[0-9.]+([eE][-+]?[0-9]+)?)")


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else "'" if _LIKE_A_NUMBER.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _row(dumper: yaml.SafeDumper, row: _Row) -> yaml.MappingNode:
    return dumper.represent_mapping("tag:yaml.org,2002:map", row.items(), flow_style=True)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(_Row, _row)


def _server() -> Part:
    address = "https://{api}.execute-api.{region}.amazonaws.com/v1"
    named = {"api": {"default": "abcdef1234"}, "region": {"default": "us-east-1"}}
    return {"url": address, "variables": named}


def _sigv4() -> Part:
    return {
        "type": "apiKey",
        "name": "Authorization",
        "in": "header",
        "description": "AWS Signature Version 4, service execute-api.",
        "x-amazon-apigateway-authtype": "awsSigv4",
    }


def _send_request(sends: list[Action]) -> Part:
    refs = {a.name: f"#/components/schemas/{routes.request_name(a)}" for a in sends}
    return {
        "description": "One of the sending actions; sendSMS where no action is named.",
        "oneOf": [{"$ref": ref} for ref in refs.values()],
        "discriminator": {"propertyName": "action", "mapping": refs},
    }


def _skycore_errors() -> dict[str, Part]:
    table: dict[str, Part] = {}
    for error in all_errors():
        kind = problem_for(error.code, effect="send")
        table[error.code] = _Row(status=kind.status, code=kind.code, meaning=error.meaning)
    return table
