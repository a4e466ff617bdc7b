"""openapi.yaml against what it describes: the template's routes, the actions, the problems."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from local.openapi import routes
from local.openapi.document import as_yaml
from local.openapi.examples import maximal, minimal
from skycore.catalogue.actions import Action, all_actions, all_errors
from skycore.catalogue.statuses import RANKS
from skycore.client.errors import InvalidRequest
from skycore.client.validation import prepare
from skycore.problems import TITLES, Problem
from skycore.queries import messages
from skycore.sending import batch, validation
from skycore.sending.policy import SendPolicy
from tests.template.conftest import Template

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
METHODS = ("get", "post", "delete", "put", "patch")
EVERY = pytest.mark.parametrize("action", all_actions(), ids=lambda action: action.name)
RULES = SendPolicy(region="US", countries=(), days=30)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    written: dict[str, Any] = yaml.load((ROOT / "openapi.yaml").read_text(), yaml.CSafeLoader)
    return written


def operations(document: dict[str, Any]) -> Iterator[Any]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def schema_of(document: dict[str, Any], action: Action) -> Draft202012Validator:
    ref = f"#/components/schemas/{routes.request_name(action)}"
    return Draft202012Validator({"$ref": ref, "components": document["components"]})


def test_the_file_is_as_new_as_what_it_comes_from() -> None:
    assert (ROOT / "openapi.yaml").read_text() == as_yaml(), "run make openapi"


def test_every_schema_is_one(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for ref in set(re.findall(r"\$ref: '#/([^']+)'", (ROOT / "openapi.yaml").read_text())):
        place = document
        for name in ref.split("/"):
            place = place[name]


def test_routes_are_those_of_the_template(document: dict[str, Any]) -> None:
    template = {
        (event["Properties"]["Path"], event["Properties"]["Method"])
        for function in Template().functions.values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "Api"
    }
    by_name = {
        (f"/actions/{action.name}", "post") for action in all_actions() if action.effect != "send"
    }
    assert {(path, method) for path, method, _ in operations(document)} == template | by_name


def test_only_the_postback_route_is_open(document: dict[str, Any]) -> None:
    assert document["security"] == [{"sigv4": []}]
    scheme = document["components"]["securitySchemes"]["sigv4"]
    assert scheme["x-amazon-apigateway-authtype"] == "awsSigv4"
    unsigned = [(p, m) for p, m, operation in operations(document) if "security" in operation]
    assert unsigned == [("/postbacks/{item}", "post")]


def test_every_operation_has_its_own_id(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))


def test_every_problem_has_its_place(document: dict[str, Any]) -> None:
    named = set(document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"])
    assert set(TITLES) <= named
    for name, response in document["components"]["responses"].items():
        content = response["content"]["application/problem+json"]
        assert content == {"schema": {"$ref": "#/components/schemas/Problem"}}
        match = re.fullmatch(r"Problem(\d+)[a-z]?", name)
        assert match
        status = int(match[1])
        for code in response["x-problem-codes"]:
            # gateway_failure is told by the gateway with its own statuses too
            own = [TITLES[code][0]] if code in TITLES else []
            assert status in own or code.startswith(("gateway", "forbidden", "rate_limited"))
            assert re.search(rf"`{code}`: [A-Z][^.]+\.", response["description"])
        assert ".;" not in response["description"]
    in_routes = {
        code
        for response in document["components"]["responses"].values()
        for code in response["x-problem-codes"]
    }
    assert set(TITLES) - in_routes <= {"not_queued"}  # that one is told of a batch's entry


def test_every_reply_code_is_told(document: dict[str, Any]) -> None:
    table = document["x-skycore-errors"]
    assert list(table) == [error.code for error in all_errors()]
    known = {(TITLES[row["code"]][0], row["code"]) for row in table.values()}
    assert {(row["status"], row["code"]) for row in table.values()} == known


def test_numbers_are_those_of_the_code(document: dict[str, Any]) -> None:
    assert routes.MOST_IN_BATCH == batch.MAX_MESSAGES
    assert (routes.USUAL_IN_PAGE, routes.MOST_IN_PAGE) == (
        messages.DEFAULT_LIMIT,
        messages.MAX_LIMIT,
    )
    parameters = document["paths"]["/messages"]["get"]["parameters"]
    assert [row["name"] for row in parameters] == [*messages.FILTERS, *messages.PAGING]
    assert document["components"]["schemas"]["MessageStatus"]["enum"] == list(RANKS)


@EVERY
def test_every_action_has_its_request(document: dict[str, Any], action: Any) -> None:
    validator = schema_of(document, action)
    extra = {"action": action.name} if action.effect == "send" else {}
    for choice in action.one_of or (None,):
        for made in (minimal(action, choice), maximal(action, choice)):
            validator.validate({**extra, **made})
            prepare(action, made)
        for name in set(minimal(action, choice)) - {"pass_data"}:
            less = {k: v for k, v in minimal(action, choice).items() if k != name}
            assert not validator.is_valid({**extra, **less})
            with pytest.raises(InvalidRequest):
                prepare(action, less)
    assert not validator.is_valid({**extra, **minimal(action), "colour": "red"})


@EVERY
def test_the_fields_of_a_request_are_those_of_the_action(
    document: dict[str, Any], action: Any
) -> None:
    schema = document["components"]["schemas"][routes.request_name(action)]
    own = {name for p in action.parameters for name in (p.name, *p.aliases)}
    ours = set(schema["properties"]) - own - {"allow_multipart"}
    if action.effect == "send":
        assert ours == {
            "action", "client_reference", "expires_at", "send_at", "quiet_hours", "dry_run",
            "opt_out_confirmation",
        }  # fmt: skip
    else:
        assert ours == {"transport"}
        reads = schema["properties"]["transport"]["enum"] == ["post", "get"]
        assert reads == (action.effect == "read")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("client_reference", "order-4711"),
        ("client_reference", None),
        ("client_reference", ""),
        ("client_reference", "x" * 256),
        ("client_reference", 4711),
        ("expires_at", "2126-11-22T10:41:15Z"),
        ("expires_at", "2126-11-22T10:41:15.25+01:00"),
        ("expires_at", "tomorrow"),
        ("expires_at", 4711),
        ("dry_run", True),
        ("dry_run", "true"),
        ("opt_out_confirmation", False),
        ("opt_out_confirmation", 0),
    ],
)
def test_our_own_fields_are_described_as_they_are_taken(
    document: dict[str, Any], field: str, value: Any
) -> None:
    action = next(action for action in all_actions() if action.name == "sendSMS")
    body = {**minimal(action), field: value}
    try:
        validation.parse_message(body, RULES)
        taken = True
    except Problem:
        taken = False
    assert schema_of(document, action).is_valid(body) == taken


def test_a_message_is_of_one_action(document: dict[str, Any]) -> None:
    ref = {"$ref": "#/components/schemas/SendRequest", "components": document["components"]}
    validator = Draft202012Validator(ref)
    sends = [action for action in all_actions() if action.effect == "send"]
    for action in sends:
        validator.validate({"action": action.name, **minimal(action)})
    validator.validate(minimal(sends[0]))  # sendSMS, the default
    assert not validator.is_valid({"action": "loginUser"})
    mapping = document["components"]["schemas"]["SendRequest"]["discriminator"]["mapping"]
    assert list(mapping) == [action.name for action in sends]


def test_every_example_is_valid(document: dict[str, Any]) -> None:
    for _, _, operation in operations(document):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            schema = {**content["schema"], "components": document["components"]}
            for example in content.get("examples", {}).values():
                Draft202012Validator(schema).validate(example["value"])


def test_strings_that_look_like_numbers_are_quoted() -> None:
    """YAML 1.2, which node's parsers read, takes more scalars for numbers than YAML 1.1 does."""
    number = re.compile(r"[-+]?(0o[0-7]+|0x[0-9a-fA-F]+|(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?)")
    bare: list[str] = []

    def look(node: yaml.Node) -> None:
        if isinstance(node, yaml.ScalarNode):
            if not node.style and node.tag.endswith(":str") and number.fullmatch(node.value):
                bare.append(node.value)
            return
        for child in node.value:
            for one in child if isinstance(child, tuple) else (child,):
                look(one)

    root = yaml.compose((ROOT / "openapi.yaml").read_text(), yaml.CSafeLoader)
    assert root
    look(root)
    assert bare == []
