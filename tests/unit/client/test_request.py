"""What Skycore reads is what the caller meant, in both transports."""

import json
from typing import Any
from urllib.parse import parse_qsl
from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skycore.catalogue.actions import Action, all_actions, find_action
from skycore.client.errors import CredentialsMissing
from skycore.client.request import Credentials, request_query, request_xml
from skycore.client.validation import prepare
from tests.unit.client.samples import requests_of

KEY = Credentials(api_key="k" * 30).elements
MEDIA = ("IMAGE", "AUDIO", "VIDEO", "VCARD", "ICAL", "PDF", "PASSBOOK")
EVERY = pytest.mark.parametrize("action", all_actions(), ids=lambda action: action.name)
QUICK = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


def action_named(name: str) -> Action:
    action = find_action(name)
    assert action is not None
    return action


def as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def children(element: Element) -> list[tuple[str, str]]:
    return [(child.tag, child.text or "") for child in element]


def expected_elements(action: Action, fields: dict[str, Any]) -> dict[str, Any]:
    """Fields as plain element names and values, by another route than the encoder's."""
    expected: dict[str, Any] = {}
    for parameter in action.parameters:
        if parameter.name not in fields:
            continue
        value = fields[parameter.name]
        if parameter.kind == "slides":
            value = [{k.upper().replace("_", "-"): as_text(v) for k, v in s.items()} for s in value]
        elif parameter.kind == "custom_text":
            value = [(entry["value"], str(entry["slide"])) for entry in value]
        elif parameter.kind == "data":
            value = {name.upper(): text for name, text in value.items()}
        elif parameter.kind == "pass_data":
            value = {name.upper().replace("_", ""): text for name, text in value.items()}
        elif parameter.kind == "true_only":
            if not value:
                continue
            value = "true"
        else:
            value = as_text(value)
        expected[parameter.xml] = value
    return expected


def read_xml(xml: str) -> dict[str, Any]:
    root = fromstring(xml.encode())
    assert root.tag == "REQUEST"
    read: dict[str, Any] = {}
    for child in root:
        if child.tag == "SLIDE":
            slide: dict[str, str] = {}
            for part in child:
                nested = part.find("URL") if part.tag in MEDIA else part.find("TEMPLATE-ID")
                slide[part.tag] = (part if nested is None else nested).text or ""
            read.setdefault("SLIDE", []).append(slide)
        elif child.tag == "CUSTOMTEXT":
            entry = dict(children(child))
            read.setdefault("CUSTOMTEXT", []).append((entry["VALUE"], entry["SLIDE"]))
        elif child.tag in ("DATA", "PASSDATA"):
            read[child.tag] = dict(children(child))
        else:
            assert child.tag not in read
            read[child.tag] = child.text or ""
    return read


def read_query(query: str) -> dict[str, Any]:
    read: dict[str, Any] = {}
    pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    assert len(pairs) == len(dict(pairs))
    for key, value in pairs:
        if key.startswith("customtext_"):
            slide = key.removeprefix("customtext_")
            read.setdefault("CUSTOMTEXT", []).append((value, slide))
        elif key.startswith("data_"):
            read.setdefault("DATA", {})[key.removeprefix("data_").upper()] = value
        elif key.startswith("pd_"):
            read.setdefault("PASSDATA", {})[key.removeprefix("pd_").upper()] = value
        else:
            read[key.upper()] = value
    return read


@EVERY
@given(st.data())
@QUICK
def test_xml_round_trip(action: Action, data: st.DataObject) -> None:
    fields = prepare(action, data.draw(requests_of(action)))
    read = read_xml(request_xml(action, fields, KEY))
    assert read.pop("ACTION") == action.name
    assert read.pop("API_KEY") == "k" * 30
    assert read == expected_elements(action, fields)


@pytest.mark.parametrize(
    "action", [a for a in all_actions() if a.get_form], ids=lambda action: action.name
)
@given(st.data())
@QUICK
def test_get_round_trip(action: Action, data: st.DataObject) -> None:
    fields = prepare(action, data.draw(requests_of(action)))
    query = request_query(action, fields, KEY)
    assert query.isascii()
    assert " " not in query
    read = read_query(query)
    assert read.pop("ACTION") == action.name.lower()
    assert read.pop("API_KEY") == "k" * 30
    expected = expected_elements(action, fields)
    if action.name == "sendSavedMMSCampaign":
        expected["CAMPAIGNID"] = expected.pop("TOCAMPAIGN")
    # an empty group leaves no trace in a query
    assert read == {name: value for name, value in expected.items() if value not in ({}, [])}


def test_eight_slides_of_5000_characters_survive() -> None:
    action = action_named("saveMMS")
    hard = "\r\n\t&<>\"'\U0001f600é]]>{$first_name|friend}"
    text = (hard * 300)[:5000]
    slides = [{"text": text, "duration": 5} for _ in range(8)]
    fields = prepare(action, {"subject": "s", "name": "n", "slides": slides})
    read = read_xml(request_xml(action, fields, KEY))
    assert [slide["TEXT"] for slide in read["SLIDE"]] == [text] * 8


def test_documented_forms() -> None:
    action = action_named("sendSavedMMS")
    fields = prepare(
        action,
        {
            "mms_id": "35674",
            "to": "+17743199144",
            "from": "60856",
            "custom_text": [{"slide": 2, "value": "a b"}],
            "data": {"first_name": "Ann"},
            "disable_fallback_sms": True,
            "force_pass_as_link": False,
            "ddm_force": False,
        },
    )
    assert request_query(action, fields, {"API_KEY": "k"}) == (
        "action=sendsavedmms&api_key=k&mmsid=35674&to=17743199144&from=60856&customtext_2=a+b"
        "&data_first_name=Ann&disablefallbacksms=yes&forcepassaslink=no"
    )
    assert request_xml(action, fields, {"API_KEY": "k"}) == (
        "<REQUEST><ACTION>sendSavedMMS</ACTION><API_KEY>k</API_KEY><MMSID>35674</MMSID>"
        "<TO>17743199144</TO><FROM>60856</FROM>"
        "<CUSTOMTEXT><VALUE>a b</VALUE><SLIDE>2</SLIDE></CUSTOMTEXT>"
        "<DATA><FIRST_NAME>Ann</FIRST_NAME></DATA>"
        "<DISABLEFALLBACKSMS>yes</DISABLEFALLBACKSMS><FORCEPASSASLINK>no</FORCEPASSASLINK>"
        "</REQUEST>"
    )


@pytest.mark.parametrize(
    ("credentials", "elements"),
    [
        (Credentials(api_key="k"), {"API_KEY": "k"}),
        (
            Credentials(user="u", password="hello"),
            {"USER": "u", "PASS": "5d41402abc4b2a76b9719d911017c592"},
        ),
        (
            Credentials(api_key="k", user="u", password="hello"),
            {"API_KEY": "k", "USER": "u", "PASS": "5d41402abc4b2a76b9719d911017c592"},
        ),
        (
            Credentials(api_key="k", password="hello"),
            {"API_KEY": "k", "PASS": "5d41402abc4b2a76b9719d911017c592"},
        ),
        (Credentials(user="u"), {}),
        (Credentials(), {}),
    ],
)
def test_credentials(credentials: Credentials, elements: dict[str, str]) -> None:
    assert credentials.elements == elements
    assert credentials.usable == bool(elements)
    assert repr(credentials) == "Credentials()"


API_KEY = "Kx8kZq3vT5pY7nB2mW9rD4sF6gH1jL0c"
STORED = {
    "alone": API_KEY,
    "a line end": f"{API_KEY}\r\n",
    "a byte order mark": f"\ufeff{API_KEY}",
    "a mark after a line end": f"\n\ufeff {API_KEY}",
    "quotes": f'"{API_KEY}"',
    "single quotes": f"'{API_KEY}'\n",
    "quotes in quotes": f"'\"{API_KEY}\"'",
    "backticks": f"`{API_KEY}`",
    "an object": f'{{"api_key": "{API_KEY}"}}',
    "an object after a mark": f'\ufeff{{"api_key": "{API_KEY}"}}\n',
    "an object in quotes": f'\'{{"api_key": "{API_KEY}"}}\'',
    "an object in a JSON text": json.dumps(json.dumps({"api_key": API_KEY})),
    "upper case": f'{{"API_KEY": "{API_KEY}"}}',
    "one word": f'{{"apiKey": "{API_KEY}"}}',
    "a hyphen": f'{{"api-key": "{API_KEY}"}}',
    "the value with a line end": f'{{"api_key": "{API_KEY}\\n"}}',
    "other members": f'{{"api_key": "{API_KEY}", "user": "", "note": [1]}}',
}


@pytest.mark.parametrize("name", STORED)
def test_credentials_written_by_hand_are_read(name: str) -> None:
    assert Credentials.parse(STORED[name]) == Credentials(api_key=API_KEY)


def test_a_password_keeps_its_spaces_and_quotes() -> None:
    stored = '{"User": "acme", "password": " \\"p\\" "}'
    assert Credentials.parse(stored) == Credentials(user="acme", password=' "p" ')


UNUSABLE = {
    "nothing": ("", "no Skycore API key is set"),
    "spaces and a mark": (" \ufeff\n", "no Skycore API key is set"),
    "empty quotes": ('""', "no Skycore API key is set"),
    "half an object": (f'{{"api_key": "{API_KEY}"', "not valid JSON"),
    "no member": (f'{{"key": "{API_KEY}"}}', 'without "api_key"'),
    "a user alone": ('{"user": "u"}', 'without "api_key"'),
    "null": ('{"api_key": null}', 'without "api_key"'),
    "a list": ('{"api_key": ["a"]}', 'without "api_key"'),
    "true": ('{"api_key": true}', 'without "api_key"'),
    "two lines": (f"{API_KEY}\n{API_KEY}", "spaces or other characters"),
    "a comment": (f"api_key = {API_KEY}", "spaces or other characters"),
    "a mark inside": (f"{API_KEY}\ufeff{API_KEY}", "spaces or other characters"),
    "a name before it": (f"api_key={API_KEY}", "store the key alone"),
    "a name and a colon": (f"API_KEY:{API_KEY}", "store the key alone"),
    "an empty list": ("[]", "store the key alone"),
    "a key in a list": (f'["{API_KEY}"]', "store the key alone"),
    "angle brackets": (f"<{API_KEY}>", "store the key alone"),
    "a semicolon": (f"{API_KEY};", "store the key alone"),
    "one backtick": (f"`{API_KEY}", "store the key alone"),
    "an open quote": (f'"{API_KEY}', "spaces or other characters"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_credentials_that_cannot_be_used_are_explained_without_being_quoted(name: str) -> None:
    stored, reason = UNUSABLE[name]
    with pytest.raises(CredentialsMissing) as caught:
        Credentials.parse(stored)
    assert reason in caught.value.reason
    assert (
        API_KEY not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    )
