"""The template as its readers see it: reasons, descriptions, patterns, and no trace of tests."""

from __future__ import annotations

import json
import re

import pytest

from tests.template.conftest import ROOT, Template
from tests.template.deployed import Deployed

NUMBER = re.compile(r"^\s*-?\s*[A-Za-z]+: -?\d+(\.\d+)?\s*$")


def test_every_number_carries_its_reason(template: Template) -> None:
    resources = template.text.split("\nResources:\n", 1)[1].split("\nOutputs:\n", 1)[0]
    bare = [line for line in resources.splitlines() if NUMBER.match(line)]
    assert bare == []


def test_every_parameter_and_output_is_described(template: Template) -> None:
    for part in ("Parameters", "Outputs"):
        for name, entry in template.body[part].items():
            assert len(entry.get("Description", "")) > 10, name


def test_no_output_puts_a_secret_into_an_argument_or_a_shell_variable() -> None:
    stack = Deployed("skycore-prod")
    command = stack.output("SetApiKeyCommand")
    assert command == ".venv/bin/python -m ops --stack skycore-prod set-key"
    for name in stack.body["Outputs"]:
        text = json.dumps(stack.body["Outputs"][name]["Value"])
        assert "--secret-string" not in text, name
        assert "read -" not in text, name


def test_every_parameter_is_in_a_group(template: Template) -> None:
    groups = template.body["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(template.body["Parameters"])


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ("https://secure.skycore.com/API/wxml/1.3/index.php", True),
        ("http://127.0.0.1:9999/", True),
        ("http://localhost:8085", True),
        ("http://secure.skycore.com/API/wxml/1.3/index.php", False),
        ("http://127.0.0.1.evil.example/", False),
        ("https://secure.skycore.com/index.php?", False),
        ("ftp://secure.skycore.com/", False),
    ],
)
def test_the_key_goes_over_https_or_nowhere(template: Template, value: str, fits: bool) -> None:
    pattern = template.body["Parameters"]["SkycoreUrl"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, value)) is fits


def test_nothing_of_the_emulator_is_in_what_is_deployed() -> None:
    deployed = [ROOT / "template.yaml", ROOT / "samconfig.toml"]
    for folder in ("functions", "layers"):
        deployed += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in deployed:
        if path.suffix == ".pyc":
            continue
        text = path.read_text().lower()
        assert "ministack" not in text, path
        assert "4566" not in text or path.suffix in {".csv", ".txt"}, path
