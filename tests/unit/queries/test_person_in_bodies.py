"""A number is found in raw bodies however it is written, and no body stops the search."""

from __future__ import annotations

import base64
import random
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from skycore.queries.person import find_person, mentions
from skycore.receiving import republish
from skycore.table import events
from tests.unit.queries.test_person import (
    BUCKET,
    NUMBER,
    OTHER,
    erase,
    holds_number,
    outside,
    receipt,
    s3,
    secret,
    store,
    table,
)

if TYPE_CHECKING:
    from tests.unit.sending.conftest import Outside
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

__all__ = ["outside", "s3", "secret", "table"]

WRITTEN = {
    "separated": b"<a>(774) - 319 - 9144",
    "full width": "<a>+１７７４３１９９１４４".encode(),  # noqa: RUF001 - on purpose
    "other digits": "<a>١٧٧٤٣١٩٩١٤٤".encode(),
    "spaces that do not break": "<a>+1\u00a0774\u00a0319\u00a09144".encode(),
    "the same in latin-1": b"<a>+1\xa0774\xa0319\xa09144",
    "hyphens that do not break": "<a>+1\u2011774\u2011319\u20119144".encode(),
    "invisible characters": "<a>\u202a+1\u200b774\u200b319\u200b9144\u202c".encode(),
    "escapes of JSON": rb'{"to": "\u0031\u0037\u00374319\u0039144"',
    "references twice": b"&amp;#49;&amp;#55;743199144",
    "percent": b"body=%2B1%20(774)%20319-9144",
    "percent twice": quote(quote("&#49;7743199144")).encode(),
    "plus for space": b"body=+1+774+319+9144+hi",
    "base64 alone": b"<a>MTc3NDMxOTkxNDQ=",
    "base64 after words": b"<a>wrong thing MTc3NDMxOTkxNDQgd3JvdGUgc29tZXRoaW5nIGhlcmU=",
    "base64 in lines": base64.encodebytes(b"x" * 60 + b" 17743199144 y"),
    "base64 of UTF-16": base64.b64encode("nr 17743199144 <".encode("utf-16")),
    "base64, percent-encoded": quote(base64.b64encode(b"xx 17743199144 wrote???")).encode(),
    "UTF-16": "nr 17743199144 <".encode("utf-16-be"),
}


@pytest.mark.parametrize("body", WRITTEN.values(), ids=WRITTEN)
def test_a_number_is_found_however_it_is_written(body: bytes) -> None:
    assert mentions(body, NUMBER)
    assert not mentions(body, OTHER)


def test_no_body_stops_the_search() -> None:
    """One body of a stranger that looked like broken base64 ended every erasure."""
    choose = random.Random(18)
    for _ in range(500):
        assert not mentions(bytes(choose.choices(b"ABCab01+/_=- \n", k=40)), NUMBER)
        mentions(choose.randbytes(100), NUMBER)


def test_a_body_that_was_read_later_and_told_nothing_new_is_still_found(
    table: FakeDynamoDB, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    store("<broken>" + NUMBER)
    store(receipt(to=OTHER))
    (known,) = [e for e in table.of_kind("event") if "raw_key" not in e and "state" not in e]
    copy = events.from_item(known).event
    monkeypatch.setattr(republish, "reparse", lambda *_: [copy])
    assert [one.known for one in republish.reread_unparsed(days=90, write=True)] == [1]
    assert list(republish.reread_unparsed(days=90, write=True)) == []
    assert len(find_person(NUMBER, BUCKET).events) == 1
    erase()
    assert holds_number(table) == []


@pytest.mark.parametrize(
    "fields",
    [
        "<FROM>17743199144</FROM>",
        "<FROM>17743199144</FROM><TO>60856</TO>",
        "<TO>17743199144</TO><FROM>60856</FROM>",
    ],
)
def test_an_event_of_an_unknown_code_is_the_persons(
    table: FakeDynamoDB, outside: Outside, fields: str
) -> None:
    store(f"<POSTBACK><NOTIFICATION><CODE>N999</CODE>{fields}</NOTIFICATION></POSTBACK>")
    assert [item["kind"]["S"] for item in table.of_kind("event")] == ["event"]
    erase()
    assert table.of_kind("event") == []
