"""Clients that share nothing with ours: each speaks as one that is known to work with Skycore."""

import http.client
import socket
import urllib.request
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

import pytest

from simulator_harness import KEY, PATIENCE_SECONDS, Skycore

TEXT = "Grüße & <b>more</b>\n☺"
XML = f"""<?xml version="1.0" encoding="UTF-8"?>
<REQUEST>
  <ACTION>sendSMS</ACTION><API_KEY>{KEY}</API_KEY>
  <TO>17743199144</TO><FROM>60856</FROM>
  <TEXT><![CDATA[{TEXT}]]></TEXT>
</REQUEST>""".encode()
FORM = "application/x-www-form-urlencoded"


def documented_form(url: str) -> bytes:
    """As the documentation says: a form with the variable xml."""
    request = urllib.request.Request(url, urlencode({"xml": XML}).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        body: bytes = answer.read()
    return body


def multipart_as_php_sends_it(url: str) -> bytes:
    """A PHP array given to curl: multipart, the field in upper case, and first 'may I?'."""
    parts = urlsplit(url)
    boundary = "------------------------d74496d66958873e"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="XML"\r\n\r\n'.encode()
        + XML
        + f"\r\n--{boundary}--\r\n".encode()
    )
    with socket.create_connection((str(parts.hostname), parts.port or 80), 5) as connection:
        head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: */*\r\n"
            f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n"
            f"Content-Type: multipart/form-data; boundary={boundary}\r\n\r\n"
        )
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.read()


def raw_as_ruby_sends_it(url: str) -> bytes:
    """A Ruby string body: the bare XML, labelled as the form that it is not."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE_SECONDS)
    connection.request(
        "POST", parts.path, XML, {"Content-Type": FORM, "Connection": "close", "Accept": "*/*"}
    )
    body = connection.getresponse().read()
    connection.close()
    return body


@pytest.mark.parametrize(
    ("client", "transport"),
    [
        (documented_form, "form"),
        (multipart_as_php_sends_it, "multipart"),
        (raw_as_ruby_sends_it, "raw"),
    ],
)
def test_it_is_understood(skycore: Skycore, client: Callable[[str], bytes], transport: str) -> None:
    answer = client(skycore.url)
    assert b"<STATUS>Success</STATUS>" in answer
    assert b"<TRACKINGID>" in answer
    entry = skycore.control("GET", "requests")["requests"][-1]
    assert entry["transport"] == transport
    assert entry["fields"] == {"TO": "17743199144", "FROM": "60856", "TEXT": TEXT}
    (message,) = skycore.control("GET", "messages")["messages"]
    assert message["text"] == TEXT
