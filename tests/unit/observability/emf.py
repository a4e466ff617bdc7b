"""EMF lines as CloudWatch reads them."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import jsonschema

# From "CloudWatch embedded metric format specification", AWS documentation.
SCHEMA = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer"},
                "CloudWatchMetrics": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "properties": {
                            "Namespace": {"type": "string", "minLength": 1, "maxLength": 1024},
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {
                                    "type": "array",
                                    "minItems": 1,
                                    "maxItems": 30,
                                    "items": {"type": "string", "minLength": 1, "maxLength": 250},
                                },
                            },
                            "Metrics": {
                                "type": "array",
                                "maxItems": 100,
                                "items": {
                                    "type": "object",
                                    "required": ["Name"],
                                    "properties": {
                                        "Name": {"type": "string", "maxLength": 1024},
                                        "Unit": {"enum": ["Seconds", "Count", "Percent", "None"]},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}


class Datum(NamedTuple):
    """One metric of one line: what CloudWatch would store."""

    namespace: str
    name: str
    unit: str
    dimensions: dict[str, str]
    values: tuple[float, ...]


def is_emf(line: str) -> bool:
    return line.startswith('{"_aws":')


def read(line: str) -> list[Datum]:
    """What CloudWatch takes from a line. Fails the test for a line that it would not take."""
    told: dict[str, Any] = json.loads(line)
    jsonschema.validate(told, SCHEMA)
    data = []
    for directive in told["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = {name: told[name] for name in names}
            assert all(isinstance(v, str) and 0 < len(v) <= 1024 for v in dimensions.values())
            for metric in directive["Metrics"]:
                value = told[metric["Name"]]
                values = tuple(value) if isinstance(value, list) else (value,)
                assert 0 < len(values) <= 100
                assert all(isinstance(v, int | float) for v in values)
                data.append(
                    Datum(
                        directive["Namespace"], metric["Name"], metric["Unit"], dimensions, values
                    )
                )
    return data
