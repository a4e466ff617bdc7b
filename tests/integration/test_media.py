"""Files of inbound MMS on the deployed stack: kept, linked to, private; their texts count."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError

from tests.contract.test_bad_input import problem
from tests.integration.test_sending import number
from tests.patience import PATIENCE_SECONDS, until

if TYPE_CHECKING:
    from tests.integration.conftest import Stack


def received(stack: Stack, **message: Any) -> dict[str, Any]:
    """Send an MMS from a handset; return what the simulator made of it."""
    found: dict[str, Any] = stack.control(
        "inbound", {"to": "60856", "from": number(), "files": ["cat.png"], **message}
    )
    return found


def event(stack: Stack, name: str, tracking_id: str) -> dict[str, Any]:
    return stack.event(
        lambda event: (
            event["type"] == f"skycore.{name}" and event["data"]["tracking_id"] == tracking_id
        )
    )


def shown(stack: Stack, event_id: str) -> list[dict[str, Any]] | None:
    """The media of GET /postbacks/{event_id}."""
    media: list[dict[str, Any]] | None = stack.get(f"/postbacks/{event_id}").json()["media"]
    return media


def test_files_are_kept_and_only_a_link_opens_them(stack: Stack) -> None:
    mms = received(stack, text="Look at this")
    kept = event(stack, "media_kept", mms["tracking_id"])
    assert kept["data"]["text"] == "Look at this"
    assert [file["url"] for file in kept["data"]["media"]] == mms["files"]
    id_ = event(stack, "mms_received", mms["tracking_id"])["id"]
    for file in shown(stack, id_) or []:
        answer = requests.get(file["link"], timeout=PATIENCE_SECONDS)
        assert hashlib.sha256(answer.content).hexdigest() == file["sha256"]
        assert answer.headers["Content-Disposition"].startswith("attachment; ")
        bare = requests.get(file["link"].partition("?")[0], timeout=PATIENCE_SECONDS)
        assert bare.status_code == 403
    assert len(shown(stack, id_) or []) == 2


def test_a_caller_cannot_read_the_bucket_itself(stack: Stack) -> None:
    known = stack.description
    session = boto3.Session(known["access_key_id"], known["secret_access_key"])
    s3 = session.client("s3", endpoint_url=known["endpoint_url"], region_name=known["region"])
    with pytest.raises(ClientError) as refused:
        s3.list_objects_v2(Bucket=known["media_bucket"])
    assert refused.value.response["Error"]["Code"] == "AccessDenied"


def test_a_stop_in_a_text_part_is_respected(stack: Stack, sms: dict[str, Any]) -> None:
    to = number()
    mms = received(stack, **{"from": to, "text": "Stop"})
    assert event(stack, "media_kept", mms["tracking_id"])["data"]["opt_out"] == "stop"
    problem(stack.post("/messages", {**sms, "to": to}), 422, "recipient_opted_out")


def test_files_at_other_hosts_and_without_ids_are_reported(stack: Stack) -> None:
    """Two MMS of one body, without ids: their events and the body have rows of their own."""
    url = f"https://example.com/{number()}.png"
    one = (
        "<NOTIFICATION><ORIGIN>MMS_MO</ORIGIN><CODE>N401</CODE><FROM>{}</FROM><TO>60856</TO>"
        f"<CONTENT><FILE>{url}</FILE></CONTENT></NOTIFICATION>"
    )
    stack.postback(f"<POSTBACK>{one.format(number())}{one.format(number())}</POSTBACK>".encode())
    kept = stack.event(
        lambda event: (
            event["type"] == "skycore.media_kept"
            and event["data"]["media"] == [{"url": url, "error": "host_not_allowed"}]
        )
    )
    assert kept["data"]["tracking_id"] is None


def test_a_file_that_cannot_be_reached_goes_back_into_the_queue(stack: Stack) -> None:
    sqs, queue = stack.admin("sqs"), stack.resource("MediaQueue")
    with stack.unreachable_skycore():
        received(stack)

        def waits() -> bool:
            name = "ApproximateNumberOfMessagesDelayed"
            told = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])
            return int(told["Attributes"][name]) > 0

        assert until(waits)
