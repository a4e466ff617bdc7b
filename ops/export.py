"""`export`: everything that the table holds, as files to keep or to move elsewhere."""

from __future__ import annotations

import base64
import json
import os
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ops.command import Command
from ops.output import Refused, Result, progress
from skycore import timestamps
from skycore.serializers import event_envelope, message, tracking_rows_of
from skycore.table import events, messages

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from ops.stack import Stack

ABOUT = """\
Reads the whole table and writes a folder with one JSON object a line:

  messages.jsonl   each message as GET /messages/{id} shows it, with its own steps
  events.jsonl     each event as its subscribers got it, and the raw postback (base64)
  opt_outs.jsonl   who opted out of which sender, and in again, when

They hold full numbers and texts. It reads only; on AWS the table bills the reading. What comes in
meanwhile may be missing: for a last export stop the senders and the postbacks first.

The files of inbound MMS are in the bucket, the stack's output MediaBucketName: docs/leaving.md says
how to copy them.

  python -m ops export --to skycore-export
"""
FILES = ("messages", "events", "opt_outs")


def run(stack: Stack, args: Namespace) -> Result:
    """Write the files. Raises Refused if they exist already."""
    folder: Path = args.to
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise Refused(f"{folder} is there already; name a folder that is not") from None
    written: Counter[str] = Counter()
    now = timestamps.now()
    with ExitStack() as open_files:
        files = {
            name: open_files.enter_context(_private(folder / f"{name}.jsonl")) for name in FILES
        }
        for page in _pages(stack):
            _write(files["messages"], "messages", _messages(page, now), written)
            _write(files["events"], "events", _events(page, stack.source), written)
            _write(files["opt_outs"], "opt_outs", _opt_outs(page), written)
            progress(", ".join(f"{count} {name}" for name, count in written.items()))
    data = {"folder": str(folder), **{name: written[name] for name in FILES}}
    counts = ", ".join(f"{written[name]} {name.replace('_', '-')}" for name in FILES)
    return Result(data, [f"{counts} in {folder}"])


def _private(file: Path) -> IO[str]:
    """Open a new file that its owner alone may read."""
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")


def _pages(stack: Stack) -> Iterator[Sequence[Mapping[str, Any]]]:
    """The table's rows, a megabyte at a time."""
    for page in stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.table):
        yield page["Items"]


def _of_kind(page: Sequence[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    return [item for item in page if item.get("kind", {}).get("S") == kind]


def _messages(page: Sequence[Mapping[str, Any]], now: datetime) -> Iterator[dict[str, Any]]:
    for item in _of_kind(page, "message"):
        row = messages.MessageRow.from_raw_data(dict(item))
        if row.status == messages.RELEASED:
            continue  # only its key is kept, for a day; no message was sent
        steps = [line.split(" ", 1) for line in row.steps]
        told = [
            {"time": timestamps.to_text(timestamps.from_text(at)), "status": step}
            for at, step in steps
        ]
        yield {**message(row, now), "steps": told}


def _events(page: Sequence[Mapping[str, Any]], source: str) -> Iterator[dict[str, Any]]:
    found = events.with_raw([events.from_item(item) for item in _of_kind(page, "event")])
    tracking_rows = tracking_rows_of(stored.event for stored in found)
    statuses = messages.statuses(owner.message_id for owner in tracking_rows.values())
    for stored in found:
        raw = base64.b64encode(stored.raw).decode()
        yield {**event_envelope(stored, tracking_rows, statuses, source), "raw": raw}


def _opt_outs(page: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in _of_kind(page, "opt_out"):
        if not item["pk"]["S"].startswith("number#"):
            continue  # of an erased number: its hash is of no use without this stack's secret
        moments = {
            name: timestamps.to_text(timestamps.from_text(item[name]["S"]))
            for name in ("stopped_at", "started_at")
            if name in item
        }
        number = item["pk"]["S"].removeprefix("number#")
        sender = item["sk"]["S"].removeprefix("opt_out#")
        yield {"number": number, "sender": sender, **moments}


def _write(file: IO[str], name: str, rows: Iterator[dict[str, Any]], written: Counter[str]) -> None:
    for row in rows:
        file.write(json.dumps(row) + "\n")
        written[name] += 1


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--to", type=Path, required=True, help="the folder to make")


COMMAND: Command = Command("export", "Write the whole table to files", ABOUT, run, arguments)
