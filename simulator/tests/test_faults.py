"""Weather: a share of the requests goes wrong, in one way or another."""

import random
from collections import Counter

import pytest
import requests

from tests.unit.simulator.harness import Skycore

SMS = {"TO": "17743199144", "FROM": "60856", "TEXT": "Hello"}


@pytest.mark.parametrize(
    "weather, outcome",
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
def test_all_or_none(skycore: Skycore, weather, outcome) -> None:
    skycore.set(weather=weather)
    assert seen(skycore) == outcome


def test_a_share(skycore: Skycore) -> None:
    skycore.simulator._chance = random.Random(1)
    skycore.set(weather={"http500": 20, "E106": 50})
    counted = Counter(seen(skycore) for _ in range(200))
    assert set(counted) == {"HTTP 500", "E106", "Success"}
    assert 20 < counted["HTTP 500"] < 60
    assert 50 < counted["E106"] < 110


def test_a_magic_number_is_stronger(skycore: Skycore) -> None:
    skycore.set(weather={"http500": 100})
    assert seen(skycore, TO="15005550108") == "empty"


@pytest.mark.parametrize("weather", [{"storm": 5}, {"half": 101}, {"half": -1}, {"half": "5"}])
def test_wrong_weather_is_refused(skycore: Skycore, weather) -> None:
    url = f"{skycore.server.url}_control/settings"
    assert skycore.session.patch(url, json={"weather": weather}).status_code == 400


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
