"""A simulator on a loopback port, a client that uses all request formats, and a receiver."""

import http.server
import re
import threading
import time
import xml.etree.ElementTree as ET
from typing import Any
from xml.sax.saxutils import escape

import requests

from skycore_simulator.settings import Settings
from skycore_simulator.testing import RunningSimulator

KEY = "key0123456789abcdef0123456789abcd"
PATIENCE_SECONDS = 240.0  # for what takes a moment on a quiet machine


class Receiver:
    """Receives postbacks and answers with the next of the statuses, or with 200."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []
        self.statuses: list[int] = []
        self.delay = 0.0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.headers["Content-Type"], body))
                time.sleep(outer.delay)
                self.send_response(outer.statuses.pop(0) if outer.statuses else 200)
                self.send_header("Content-Length", "0")
                self.send_header("Connection", "close")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 100

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/postbacks"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def clear(self) -> None:
        self.got.clear()
        self.statuses.clear()
        self.delay = 0.0

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def codes(self) -> list[str]:
        return [self.fields(body).get("CODE", "") for _, body in self.got]

    @staticmethod
    def fields(body: bytes) -> dict[str, str]:
        return {child.tag: child.text or "" for child in ET.fromstring(body)}


class Skycore(RunningSimulator):
    """A running simulator and a client of it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Settings(api_key=KEY), **options)
        self.session = requests.Session()
        self.session.trust_env = False

    def close(self) -> None:
        super().close()
        self.session.close()

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.session.request(method, f"{self.server.url}_control/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def read_page(self, path: str, status: int = 200) -> Any:
        answer = self.session.get(f"{self.server.url}_page/{path}")
        assert answer.status_code == status, answer.text
        return answer.json()

    def set(self, **settings: Any) -> None:
        self.control("PATCH", "settings", settings)

    def post(self, xml: str, timeout: float = PATIENCE_SECONDS) -> requests.Response:
        return self.session.post(self.url, data={"xml": xml}, timeout=timeout)

    def call(self, action: str, transport: str = "form", **fields: Any) -> dict[str, Any]:
        """Return the reply as a map; a repeated element is a list."""
        xml = request_xml(action, **fields)
        if transport == "get":
            pairs = {"action": action.lower(), "api_key": KEY, **flat(fields)}
            answer = self.session.get(self.url, params=pairs)
        elif transport == "raw":
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self.session.post(self.url, data=xml.encode(), headers=headers)
        elif transport == "multipart":
            answer = self.session.post(self.url, files={"XML": (None, xml)})
        elif transport == "keys":
            pairs = {"action": action.lower(), "api_key": KEY, **flat(fields)}
            answer = self.session.post(self.url, data=pairs)
        else:
            answer = self.post(xml)
        assert answer.status_code == 200
        return as_map(ET.fromstring(_repaired(answer.text)))

    def settle(self) -> None:
        """Wait until no postback is pending."""
        until = time.monotonic() + PATIENCE_SECONDS
        while self.simulator.postback_sender.pending:
            assert time.monotonic() < until
            time.sleep(0.005)


def _repaired(reply: str) -> str:
    """Return the reply with its raw parts made well-formed."""
    html = re.sub(
        r"<EMAILHTML>(.*)</EMAILHTML>",
        r"<EMAILHTML><![CDATA[\1]]></EMAILHTML>",
        reply,
        flags=re.DOTALL,
    )
    return html.replace("&type", "&amp;type")


def request_xml(action: str, key: str = KEY, **fields: Any) -> str:
    return (
        f"<REQUEST><ACTION>{action}</ACTION><API_KEY>{key}</API_KEY>{_elements(fields)}</REQUEST>"
    )


def _elements(fields: dict[str, Any]) -> str:
    parts = []
    for name, value in fields.items():
        for each in value if isinstance(value, list) else [value]:
            inner = _elements(each) if isinstance(each, dict) else escape(each, {"\r": "&#13;"})
            parts.append(f"<{name}>{inner}</{name}>")
    return "".join(parts)


def flat(fields: dict[str, Any]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for name, value in fields.items():
        if name == "CUSTOMTEXT":
            pairs.update({f"customtext_{group['SLIDE']}": group["VALUE"] for group in value})
        elif isinstance(value, dict):
            prefix = {"DATA": "data", "PASSDATA": "pd"}[name]
            pairs.update({f"{prefix}_{key.lower()}": text for key, text in value.items()})
        else:
            pairs["campaignid" if name == "TOCAMPAIGN" else name.lower()] = value
    return pairs


def as_map(element: ET.Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for child in element:
        value = as_map(child) if len(child) else child.text or ""
        if child.tag in found:
            before = found[child.tag]
            found[child.tag] = [*(before if isinstance(before, list) else [before]), value]
        else:
            found[child.tag] = value
    return found
