"""Valid requests of every action, made by hypothesis from the catalogue alone."""

from typing import Any

from hypothesis import strategies as st

from skycore.catalogue.actions import Action, Parameter
from skycore.client.values import has_visible_character

_XML = st.characters(
    codec="utf-8",
    exclude_categories=["Cs"],
    exclude_characters=[chr(code) for code in range(32) if chr(code) not in "\t\n\r"]
    + ["\ufffe", "\uffff"],
)
_ANY_TEXT = st.text(_XML | st.sampled_from("\r\n\t &<>\"'+%=;{}$|\U0001f600é]]>"), max_size=40)
TEXT = _ANY_TEXT.filter(has_visible_character)
LINE = TEXT.filter(lambda text: "\n" not in text and "\r" not in text)
_URL = st.sampled_from(
    [
        "https://a.example.com/b.png?c=d&e=%20f",
        "http://a.example.com:8080/%C3%A9",
        "HTTPS://[2606:4700::1111]/x",
    ]
)
_PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "alphanumeric": st.from_regex(r"\A[A-Za-z0-9]{1,20}\Z"),
    "beacon_number": st.integers(0, 65535).map(str),
    "carrier_id": st.from_regex(r"\A[0-9]{1,7}\Z"),
    "datetime": st.datetimes().map(lambda time: f"{time.isoformat(' ', 'seconds')}"),
    "datetime_iso": st.datetimes().map(lambda time: f"{time.isoformat('T', 'seconds')}Z"),
    "email": st.sampled_from(["a@b.example", "o'hara+news@mail.example"]),
    "email_or_all": st.sampled_from(["ALL", "a@b.example"]),
    "latitude": st.sampled_from(["-90", "0", "42.36", "+1.5"]),
    "longitude": st.sampled_from(["-180", "0", "-71.05"]),
    "letters_digits_spaces": st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9 ]{0,19}\Z"),
    "line": LINE,
    "msisdn": st.from_regex(r"\A\+1[2-9][0-9]{9}\Z"),
    "sender": st.from_regex(r"\A[0-9]{3,8}\Z"),
    "sender_mask": st.from_regex(r"\A[A-Za-z][A-Za-z0-9_-]{0,10}\Z"),
    "sms_text": TEXT,
    "text": TEXT,
    "true_only": st.booleans(),
    "url": _URL,
    "uuid": st.uuids().map(str),
    "value": _ANY_TEXT,
    "yes_no": st.booleans(),
}
_NAMES = st.from_regex(r"\A[a-z][a-z0-9_]{0,15}\Z")
_SLIDE_SHAPES = (
    ("text",),
    ("image",),
    ("image", "audio", "text", "duration"),
    ("personalized_image", "text"),
    ("video", "text"),
    ("vcard",),
    ("pdf", "text"),
    ("ical", "duration"),
    ("passbook",),
)


def requests_of(action: Action) -> st.SearchStrategy[dict[str, Any]]:
    """Fields that ``prepare`` accepts: all mandatory ones and any of the others."""
    one_of = [
        st.fixed_dictionaries({p.name: _value(p)})
        for p in action.parameters
        if p.required == "one_of"
    ]
    must = {p.name: _value(p) for p in action.parameters if p.required == "always"}
    must |= {p.name: _value(p) for p in action.parameters if p.required_unless}
    may = {
        p.name: _value(p)
        for p in action.parameters
        if p.required == "optional" and p.name not in must
    }
    plain = st.fixed_dictionaries(must, optional=may)
    if not one_of:
        return plain
    return st.tuples(plain, st.one_of(one_of)).map(lambda pair: {**pair[0], **pair[1]})


def _value(parameter: Parameter) -> st.SearchStrategy[Any]:
    match parameter.kind:
        case "integer":
            return st.integers(parameter.minimum, parameter.maximum)
        case "data":
            return st.dictionaries(_NAMES, _ANY_TEXT, max_size=5)
        case "slides":
            return st.lists(_slide(parameter), min_size=1, max_size=8)
        case "custom_text":
            entry = st.fixed_dictionaries({c.name: _value(c) for c in parameter.children})
            return st.lists(entry, min_size=1, max_size=8, unique_by=lambda e: e["slide"])
        case "pass_data":
            fields = {child.name: _value(child) for child in parameter.children}
            names = st.lists(st.sampled_from(sorted(fields)), max_size=6, unique=True)
            return names.map(_with_uuids).flatmap(
                lambda chosen: st.fixed_dictionaries({name: fields[name] for name in chosen})
            )
    text = _PLAIN[parameter.kind]
    if parameter.kind == "line" and parameter.max_length is not None:
        return text.map(lambda value: value[: parameter.max_length])
    return text


def _with_uuids(names: list[str]) -> list[str]:
    beacons = {name.strip("abcdefghijklmnopqrstuvwxyz_") for name in names if "ibeacon" in name}
    return [*names, *(uuid for n in beacons if (uuid := f"ibeacon_uuid{n}") not in names)]


def _slide(parameter: Parameter) -> st.SearchStrategy[dict[str, Any]]:
    fields = {child.name: _value(child) for child in parameter.children}
    return st.sampled_from(_SLIDE_SHAPES).flatmap(
        lambda shape: st.fixed_dictionaries({name: fields[name] for name in shape})
    )
