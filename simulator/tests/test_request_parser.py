"""What is read from a request equals what the sender meant, in each form of request."""

from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator_harness import KEY, Skycore, flat, request_xml
from skycore_simulator.replies import RefusalError
from skycore_simulator.request_parser import Call, parse_fields, parse_http

XML_TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\n\t&<>\"'+%=;"),
    min_size=1,
)
FORM = "application/x-www-form-urlencoded"


def understood(method: str, query: str, content_type: str, body: bytes) -> Call:
    call = parse_http(method, query, content_type, body)
    parse_fields(call)
    return call


def every_form(action: str, fields: dict[str, Any]) -> list[tuple[str, str, str, bytes]]:
    xml = request_xml(action, **fields).encode()
    pairs = urlencode({"action": action.lower(), "api_key": KEY, **flat(fields)})
    part = b'--bo\r\nContent-Disposition: form-data; name="XML"\r\n\r\n' + xml + b"\r\n--bo--\r\n"
    return [
        ("POST", "", FORM, urlencode({"xml": xml}).encode()),
        ("POST", "", FORM, xml),
        ("POST", "", "text/xml", xml),
        ("POST", "", "multipart/form-data; boundary=bo", part),
        ("POST", "", FORM, pairs.encode()),
        ("GET", pairs, "", b""),
    ]


@given(text=XML_TEXT, custom=XML_TEXT, value=XML_TEXT, barcode=XML_TEXT)
def test_all_forms_read_the_same(text: str, custom: str, value: str, barcode: str) -> None:
    fields = {
        "TO": "17743199144",
        "FALLBACKSMSTEXT": text,
        "CUSTOMTEXT": [{"VALUE": custom, "SLIDE": "2"}],
        "DATA": {"FIRST_NAME": value},
        "PASSDATA": {"BARCODEVALUE": barcode},
    }
    for form in every_form("sendSavedMMS", fields):
        call = understood(*form)
        assert (call.action, call.fields) == ("sendSavedMMS", fields), form
        assert call.credentials == {"API_KEY": KEY}


def test_tocampaign_is_campaignid_in_a_get() -> None:
    call = understood("GET", "action=sendsavedmmscampaign&mmsid=1&campaignid=501", "", b"")
    assert call.fields == {"MMSID": "1", "TOCAMPAIGN": "501"}


def test_tags_have_any_letter_case() -> None:
    xml = (
        "<?xml version='1.0' encoding='UTF-8'?><request><Action> SENDmms </Action>"
        "<Api_Key>k</Api_Key><To>1</To><slide><Image><url> http://e/a.png </url></Image>"
        "<text>a</text></slide><Slide><Text>b</Text><DURATION>3</DURATION></Slide></request>"
    )
    call = understood("POST", "", FORM, urlencode({"XML": xml}).encode())
    assert call.action == "sendMMS"
    assert call.fields["SLIDE"] == [
        {"IMAGE": "http://e/a.png", "TEXT": "a"},
        {"TEXT": "b", "DURATION": "3"},
    ]


def test_the_layout_of_2014_still_works() -> None:
    xml = (
        "<REQUEST><ACTION>saveMMS</ACTION><SUBJECT>s</SUBJECT><CONTENT><NAME>n</NAME><SEQUENCE>"
        "<SLIDE duration='5'><TEXT>a</TEXT></SLIDE></SEQUENCE></CONTENT></REQUEST>"
    )
    call = understood("POST", "", "text/xml", xml.encode())
    assert call.fields == {
        "SUBJECT": "s",
        "NAME": "n",
        "SLIDE": [{"DURATION": "5", "TEXT": "a"}],
    }


@pytest.mark.parametrize(
    "label, method, query, body, code",
    [
        ("nothing", "POST", "", b"", "E100"),
        ("query without pairs", "GET", "x", b"", "E101"),
        ("no action", "GET", "api_key=k", b"", "E101"),
        ("empty request", "POST", "", b"<REQUEST/>", "E100"),
        ("another root", "POST", "", b"<RESPONSE><ACTION>loginUser</ACTION></RESPONSE>", "E100"),
        ("unclosed", "POST", "", b"<REQUEST><ACTION>sendSMS</REQUEST>", "E108"),
        ("bare ampersand", "POST", "", b"<REQUEST><ACTION>a & b</ACTION></REQUEST>", "E108"),
        ("control character", "POST", "", b"<REQUEST><ACTION>\x01</ACTION></REQUEST>", "E108"),
        ("not utf-8", "POST", "", b"<REQUEST><ACTION>\xe9</ACTION></REQUEST>", "E108"),
        ("doctype", "POST", "", b"<!DOCTYPE a [<!ENTITY b 'c'>]><REQUEST>&b;</REQUEST>", "E108"),
        ("not xml", "POST", "", b"hello", "E108"),
        ("other keys", "POST", "", b"foo=bar", "E108"),
        ("unknown action", "POST", "", b"action=sendFax&api_key=k", "E101"),
        ("no credentials", "POST", "", b"action=loginUser", "E102"),
        ("user alone", "POST", "", b"action=loginUser&user=u", "E103"),
        ("wrong key", "POST", "", b"action=loginUser&api_key=k", "E104"),
        ("wrong password", "POST", "", b"action=loginUser&user=u&pass=0", "E104"),
    ],
)
def test_unusable_requests(
    skycore: Skycore, label: str, method: str, query: str, body: bytes, code: str
) -> None:
    answer = skycore.session.request(method, f"{skycore.url}?{query}", data=body)
    assert answer.status_code == 200
    assert f"<ERRORCODE>{code}</ERRORCODE>" in answer.text, label
    entry = skycore.control("GET", "requests")["requests"][-1]
    assert entry["code"] == code


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_bad_percent_encoding_is_refused(method: str) -> None:
    with pytest.raises(RefusalError):
        understood(method, "action=%ff" if method == "GET" else "", FORM, b"xml=%ff")


def test_eight_full_slides_survive(skycore: Skycore) -> None:
    texts = [f"{number}" + "x ü☺&<'\"\n" * 555 for number in range(8)]
    slides = [{"TEXT": text} for text in texts]
    fields: dict[str, Any] = {"TO": "17743199144", "FROM": "60856", "NAME": "n", "SUBJECT": "s"}
    assert skycore.call("sendMMS", **fields, SLIDE=slides)["STATUS"] == "Success"
    message = skycore.control("GET", "messages")["messages"][-1]
    assert [slide["TEXT"] for slide in message["slides"]] == texts


@pytest.mark.parametrize("path", ["", "index.php", "API/wxml/1.3/", "API/wxml/1.3/index.php", "x/"])
def test_the_endpoint_has_many_paths(skycore: Skycore, path: str) -> None:
    xml = request_xml("loginUser")
    answer = skycore.session.post(skycore.server.url + path, data={"xml": xml})
    assert "<STATUS>Success</STATUS>" in answer.text


def test_the_bare_address_says_what_this_is(skycore: Skycore) -> None:
    assert "Skycore simulator" in skycore.session.get(skycore.server.url).text
    assert skycore.session.get(skycore.server.url + "elsewhere").status_code == 404


def test_secrets_are_masked_in_the_journal(skycore: Skycore) -> None:
    skycore.set(user="u", password="p")
    for transport in ("form", "raw", "multipart", "get", "keys"):
        skycore.call("createUser", transport, NEWUSER=f"sub-{transport}", NEWPASS="open sesame")
    escaped = escape(KEY)
    shown = str(skycore.control("GET", "requests")) + str(skycore.control("GET", "settings"))
    made = [api_key for _, api_key in skycore.simulator.state.users.values()]
    for secret in (KEY, escaped, "open sesame", "open+sesame", *made):
        assert secret not in shown
