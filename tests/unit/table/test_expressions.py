"""The fake table evaluates expressions as DynamoDB does: both pass these with --dynamodb-local."""

from __future__ import annotations

import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.table.tables import new_table

KEY = {"pk": {"S": "p"}, "sk": {"S": "s"}}
ITEM = {
    "n": {"N": "5"},
    "word": {"S": "red"},
    "list": {"L": [{"N": "1"}, {"N": "2"}]},
    "map": {"M": {"n": {"N": "7"}, "01": {"N": "3"}, "in": {"M": {"x": {"N": "1"}}}}},
}


@pytest.fixture
def table() -> Any:
    made = new_table()
    made._make_api_call("PutItem", {"TableName": "table", "Item": KEY | ITEM})
    return made


def update(table: Any, expression: str, **more: Any) -> dict[str, Any]:
    """Update the item, naming attributes and numbers as in `map.n = map.n + 3`."""
    names: dict[str, str] = {}
    values: dict[str, Any] = {}

    def aliased(text: str) -> str:
        def alias(found: re.Match[str]) -> str:
            word = found[0]
            if word.startswith("'"):
                values[name := f":v{len(values)}"] = {"S": word.strip("'")}
                return name
            if re.fullmatch(r"-?\d+", word) and not found.string[: found.start()].endswith(
                (".", "[")
            ):
                values[name := f":v{len(values)}"] = {"N": word}
                return name
            if word.isdigit() and found.string[: found.start()].endswith("["):
                return word
            if word in WORDS:
                return word
            return names.setdefault(word, f"#n{len(names)}")

        return re.sub(r"'\w+'|(?<!\w)-?\d+(?!\w)|\w+", alias, text)

    request = {"TableName": "table", "Key": KEY, "UpdateExpression": aliased(expression)}
    if "condition" in more:
        request["ConditionExpression"] = aliased(more.pop("condition"))
    if names:
        request["ExpressionAttributeNames"] = {alias: name for name, alias in names.items()}
    if values:
        request["ExpressionAttributeValues"] = values
    answer: dict[str, Any] = table._make_api_call("UpdateItem", request | more)
    attributes: dict[str, Any] = answer.get("Attributes", {})
    return attributes


WORDS = {"SET", "REMOVE", "AND", "OR", "BETWEEN", "IN", "if_not_exists", "list_append", "size"} | {
    "attribute_exists",
    "attribute_not_exists",
    "begins_with",
    "contains",
}


@pytest.mark.parametrize(
    ("expression", "changed"),
    [
        ("SET n = n + 3", {"n": {"N": "8"}}),
        ("SET n = n - 8", {"n": {"N": "-3"}}),
        ("SET n = map.n + n", {"n": {"N": "12"}}),
        ("SET n = if_not_exists(nothing, 0) + 3", {"n": {"N": "3"}}),
        ("SET n = if_not_exists(n, 0) + 3", {"n": {"N": "8"}}),
        ("SET n = if_not_exists(nothing, 1)", {"n": {"N": "1"}}),
        ("SET n = word", {"n": {"S": "red"}}),
        (
            "SET map.n = map.n + 1, map.02 = if_not_exists(map.02, 0) + 4 REMOVE map.01",
            {"map": {"M": {"n": {"N": "8"}, "02": {"N": "4"}, "in": {"M": {"x": {"N": "1"}}}}}},
        ),
        (
            "SET map.in.x = n, n = map.in.x",  # all are read before one is written
            {
                "n": {"N": "1"},
                "map": {"M": {"n": {"N": "7"}, "01": {"N": "3"}, "in": {"M": {"x": {"N": "5"}}}}},
            },
        ),
        ("REMOVE map.none, nothing", {}),
        ("REMOVE list[0]", {"list": {"L": [{"N": "2"}]}}),
        ("REMOVE list[0], list[1]", {"list": {"L": []}}),
        ("SET list = list_append(list, list)", {"list": {"L": [{"N": n} for n in "1212"]}}),
    ],
)
def test_an_update(table: Any, expression: str, changed: Any) -> None:
    assert update(table, expression, ReturnValues="ALL_NEW") == KEY | ITEM | changed


@pytest.mark.parametrize(
    "expression",
    [
        "SET n = nothing + 1",  # an attribute that is not there
        "SET n = word + 1",
        "SET none.x = 1",  # a map that is not there
        "SET word.x = 1",
        "SET map.n = 1 REMOVE map.n",  # paths that overlap
        "SET map.n = 1, map = n",
    ],
)
def test_an_update_that_dynamodb_refuses(table: Any, expression: str) -> None:
    with pytest.raises(ClientError) as raised:
        update(table, expression)
    assert raised.value.response["Error"]["Code"] == "ValidationException"
    assert list(table.items.values()) == [KEY | ITEM]


@pytest.mark.parametrize(
    ("condition", "held"),
    [
        ("n BETWEEN 5 AND 5", True),
        ("n BETWEEN 6 AND 9", False),
        ("n BETWEEN -9 AND 4", False),
        ("map.n BETWEEN 1 AND 7", True),
        ("map.none BETWEEN 0 AND 9", False),
        ("none.n = 7", False),
        ("map.n = 7 AND map.01 = 3", True),
        ("map.in.x = 1 AND word = 'red'", True),
        ("n = word", False),
        ("n < map.n AND map.n >= n", True),
        ("n BETWEEN 5 AND 9 AND word = 'blue'", False),
        ("(n = 1 OR n = 5) AND word = 'red'", True),
        ("list[1] = 2", True),
        ("list[2] = 2", False),
        ("size(list) = 2 AND begins_with(word, 'r')", True),
        ("attribute_exists(map.n) AND attribute_not_exists(map.none)", True),
        ("contains(word, 'ed')", True),
        ("contains(word, 'er') OR contains(none, 'r')", False),
        ("n <> 5", False),
        ("n IN (4, 5)", True),
        ("n IN (4, 6) OR word IN ('blue')", False),
    ],
)
def test_a_condition(table: Any, condition: str, held: bool) -> None:
    if held:
        update(table, "SET done = 1", condition=condition)
        return
    with pytest.raises(ClientError) as raised:
        update(
            table,
            "SET done = 1",
            condition=condition,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert raised.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert raised.value.response.get("Item") == KEY | ITEM


@pytest.mark.parametrize(
    ("wanted", "returned"),
    [
        ("NONE", {}),
        ("ALL_OLD", KEY | ITEM),
        ("UPDATED_OLD", {"n": {"N": "5"}, "word": {"S": "red"}}),
        ("UPDATED_NEW", {"n": {"N": "6"}}),
    ],
)
def test_what_an_update_returns(table: Any, wanted: str, returned: Any) -> None:
    found = update(table, "SET n = n + 1 REMOVE word", ReturnValues=wanted)
    assert found == returned


def test_a_failed_condition_on_no_item_returns_none(table: Any) -> None:
    table.items = {}
    with pytest.raises(ClientError) as raised:
        update(table, "SET n = 1", condition="n = 1", ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert "Item" not in raised.value.response
