"""What a template says of its resources that hold data, as far as no update may change it.

python -m tests.template.released [git revision] prints it: of today's template, or of one in the
history.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.template.conftest import ROOT, _Loader

if TYPE_CHECKING:
    from collections.abc import Mapping

SNAPSHOT = Path(__file__).with_name("released.json")

# Resource type: properties whose change replaces the resource ("Update requires: Replacement" in
# AWS's template reference). Of a secret, a change of SecretString or GenerateSecretString
# replaces nothing but makes a new value, and of a table's attributes the type cannot be edited.
FROZEN: dict[str, tuple[str, ...]] = {
    "AWS::DynamoDB::Table": (
        "TableName",
        "KeySchema",
        "LocalSecondaryIndexes",
        "ImportSourceSpecification",
    ),
    "AWS::SQS::Queue": ("QueueName", "FifoQueue"),
    "AWS::SNS::Topic": ("TopicName", "FifoTopic"),
    "AWS::SecretsManager::Secret": ("Name", "SecretString", "GenerateSecretString"),
}


def snapshot(resources: Mapping[str, Any]) -> dict[str, Any]:
    """By logical id: the type and the frozen properties; of a table its attributes and indexes."""
    kept = {}
    for name, resource in resources.items():
        kind, properties = resource["Type"], resource.get("Properties", {})
        if kind not in FROZEN:
            continue
        kept[name] = {"Type": kind, **{key: properties.get(key) for key in FROZEN[kind]}}
        if kind == "AWS::DynamoDB::Table":
            attributes = properties["AttributeDefinitions"]
            kept[name]["Attributes"] = {
                row["AttributeName"]: row["AttributeType"] for row in attributes
            }
            kept[name]["Indexes"] = {
                index["IndexName"]: index for index in properties["GlobalSecondaryIndexes"]
            }
    return kept


if __name__ == "__main__":
    text = (ROOT / "template.yaml").read_text()
    if sys.argv[1:]:
        command = ["git", "show", f"{sys.argv[1]}:template.yaml"]
        text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    print(json.dumps(snapshot(yaml.load(text, _Loader)["Resources"]), indent=1))
