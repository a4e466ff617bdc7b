"""`reconcile` says what became of each row of the report; the exit code says if all is known."""

from __future__ import annotations

import json
from argparse import Namespace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from ops import reconcile
from ops.output import Refused
from skycore.client.errors import FieldError, InvalidRequest
from skycore.client.report import read_report
from skycore.receiving.reconcile import NOT_FOUND, Reconciled, Unmatched

if TYPE_CHECKING:
    from pathlib import Path

ROW = (
    '<RESPONSE><TEXT id="455118\x1b[2J" to="17743199144" body="a text"><DLR gw="20"'
    ' time="2026-11-22T08:00:00Z"></TEXT></RESPONSE>'
)


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Any:
    counts = {"PostbackQueue": 0, "PostbackDeadLetterQueue": 0}
    monkeypatch.setattr(reconcile, "depths", lambda _, name: {"waiting": counts[name]})
    monkeypatch.setattr(reconcile, "skycore_client", lambda *_: None)
    monkeypatch.setattr(reconcile, "RateLimiter", lambda *_: None)
    made = Namespace(name="skycore", ask=False, days=90, limits=None, counts=counts)
    made.parameters = {"SkycoreUrl": "https://secure.skycore.com/"}
    made.id_of = str
    return made


def asked(**given: Any) -> Namespace:
    known = {"since": datetime.now(UTC), "until": None, "dry_run": False, "file": None, "yes": True}
    return Namespace(**known | given)


def found(**given: Any) -> Reconciled:
    known: dict[str, Any] = {"rows": 3, "complete": True, "missing": ("skycore.sms_delivered",)}
    return Reconciled(**known | {"known": 1, "unsettled": 1, "unmatched": ()} | given)


def run(
    stack: Any, monkeypatch: pytest.MonkeyPatch, result: Reconciled, **given: Any
) -> tuple[Any, list[Any]]:
    monkeypatch.setattr(reconcile, "reconcile", lambda *_, **__: result)
    monkeypatch.setattr(reconcile, "fetch_report", lambda *_, **__: None)
    answer = reconcile.run(stack, asked(**given))
    return answer, [line for line in answer.shown if isinstance(line, str)]


def test_each_row_of_the_report_is_counted(stack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, lines = run(stack, monkeypatch, found())
    assert answer.ok
    assert lines == [
        "3 rows in the report",
        "1 became events",
        "         1  skycore.sms_delivered",
        "1 known already, 1 without a final status",
        "0 could not be joined to a message",
    ]


def test_rows_that_could_not_be_joined_are_named_without_numbers_and_texts(
    stack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = read_report(ROW.encode()).rows
    result = found(unmatched=(Unmatched(row, NOT_FOUND),))
    answer, lines = run(stack, monkeypatch, result)
    assert not answer.ok
    assert "1 could not be joined to a message" in lines
    assert answer.data["unmatched"] == [
        {
            "kind": "sms",
            "section": "single",
            "id": "455118[2J",
            "group": None,
            "to": "…44",
            "state": "delivered",
            "time": "2026-11-22T08:00:00Z",
            "reason": NOT_FOUND,
        }
    ]
    assert "a text" not in json.dumps(answer.data)


def test_a_report_that_was_cut_off_is_not_well(stack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, lines = run(stack, monkeypatch, found(complete=False))
    assert not answer.ok
    assert lines[0] == "3 rows in the report, which was cut off"


@pytest.mark.parametrize("queue", ["PostbackQueue", "PostbackDeadLetterQueue"])
def test_it_refuses_while_postbacks_wait_that_would_be_reported_a_second_time(
    stack: Any, monkeypatch: pytest.MonkeyPatch, queue: str
) -> None:
    stack.counts[queue] = 2
    with pytest.raises(Refused, match=f"2 in the {queue}"):
        run(stack, monkeypatch, found())
    assert run(stack, monkeypatch, found(), dry_run=True)[0].ok


def test_a_link_to_another_host_is_refused_with_a_way_out(
    stack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise InvalidRequest([FieldError("link", "must be a URL at secure.skycore.com")])

    monkeypatch.setattr(reconcile, "fetch_report", refuse)
    with pytest.raises(Refused, match=r"secure\.skycore\.com.*--file"):
        reconcile.run(stack, asked())


def test_a_downloaded_report_is_read(
    stack: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "report.xml"
    file.write_text(ROW)
    read: list[Any] = []

    def one_row(report: Any, **_: Any) -> Any:
        read.append(report)
        return found(rows=1)

    monkeypatch.setattr(reconcile, "reconcile", one_row)
    assert reconcile.run(stack, asked(file=file)).ok
    assert len(read[0].rows) == 1
