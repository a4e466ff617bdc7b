"""Today's template on top of the released one: nothing that holds data is replaced or emptied.

`released.json` is what the last release says of its resources that hold data. A release writes it
anew: python -m tests.template.released > tests/template/released.json
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.template.released import FROZEN, SNAPSHOT, snapshot

if TYPE_CHECKING:
    from tests.template.conftest import Template

RELEASED = json.loads(SNAPSHOT.read_text())


def frozen(resource: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key not in {"Attributes", "Indexes"}}


@pytest.fixture
def today(template: Template) -> Any:
    return snapshot(template.resources)


def test_the_snapshot_has_all_that_holds_data() -> None:
    kinds = sorted(resource["Type"] for resource in RELEASED.values())
    assert set(kinds) == set(FROZEN)
    assert kinds.count("AWS::SQS::Queue") >= 9


@pytest.mark.parametrize("name", RELEASED)
def test_a_resource_with_data_keeps_its_name_and_what_cannot_change(today: Any, name: Any) -> None:
    assert name in today, f"{name} is gone: the next deploy leaves its data behind"
    released, now = frozen(RELEASED[name]), frozen(today[name])
    assert now == released, f"{name} would be replaced, or its value made anew"


@pytest.mark.parametrize("name", ["Table"])
def test_a_table_edits_no_attribute_and_no_index(today: Any, name: str) -> None:
    for part in ("Attributes", "Indexes"):
        then, now = RELEASED[name][part], today[name][part]
        kept = now.keys() & then.keys()
        assert {key: now[key] for key in kept} == {key: then[key] for key in kept}


@pytest.mark.parametrize("name", ["Table"])
def test_a_release_adds_or_drops_one_index_at_most(today: Any, name: str) -> None:
    """CloudFormation does one in an update (AWS::DynamoDB::Table, GlobalSecondaryIndexes)."""
    assert len(today[name]["Indexes"].keys() ^ RELEASED[name]["Indexes"].keys()) <= 1


@pytest.mark.parametrize("name", RELEASED)
def test_no_parameter_takes_a_resource_with_data_away(template: Template, name: Any) -> None:
    assert "Condition" not in template.resources[name]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("Table", {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}),
        ("Table", {"TableName": "skycore"}),
        ("PostbackQueue", {"FifoQueue": True}),
        ("SendQueue", {"QueueName": "sends"}),
        ("EventTopic", {"TopicName": "events"}),
        ("PostbackToken", {"GenerateSecretString": {"PasswordLength": 64}}),
        ("ApiKey", {"SecretString": "{}"}),
    ],
)
def test_a_change_that_loses_data_is_seen(
    template: Template, name: str, change: dict[str, Any]
) -> None:
    properties = {**template.resources[name].get("Properties", {}), **change}
    changed = {name: {**template.resources[name], "Properties": properties}}
    assert frozen(snapshot(changed)[name]) != frozen(RELEASED[name])
