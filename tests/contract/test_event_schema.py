"""The published schema takes what v1 may gain; the strict one holds what this release has."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from skycore.postbacks.cloudevent import DATA_SCHEMA, data_names
from skycore_client import parse_event
from tests import cloudevents
from tests.event_schema import NAMES, OPEN, STRICT

SAMPLES = cloudevents.samples()
OPEN_TO_ALL, KNOWN_ONLY = Draft202012Validator(OPEN), Draft202012Validator(STRICT)
DATA = OPEN["properties"]["data"]
FIRST = Path(__file__).with_name("release") / "event_v1.json"


def gained(event: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    changed = deepcopy(event)
    target = changed["data"] if path.startswith("data.") else changed
    target[path.removeprefix("data.")] = value
    return changed


# What a release of v1 may add: each is fine for a consumer, and news for our own tests.
GAINS = [
    ("data.segments", 2),
    ("data.links", [{"url": "https://x/1", "clicks": 3}]),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("type", "skycore.mms_opened"),
    ("data.event", "mms_opened"),
]


@pytest.mark.parametrize("path, value", GAINS)
@pytest.mark.parametrize("name", ["sms_delivered", "sms_stop", "unparsed", "message_accepted"])
def test_a_consumers_schema_survives_the_next_release(name: str, path: str, value: Any) -> None:
    event = gained(SAMPLES[name], path, value)
    OPEN_TO_ALL.validate(event)
    assert not KNOWN_ONLY.is_valid(event)
    parse_event(event)


def test_a_consumers_schema_survives_a_new_field_of_a_file() -> None:
    event = deepcopy(SAMPLES["media_kept"])
    event["data"]["media"][0]["width"] = 640
    OPEN_TO_ALL.validate(event)
    assert not KNOWN_ONLY.is_valid(event)
    parse_event(event)


@pytest.mark.parametrize(
    "path, value",
    [("id", None), ("type", "other.event"), ("time", "today"), ("data.terminal", "yes")],
)
def test_what_breaks_the_promise_is_refused(path: str, value: str | None) -> None:
    assert not OPEN_TO_ALL.is_valid(gained(SAMPLES["sms_delivered"], path, value))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_a_complete_event(name: Any) -> None:
    text = (cloudevents.FOLDER / f"{name}.json").read_text("utf-8")
    assert json.loads(text) == SAMPLES[name], "run .venv/bin/python -m tests.cloudevents"
    KNOWN_ONLY.validate(SAMPLES[name])
    OPEN_TO_ALL.validate(SAMPLES[name])


def test_there_is_no_other_sample() -> None:
    assert sorted(path.stem for path in cloudevents.FOLDER.iterdir()) == sorted(SAMPLES)


def test_the_schema_describes_every_field_and_requires_only_those_of_the_first_release() -> None:
    Draft202012Validator.check_schema(OPEN)
    assert list(DATA["properties"]) == list(data_names())
    assert set(DATA["required"]) <= set(DATA["properties"])
    assert all(element["description"] for element in DATA["properties"].values())
    assert OPEN["$id"] == OPEN["properties"]["dataschema"]["const"] == DATA_SCHEMA


def test_v1_loses_nothing() -> None:
    first = json.loads(FIRST.read_text("utf-8"))
    assert DATA["required"] == first["fields"]
    assert set(first["types"]) <= set(NAMES)
