"""Whatever is around a document, and whatever its encoding, it is the same event."""

import base64
import gzip
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus, urlencode

import pytest

from skycore.postbacks.event import Event

Read = Callable[[str | bytes], Event]

XML = (
    "<POSTBACK><ORIGIN>SMS_MT</ORIGIN><CODE>N202</CODE><TO>17743199144</TO>"
    "<TRACKINGID>U01TX+/ab=</TRACKINGID><STATUSDETAILS>100% a+b &amp; é €</STATUSDETAILS>"
    "</POSTBACK>"
)
BYTES = XML.encode()
JSON = json.dumps(
    {
        "origin": "SMS_MT",
        "code": "N202",
        "to": "17743199144",
        "tracking-id": "U01TX+/ab=",
        "status-details": "100% a+b & é €",
    }
)


def multipart(content: bytes, headers: str, boundary: str, line: str = "\r\n") -> bytes:
    lines = [f"--{boundary}", 'Content-Disposition: form-data; name="a"', "", "--", f"--{boundary}"]
    start = line.join([*lines, headers, "", ""]).encode()
    return start + content + f"{line}--{boundary}--{line}".encode()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(BYTES, id="raw"),
        pytest.param(b"\r\n\n \t" + BYTES + b"\n\n", id="blank lines"),
        pytest.param(b"\n\xef\xbb\xbf" + BYTES, id="mark behind a blank line"),
        pytest.param(BYTES + b"\0\0", id="zero bytes behind"),
        pytest.param(urlencode({"xml": XML}).encode(), id="xml field"),
        pytest.param(urlencode({"Xml": XML}).encode(), id="Xml field"),
        pytest.param(urlencode({"a": "<b/>", "XML": XML, "z": ""}).encode(), id="among others"),
        pytest.param(urlencode({"xml": "", "payload": XML}).encode(), id="another field"),
        pytest.param(b"xml=" + quote(XML).encode(), id="%20 for blanks"),
        pytest.param(b"xml=" + quote_plus(quote_plus(XML)).encode(), id="encoded twice"),
        pytest.param(quote_plus(urlencode({"xml": XML})).encode(), id="form encoded as a whole"),
        pytest.param(quote(XML).encode(), id="encoded without a field"),
        pytest.param(quote_plus(f"xml={XML}").encode(), id="field and all encoded"),
        pytest.param(b"xml=" + BYTES, id="field, not encoded"),
        pytest.param(b"a=1&xml= " + BYTES, id="field behind another, not encoded"),
        pytest.param(b"xml=" + quote(XML.encode("utf-16")).encode(), id="utf-16 in a field"),
        pytest.param(b"xml=" + quote(XML.encode("cp1252")).encode(), id="cp1252 in a field"),
        pytest.param(urlencode({"xml": html.escape(XML)}).encode(), id="escaped in a field"),
        pytest.param(html.escape(XML).encode(), id="html escaped"),
        pytest.param(html.escape(html.escape(XML)).encode(), id="html escaped twice"),
        pytest.param(XML.replace("<", "&#60;").replace("é", "&eacute;").encode(), id="entities"),
        pytest.param(XML.replace("<", "&#x3C;").encode(), id="hexadecimal escapes"),
        pytest.param(json.dumps(XML).encode(), id="as a JSON string"),
        pytest.param(JSON.encode(), id="JSON"),
        pytest.param(f"[{JSON}]".encode(), id="JSON list"),
        pytest.param(f'{{"notifications": [{JSON}]}}'.encode(), id="JSON notifications"),
        pytest.param(JSON.encode("utf-16"), id="JSON in utf-16"),
        pytest.param(b"\xef\xbb\xbf" + JSON.encode(), id="JSON behind a mark"),
        pytest.param(urlencode({"json": JSON}).encode(), id="JSON field"),
        pytest.param(urlencode({"xml": JSON}).encode(), id="JSON in the xml field"),
        pytest.param(quote_plus(JSON).encode() + b"=", id="JSON as a field's name"),
        pytest.param(b"data=" + JSON.encode(), id="JSON field, not encoded"),
        pytest.param(
            multipart(BYTES, 'Content-Disposition: form-data; name="xml"', "x"), id="multipart"
        ),
        pytest.param(
            b"\r\n" + multipart(BYTES, "content-disposition: form-data; NAME=XML", "-----12", "\n"),
            id="multipart XML, line feeds",
        ),
        pytest.param(
            multipart(BYTES, 'Content-Disposition: form-data; name="f"; filename="a.xml"', "x"),
            id="multipart file",
        ),
        pytest.param(
            multipart(XML.encode("utf-16"), 'Content-Disposition: form-data; name="xml"', "x"),
            id="multipart utf-16",
        ),
        pytest.param(b"\0\0" + BYTES, id="zero bytes before"),
        pytest.param(f"<xml>{XML}</xml>".encode(), id="in another element"),
        pytest.param(f"<br />\n<b>Warning</b>: x<br />\n{XML}".encode(), id="a warning before"),
        pytest.param(gzip.compress(BYTES), id="gzip"),
        pytest.param(gzip.compress(JSON.encode("utf-16")), id="gzip of JSON in utf-16"),
        pytest.param(gzip.compress(urlencode({"xml": XML}).encode()), id="gzip of a form"),
        pytest.param(gzip.compress(gzip.compress(BYTES)) + b"\0\0", id="gzip twice, padded"),
        pytest.param(b"\r\n" + gzip.compress(BYTES) + b"\r\n", id="gzip between line ends"),
        pytest.param(gzip.compress(BYTES[:50]) + gzip.compress(BYTES[50:]), id="gzip in two parts"),
        pytest.param(base64.b64encode(BYTES), id="base64"),
        pytest.param(base64.encodebytes(BYTES), id="base64 in lines"),
        pytest.param(base64.b64encode(BYTES).rstrip(b"="), id="base64 without its end"),
        pytest.param(base64.b64encode(JSON.encode()), id="base64 of JSON"),
        pytest.param(base64.b64encode(gzip.compress(BYTES)), id="base64 of gzip"),
        pytest.param(urlencode({"xml": base64.b64encode(BYTES)}).encode(), id="base64 in a form"),
        pytest.param(b"xml=" + base64.b64encode(BYTES), id="base64 in a form, not encoded"),
        pytest.param(
            multipart(gzip.compress(BYTES), 'Content-Disposition: form-data; name="xml"', "x"),
            id="multipart, gzip",
        ),
        pytest.param(
            multipart(base64.b64encode(BYTES), 'Content-Disposition: form-data; name="xml"', "x"),
            id="multipart, base64",
        ),
        pytest.param(
            multipart(quote_plus(XML).encode(), 'Content-Disposition: form-data; name="xml"', "x"),
            id="multipart, encoded",
        ),
    ],
)
def test_wrappings(read: Read, body: bytes) -> None:
    event = read(body)
    assert event.id == read(BYTES).id
    assert event.data["status_details"] == "100% a+b & é €"
    assert event.tracking_id == "U01TX+/ab="


def declared(encoding: str) -> str:
    return f"<?xml version='1.0' encoding='{encoding}'?>\r\n{XML}"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(declared(name).encode(encoding), id=f"{encoding} declared {name}")
        for encoding in ("utf-8", "utf-8-sig", "cp1252")
        for name in ("UTF-8", "utf8", "ISO-8859-1", "windows-1252", "us-ascii", "UTF-16", "x-none")
    ]
    + [
        pytest.param(declared("UTF-16").encode(encoding), id=encoding)
        for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")
    ]
    + [
        pytest.param(XML.encode(encoding), id=f"{encoding} undeclared")
        for encoding in ("utf-8", "cp1252", "utf-16", "utf-16-le", "utf-16-be")
    ]
    + [
        pytest.param(declared("ISO-8859-15").encode("iso-8859-15"), id="iso-8859-15"),
        pytest.param(declared("ISO-88597").encode("cp1252"), id="no such iso-88597"),
        pytest.param(declared("windows-1250").encode("cp1250"), id="windows-1250"),
        pytest.param(declared("GB18030").encode("gb18030"), id="gb18030"),
    ],
)
def test_encodings(read: Read, body: bytes) -> None:
    assert read(body).data["status_details"] == "100% a+b & é €"


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        (b"caf\xe9", "café"),
        (b"\x93ok\x94 \x80", "“ok” €"),
        (b"caf\xc3\xa9 caf\xe9", "café café"),
        (b"\xf0\x9f\x98\x80 \x80", "😀 €"),
        (b"\xed\xa0\xbd\xed\xb8\x80 ok", "😀 ok"),
        (b"\x81 \x8d \x9d", "\x81 \x8d \x9d"),
        (b"cut \xe2\x82", "cut \u00e2\u201a"),
    ],
)
def test_bytes_that_are_not_utf8(read: Read, text: bytes, read_as: str) -> None:
    body = b"<POSTBACK><CODE>N211</CODE><TEXT>" + text + b"</TEXT></POSTBACK>"
    assert read(body).data["text"] == read_as


def test_nothing_is_changed_in_a_field_that_is_not_encoded(read: Read) -> None:
    body = "xml=<POSTBACK><CODE>N211</CODE><TEXT>1+1 %41 &amp;lt;</TEXT></POSTBACK>"
    assert read(body).data["text"] == "1+1 %41 &lt;"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"xml=", "a form without a field that holds XML or JSON"),
        (b"hello", "neither XML nor JSON nor a form"),
        (b"%253C" * 2, "neither XML nor JSON nor a form"),
        (b"%" + b"25" * 20 + b"3C", "more than 6 layers of wrapping"),
        (b"a=" + b"&a=" * 300, "a form of more than 200 fields"),
        (b"--x\r\n" * 300, "a multipart body of more than 200 parts"),
        (b"&lt;&#" + b"9" * 5000 + b";", "HTML escapes that cannot be read"),
        (b"<" + b"a" * 262_144, "longer than 262144 bytes"),
        (gzip.compress(b"<" * 262_145), "longer than 262144 bytes"),
        (gzip.compress(BYTES)[:-9], "gzip that breaks off or has too many parts"),
        (gzip.compress(b"") * 201, "gzip that breaks off or has too many parts"),
        (b"\x1f\x8b" + BYTES, "gzip that cannot be read"),
        (b"PDw8" * 5 + b"P", "base64 that cannot be read"),
        (urlencode([("xml", XML), ("XML", XML)]).encode(), "a form with several xml fields"),
        (urlencode({"code": "N211", "text": XML}).encode(), "a form of single fields"),
        (b"code=N211&text=" + BYTES, "a form of single fields"),
    ],
)
def test_not_readable(read: Read, body: bytes, error: str) -> None:
    event = read(body)
    if error.startswith("neither"):
        assert event.unparsed
    else:
        assert event.data["error"] == error
