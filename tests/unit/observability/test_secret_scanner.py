"""The secret scanner finds what is planted, however it is written, and nothing else."""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, urlencode

import pytest

from tests.integration.secret_scanner import forms, number_forms, search

if TYPE_CHECKING:
    from collections.abc import Callable

SECRETS = {
    "key": "k3y-of/the+account==",
    "token": "aZ09bY18cX27dW36eV45fU54gT63hS72iR81jQ90kP09lO18",
    "password": "pa<ss>&\"wörd'",
    "text": "Grüße, Ünï, 你好 😀 & <b>",
}
FORMS = {name: forms(secret) for name, secret in SECRETS.items()}
PLANTS: dict[str, Callable[[str], bytes]] = {
    "as it is": lambda text: text.encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()),
    "base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")),
    "hex": lambda text: text.encode().hex().encode(),
    "HEX": lambda text: text.encode().hex().upper().encode(),
    "URL": lambda text: quote(text, safe="").encode(),
    "URL path": lambda text: quote(text).encode(),
    "form": lambda text: urlencode({"xml": text}).encode(),
    "form value": lambda text: quote_plus(text).encode(),
    "JSON": lambda text: json.dumps({"a": text}).encode(),
    "JSON as it is": lambda text: json.dumps([text], ensure_ascii=False).encode(),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"a": text})).encode(),
    "HTML": lambda text: html.escape(text).encode(),
    "XML with references": lambda text: html.escape(text, quote=False).encode(
        "ascii", "xmlcharrefreplace"
    ),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, big end first": lambda text: text.encode("utf-16-be"),
    "repr": lambda text: repr(text).encode(),
    "repr of bytes": lambda text: repr(text.encode()).encode(),
}


@pytest.mark.parametrize("before", ["", "x", "xy", '<TEXT a="1">'], ids=len)
@pytest.mark.parametrize("how", PLANTS)
@pytest.mark.parametrize("name", SECRETS)
def test_it_is_found(name: str, how: str, before: str) -> None:
    planted = PLANTS[how](f"{before}{SECRETS[name]}{before} and more")
    found = search(b"noise " + planted + b" noise", FORMS)
    assert {line.split(" as ")[0] for line in found} == {name}


@pytest.mark.parametrize(
    "written",
    ["17743190042", "+1 (774) 319-0042", "774-319-0042", "+17743190042", "774.319.0042"],
)
def test_a_number_is_found(written: str) -> None:
    assert search(f"call {written} now".encode(), {"number": number_forms("17743190042")})


def test_nothing_is_found_in_what_logs_hold() -> None:
    line = '{"level":"INFO","message_id":"7ec7dbc46d21464be471c63d898132df","to":"…44"}'
    assert search(line.encode(), FORMS | {"number": number_forms("17743190042")}) == []
