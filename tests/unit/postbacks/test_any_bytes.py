"""Any bytes at all are events that the schema allows."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skycore.catalogue.fields import all_postback_fields
from skycore.catalogue.statuses import all_postback_codes
from skycore.postbacks.cloudevent import event_json, message_attributes
from skycore.postbacks.event import build_event
from skycore.postbacks.parser import PARSER_BUG, read_postback

NOW = datetime(2026, 11, 22, 10, 41, 15, tzinfo=UTC)
CORPUS = [
    path.read_bytes()
    for path in sorted((Path(__file__).parents[2] / "contract/postbacks").iterdir())
    if not path.name.endswith(".expected.json")
]
ELEMENTS = [element for field in all_postback_fields() for element in field.elements]
QUICK = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
Valid = Callable[[dict[str, Any]], None]


def check(body: bytes, valid: Valid) -> None:
    events = read_postback(body, NOW)
    assert events
    assert [event.id for event in events] == [event.id for event in read_postback(body, NOW)]
    assert len({event.id for event in events}) == len(events)
    for event in events:
        assert not event.data.get("error", "").startswith(PARSER_BUG)
        assert event.with_first_seen(NOW).id
        assert event.status_step in {None, "sent", "delivered", "failed", "expired"}
        envelope = build_event(event, source="urn:skycore:test", raw=body)
        valid(envelope)
        text = event_json(envelope)
        assert json.loads(text) == envelope
        text.encode()
        assert all(message_attributes(envelope).values())


@QUICK
@given(body=st.binary(max_size=300))
def test_bytes(body: bytes, valid: Valid) -> None:
    check(body, valid)


@QUICK
@given(data=st.data(), body=st.sampled_from(CORPUS))
def test_damaged_bodies(data: st.DataObject, body: bytes, valid: Valid) -> None:
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 20)))
    junk = data.draw(st.binary(max_size=8) | st.sampled_from([b"<", b"&", b"</", b"\x00", b'"']))
    check(body[:start] + junk + body[end:], valid)


texts = st.text(max_size=40)
names = st.sampled_from(ELEMENTS) | st.sampled_from(["CONTENT", "BODY", "NOTIFICATION", "NEW-1"])


@QUICK
@given(
    members=st.dictionaries(
        names | texts,
        st.recursive(
            texts | st.none() | st.booleans() | st.integers() | st.floats(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(names | texts, inner, max_size=3)
            ),
            max_leaves=8,
        ),
        max_size=8,
    ),
    code=st.sampled_from([code.code for code in all_postback_codes()]),
)
def test_json(members: dict[str, Any], code: str, valid: Valid) -> None:
    check(json.dumps({**members, "code": code}).encode(), valid)


markup = st.sampled_from(
    ["<", ">", "</", "/>", "&", "&amp;", "]]>", "<![CDATA[", "<!--", "-->", "<?"]
)
pieces = st.lists(texts | markup | names.map(lambda name: f"<{name}>"), max_size=8).map("".join)


@QUICK
@given(parts=st.lists(st.tuples(names, pieces), max_size=6))
def test_almost_xml(parts: list[tuple[str, str]], valid: Valid) -> None:
    inside = "".join(f"<{name}>{text}</{name}>" for name, text in parts)
    body = f"<POSTBACK><CODE>N202</CODE>{inside}</POSTBACK>"
    check(body.encode("utf-8", "surrogatepass"), valid)


@QUICK
@given(text=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=60))
def test_a_text_comes_through(text: str) -> None:
    if not text.strip() or {"\ufffe", "\uffff"} & set(text):
        return
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    body = f"<POSTBACK><CODE>N211</CODE><TEXT>{escaped}</TEXT></POSTBACK>"
    for encoding in ("utf-8", "utf-16", "utf-16-le"):
        (event,) = read_postback(body.encode(encoding), NOW)
        assert event.data["text"] == text
