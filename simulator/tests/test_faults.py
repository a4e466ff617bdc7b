"""Faults: a share of the requests fails."""

import random
from collections import Counter

import pytest
import requests

from simulator_harness import Skycore

SMS = {"TO": "17743199144", "FROM": "60856", "TEXT": "Hello"}


@pytest.mark.parametrize(
    "faults, outcome",
    [
        ({"E106": 100}, "E106"),
        ({"E106": 0}, "Success"),
        ({"http500": 100}, "HTTP 500"),
        ({"reset_before": 100}, "reset"),
        ({"half": 100}, "half"),
        ({}, "Success"),
    ],
    ids=str,
)
def test_every_request_fails_or_none(
    skycore: Skycore, faults: dict[str, int], outcome: str
) -> None:
    skycore.set(faults=faults)
    assert seen(skycore) == outcome


def test_a_share_of_the_requests_fails(skycore: Skycore) -> None:
    skycore.simulator._random = random.Random(1)
    skycore.set(faults={"http500": 20, "E106": 50})
    counted = Counter(seen(skycore) for _ in range(200))
    assert set(counted) == {"HTTP 500", "E106", "Success"}
    assert 20 < counted["HTTP 500"] < 60
    assert 50 < counted["E106"] < 110


def test_a_magic_number_outranks_faults(skycore: Skycore) -> None:
    skycore.set(faults={"http500": 100})
    assert seen(skycore, TO="15005550108") == "empty"


@pytest.mark.parametrize("faults", [{"storm": 5}, {"half": 101}, {"half": -1}, {"half": "5"}])
def test_invalid_faults_are_refused(skycore: Skycore, faults: dict[str, object]) -> None:
    url = f"{skycore.server.url}_control/settings"
    assert skycore.session.patch(url, json={"faults": faults}).status_code == 400


def seen(skycore: Skycore, **changes: str) -> str:
    fields = "".join(f"<{k}>{v}</{k}>" for k, v in {**SMS, **changes}.items())
    xml = f"<REQUEST><ACTION>sendSMS</ACTION><API_KEY>key</API_KEY>{fields}</REQUEST>"
    try:
        answer = skycore.post(xml.replace(">key<", f">{skycore.simulator.settings.api_key}<"))
    except requests.exceptions.ChunkedEncodingError:
        return "half"
    except requests.ConnectionError:
        return "reset"
    if answer.status_code != 200:
        return f"HTTP {answer.status_code}"
    found = (word for word in ("E106", "Success") if word in answer.text)
    return next(found, "empty")
