"""`python -m ops export`: the table as files, for those who leave or look."""

from __future__ import annotations

import base64
import json
import os
import uuid
from typing import TYPE_CHECKING, Any

from tests.integration.conftest import LOCAL_DIR, Stack
from tests.integration.operators import run_ops
from tests.patience import until

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

LEAVING = "17743197766"


def export(folder: Path) -> CompletedProcess[str]:
    return run_ops({**os.environ, "LOCAL_DIR": LOCAL_DIR}, "export", "--to", str(folder))


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def test_messages_events_and_opt_outs_are_written(
    stack: Stack, sms: dict[str, Any], tmp_path: Path
) -> None:
    mark = uuid.uuid4().hex
    body = {**sms, "to": f"+{LEAVING}", "client_reference": mark}
    message_id = stack.post("/messages", body).json()["message_id"]
    assert until(lambda: stack.get(f"/messages/{message_id}").json()["status"] == "delivered")
    unreadable = f"{mark} is no postback".encode()
    stack.postback(unreadable)
    stack.control("inbound", {"from": LEAVING, "to": sms["from"], "text": "STOP"})
    assert until(lambda: stack.post("/messages", {**body, "dry_run": True}).status_code == 422)
    told = stack.event(lambda event: event["type"] == "skycore.unparsed" and mark in _raw(event))

    folder = tmp_path / "export"
    done = export(folder)
    assert done.returncode == 0, done.stderr
    (message,) = [row for row in lines(folder, "messages") if row["message_id"] == message_id]
    assert (message["client_reference"], message["status"]) == (mark, "delivered")
    assert [step["status"] for step in message["steps"]] == ["sending", "accepted"]
    events = {row["id"]: row for row in lines(folder, "events")}
    unparsed = events[told["id"]]
    assert base64.b64decode(unparsed.pop("raw")) == unreadable
    assert unparsed == told
    of_message = {
        row["data"]["event"] for row in events.values() if row["data"]["message_id"] == message_id
    }
    assert of_message == {"sms_sent", "sms_delivered"}
    (opt_out,) = [row for row in lines(folder, "opt_outs") if row["number"] == LEAVING]
    assert opt_out["sender"] == sms["from"]
    assert opt_out["stopped_at"]
    assert (folder.stat().st_mode & 0o777) == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}

    again = export(folder)
    assert again.returncode == 1
    assert "exists; name a folder" in again.stderr


def _raw(event: dict[str, Any]) -> str:
    return base64.b64decode(event["data"]["raw"]).decode("utf-8", "replace")
