"""The template as data: CloudFormation's short tags spelt out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


class _Loader(yaml.SafeLoader):
    pass


def _tag(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tag)


class Template:
    """Lookups that every test needs."""

    def __init__(self) -> None:
        self.text = (ROOT / "template.yaml").read_text()
        self.body: dict[str, Any] = yaml.load(self.text, _Loader)
        self.resources: dict[str, Any] = self.body["Resources"]

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        return {
            name: resource["Properties"]
            for name, resource in self.resources.items()
            if resource["Type"] == kind and "Properties" in resource
        }

    @property
    def functions(self) -> dict[str, dict[str, Any]]:
        return self.of_type("AWS::Serverless::Function")

    def statements(self, role: str) -> list[dict[str, Any]]:
        policies = self.resources[role]["Properties"]["Policies"]
        return [row for policy in policies for row in policy["PolicyDocument"]["Statement"]]


@pytest.fixture(scope="session")
def template() -> Template:
    return Template()
