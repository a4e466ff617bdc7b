"""Show the main job: sends, postbacks, events, timelines."""

from __future__ import annotations

import io
import json
import time
import urllib.request
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from local import stack as stack_module
from local.client import Client
from local.paths import LOGS, LocalError, open_private
from ops.terminal import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local.screen import Screen

PATIENCE = 60.0  # seconds that a postback may take to come out as an event
HANDSET, SHORTCODE = "17743199144", "60856"
SMS = {
    "to": "+1 774-319-9144",
    "from": SHORTCODE,
    "text": "Your parcel is on its way.",
    "client_reference": "order-4711",
}
MMS = {
    "action": "sendMMS",
    "to": "+1 774-319-9144",
    "from": SHORTCODE,
    "name": "parcel",
    "subject": "Your parcel",
    "slides": [{"image": "https://example.com/parcel.jpg", "text": "This is it."}],
    "client_reference": "order-4711-picture",
}
EXPECTED = (
    "skycore.message_accepted",
    "skycore.message_accepted",
    "skycore.sms_sent",
    "skycore.sms_delivered",
    "skycore.mms_sent",
    "skycore.mms_delivered",
    "skycore.sms_received",
    "skycore.mms_received",
    "skycore.media_kept",
)


def run(screen: Screen, stack: dict[str, Any]) -> None:
    """Run the main job once. Raises LocalError that says which step failed and what it saw."""
    client = Client(stack)
    with screen.step("POST /messages: an SMS, signed"):
        sms = _sent(client, SMS)
    with screen.step("POST /messages: an MMS with a picture, signed"):
        mms = _sent(client, MMS)
    with screen.step("the handset replies: an SMS and an MMS"):
        _inbound(stack, text="Thank you!")
        _inbound(stack, text="Look", files=["cat.png"])
    with screen.step("events from the subscriber's queue"):
        events = _events(client)
    with screen.step("GET /messages/{message_id}: both delivered"):
        messages = [_delivered(client, sent["message_id"]) for sent in (sms, mms)]
    for message in messages:
        screen.show(_timeline(message))
    screen.show(_event_table(events))


def keep_logs() -> None:
    """Writes the functions' logs next to the others, before the emulator that holds them stops."""
    with io.TextIOWrapper(open_private(LOGS / "functions.log"), "utf-8") as output:
        try:
            logs = stack_module.client("logs")
            for group in logs.describe_log_groups()["logGroups"]:
                for event in logs.filter_log_events(logGroupName=group["logGroupName"])["events"]:
                    output.write(f"{group['logGroupName']} {event['message'].rstrip()}\n")
        except Exception as error:  # noqa: BLE001 - the first failure is the one to show
            output.write(f"not read: {type(error).__name__}\n")


def _sent(client: Client, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.request("POST", "/messages", body)
    if answer.status_code != 201 or not answer.json().get("tracking_id"):
        raise LocalError(_saw("201 with a tracking_id", answer.status_code, answer.text))
    sent: dict[str, Any] = answer.json()
    return sent


def _inbound(stack: dict[str, Any], **message: Any) -> None:
    body = {"from": HANDSET, "to": SHORTCODE, **message}
    request = urllib.request.Request(
        f"{stack['simulator_url']}_control/inbound",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=10).close()


def _events(client: Client) -> list[dict[str, Any]]:
    events: dict[str, dict[str, Any]] = {}

    def all_came() -> bool:
        events.update({event["id"]: event for event in client.receive()})
        return not _missing(list(events.values()))

    if not _until(all_came):
        missing = ", ".join(_missing(list(events.values())))
        seen = ", ".join(sorted(event["type"] for event in events.values())) or "none"
        raise LocalError(_saw(f"these events too: {missing}", "events", seen))
    return sorted(events.values(), key=lambda event: str(event["data"]["received_at"]))


def _missing(events: Sequence[dict[str, Any]]) -> list[str]:
    left = list(EXPECTED)
    for event in events:
        if event["type"] in left:
            left.remove(event["type"])
    return left


def _delivered(client: Client, message_id: str) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    def is_delivered() -> bool:
        answer = client.request("GET", f"/messages/{message_id}")
        seen.update(answer.json())
        return bool(answer.json().get("status") == "delivered")

    if not _until(is_delivered):
        raise LocalError(_saw("status delivered", "GET", json.dumps(seen)))
    return seen


def _until(happened: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _saw(expected: str, what: object, text: str) -> str:
    return f"expected {expected}; saw {what}: {clean(text)}\nThe logs are in {LOGS}"


def _timeline(message: dict[str, Any]) -> Table:
    title = f"{message['action']} to {message['to']}: {message['status']}"
    table = Table(title=Text(clean(title)), title_justify="left", title_style="bold")
    for column in ("after", "step", "code", "status"):
        table.add_column(column, no_wrap=column != "status")
    first = _seconds(message["created_at"])
    for step in message["timeline"]:
        # Skycore's times may be whole seconds and earlier than ours; arrival is on our clock.
        after = _seconds(step.get("received_at") or step["time"]) - first
        told = [step.get(name) or "" for name in ("event", "code", "status")]
        table.add_row(f"{after:.2f} s", *(Text(clean(text)) for text in told))
    return table


def _event_table(events: Sequence[dict[str, Any]]) -> Table:
    title = "Events read from the subscriber's queue"
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in ("type", "subject", "code", "your reference"):
        table.add_column(column, overflow="fold")
    for event in events:
        data = event["data"]
        told = (event["type"], event["subject"], data["code"], data["client_reference"])
        table.add_row(*(Text(clean(text or "")) for text in told))
    return table


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
