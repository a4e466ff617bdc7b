"""The published schema of events, and a strict variant that knows exactly what this release has.

Consumers get the open one: v1 may gain fields, types and extensions. Our own tests use the strict
one, which refuses what the open one does not describe.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from skycore.catalogue.statuses import OWN_STEPS, UNKNOWN, UNPARSED, all_postback_codes
from skycore.receiving.fetch import MEDIA_KEPT

FILE = Path(__file__).parents[1] / "events" / "schema" / "postback-event-v1.json"
OPEN: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
NAMES = sorted(
    {code.event for code in all_postback_codes()}
    | {UNKNOWN, UNPARSED, MEDIA_KEPT}
    | {f"message_{step}" for step in OWN_STEPS}
)


def strict() -> dict[str, Any]:
    """Return the strict variant: every field, no other one, and only the types that we publish."""
    schema = deepcopy(OPEN)
    envelope, data = schema["properties"], schema["properties"]["data"]
    for part in (schema, data, data["properties"]["media"]["items"]):
        part["additionalProperties"] = False
    data["required"] = list(data["properties"])
    envelope["type"]["enum"] = [f"skycore.{name}" for name in NAMES]
    data["properties"]["event"]["enum"] = NAMES
    none = {"type": "null"}
    schema["else"] = {"properties": {"data": {"properties": {"error": none, "raw": none}}}}
    return schema


STRICT = strict()
