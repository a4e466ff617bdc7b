"""What CloudFormation checks of a set of parameters before it creates anything.

"Parameters" and "Rules" in the CloudFormation Template Reference: a parameter's own constraints, of
a list for each of its items, and then the assertions of each rule.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def refusals(body: Mapping[str, Any], chosen: Mapping[str, str]) -> list[str]:
    """Return why CloudFormation refuses these parameters: the parameter's or the rule's name."""
    declared = body["Parameters"]
    assert set(chosen) <= set(declared)
    values = {
        name: _value(entry["Type"], chosen.get(name, str(entry["Default"])))
        for name, entry in declared.items()
    }
    found = [name for name in declared if not _fits(declared[name], values[name])]
    for name, rule in body["Rules"].items():
        if _true(rule.get("RuleCondition", True), values):
            asserted = [_true(row["Assert"], values) for row in rule["Assertions"]]
            found += [name] * (not all(asserted))
    return found


def cut_by_sam(value: str) -> str:
    """Return what SAM CLI leaves of `a, b` in samconfig.toml: `a,` (aws/aws-sam-cli#2096)."""
    return value.split(" ", 1)[0]


def _value(kind: str, text: str) -> str | list[str]:
    if kind == "CommaDelimitedList":
        return [item.strip() for item in text.split(",")]
    return text


def _fits(entry: Mapping[str, Any], value: str | list[str]) -> bool:
    items = value if isinstance(value, list) else [value]
    return all(_item_fits(entry, item) for item in items)


def _item_fits(entry: Mapping[str, Any], item: str) -> bool:
    if entry["Type"] == "Number":
        try:
            number = float(item)
        except ValueError:
            return False
        if not entry.get("MinValue", number) <= number <= entry.get("MaxValue", number):
            return False
    if "AllowedValues" in entry and item not in map(str, entry["AllowedValues"]):
        return False
    if not entry.get("MinLength", 0) <= len(item) <= entry.get("MaxLength", len(item)):
        return False
    return re.fullmatch(entry.get("AllowedPattern", ".*"), item, re.ASCII) is not None


def _true(node: Any, values: Mapping[str, Any]) -> bool:
    if isinstance(node, bool):
        return node
    ((function, argument),) = node.items()
    if function == "Fn::Not":
        return not _true(argument[0], values)
    if function == "Fn::And":
        return all(_true(one, values) for one in argument)
    if function == "Fn::Or":
        return any(_true(one, values) for one in argument)
    left, right = (
        values[one["Ref"]] if isinstance(one, dict) and "Ref" in one else one for one in argument
    )
    if function == "Fn::Equals":
        return bool(left == right)
    if function == "Fn::Contains":
        return right in left
    # A function that Rules do not know fails the deployment, and this lookup.
    assert function == "Fn::EachMemberEquals"
    return all(item == right for item in left)
