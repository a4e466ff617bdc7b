"""docs/leaving.md deletes every kind of resource that outlives the stack."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.template.conftest import Template

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "leaving.md").read_text()


def test_what_outlives_the_stack_is_listed_and_deleted(template: Template) -> None:
    kept = {
        resource["Type"]
        for resource in template.resources.values()
        if resource.get("DeletionPolicy", "").startswith("Retain")
    } - {"AWS::SQS::QueuePolicy"}  # it goes with its queue
    assert {"AWS::DynamoDB::Table", "AWS::SQS::Queue"} <= kept
    (listed,) = re.findall(r"contains\(\[(.*?)\]", PAGE)
    assert kept <= set(re.findall(r"'([\w:]+)'", listed))
    assert kept <= set(re.findall(r"^ +(AWS::[\w:]+)\) ?", PAGE, re.MULTILINE))
