"""What others wrote cannot control an operator's terminal, reorder a line or forge one."""

from __future__ import annotations

import ast
import json
import unicodedata
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.text import Text

import ops.__main__ as program
from ops import export, tail
from ops.command import Command
from ops.output import Refused, Result, UsageError, confirm, print_result, progress, table
from ops.terminal import clean, clean_lines, show_exception

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = (
    "\x1b]0;title\x07\x9b2J\u202e\u2066\u2028\u200f\x85\x7f\r\ud800\nFAKE 2026-11-29 sms_delivered"
)


def is_unsafe(char: str) -> bool:
    controls = unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}
    turns = char in "\u061c\u200e\u200f" or unicodedata.bidirectional(char) in {
        *("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"),
    }
    return controls or turns


def check(shown: str, *, lines: int = 1) -> None:
    """Fail unless `shown` is that many lines of harmless characters, none of them forged."""
    assert {char for char in shown if is_unsafe(char)} <= {"\n"}
    assert shown.count("\n") == lines
    assert "FAKE" in shown
    assert not [line for line in shown.splitlines() if line.startswith("FAKE")]


def test_every_character_that_a_terminal_obeys_is_replaced_by_one_that_it_shows() -> None:
    every = "".join(map(chr, range(0x11_0000)))
    shown = clean(every)
    assert len(shown) == len(every)
    assert not [hex(ord(char)) for char in shown if is_unsafe(char)]
    changed = {char for char, now in zip(every, shown, strict=True) if char != now}
    assert changed == {char for char in every if is_unsafe(char)}


@pytest.mark.parametrize("text", ["Grüße", "שלום", "مرحبا", "👩‍👧 你好", "a b"])
def test_what_people_write_stays(text: str) -> None:
    assert clean(text) == text


def test_lines_of_our_own_stay_lines() -> None:
    assert clean_lines("one\ntwo\x1b") == "one\ntwo␛"


@pytest.mark.parametrize(
    "part",
    [HOSTILE, Text(HOSTILE, style="red"), Text.assemble(("ok ", "green"), HOSTILE)],
    ids=["text", "styled", "assembled"],
)
def test_a_line_of_an_answer_is_harmless(part: Any, capsys: pytest.CaptureFixture[str]) -> None:
    print_result(Result({}, [part]), as_json=False)
    check(capsys.readouterr().out)


def test_a_cell_of_a_table_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[list[Any]] = [[HOSTILE, 1], [Text(HOSTILE), None]]
    print_result(Result({}, [table(("a", "b"), rows)]), as_json=False)
    check(capsys.readouterr().out, lines=3)


def test_progress_and_questions_are_harmless(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    progress(HOSTILE)
    check(capsys.readouterr().err)
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda _: True})())
    monkeypatch.setattr("builtins.input", lambda: "y")
    confirm(Namespace(ask=True), Namespace(yes=False), HOSTILE)  # type: ignore[arg-type]
    check(capsys.readouterr().err, lines=0)


AWS_ERROR = ClientError({"Error": {"Code": "X", "Message": HOSTILE}}, "Call")


@pytest.mark.parametrize(
    "error", [Refused(HOSTILE), UsageError(HOSTILE), RuntimeError(HOSTILE), AWS_ERROR], ids=repr
)
@pytest.mark.parametrize("as_json", [False, True])
def test_an_error_is_harmless(
    error: Any, as_json: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: Any) -> None:
        raise error

    monkeypatch.setattr(program, "COMMANDS", (Command("fail", "Fail", run=run),))
    monkeypatch.setattr(program, "resolve_stack", lambda _: None)
    assert program.main(["fail", *(["--json"] if as_json else [])]) != 0
    told = capsys.readouterr()
    check(told.out if as_json else told.err)


def test_an_unforeseen_error_and_log_lines_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    error = ValueError(HOSTILE.replace("\n", ""))
    show_exception(ValueError, error, None)
    check(capsys.readouterr().err)
    program._CleanStderr().write(json.dumps({"id": HOSTILE}, ensure_ascii=False) + "\n")
    check(capsys.readouterr().err)


EVENT = {
    "id": HOSTILE,
    "type": "skycore.sms_received",
    "time": "2026-11-29T10:00:00Z",
    "data": {"code": HOSTILE, "status": HOSTILE, "tracking_id": HOSTILE, "text": HOSTILE},
}


@pytest.mark.parametrize("show", [False, True])
def test_tail_shows_one_harmless_line_for_an_event(
    show: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    tail._write(EVENT, Namespace(show=show, json=False))
    check(capsys.readouterr().out)


@pytest.mark.parametrize("show", [False, True])
def test_json_is_one_object_of_ascii_in_one_line(
    show: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    tail._write(EVENT, Namespace(show=show, json=True))
    shown = capsys.readouterr().out
    check(shown)
    assert shown.isascii()
    assert isinstance(json.loads(shown), dict)


WRITERS = {
    "output.py": "the functions that clean",
    "terminal.py": "the excepthook",
    "__main__.py": "the end of a pipe, and log lines",
    "key.py": "whether there is a terminal to ask at",
}


def writes(tree: ast.AST) -> bool:
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    streams = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"stdout", "stderr", "__stdout__"}
    ]
    named = {getattr(call, "id", getattr(call, "attr", "")) for call in calls}
    return bool(streams or named & {"print", "Console"})


def test_nothing_else_of_the_tool_writes_to_a_terminal() -> None:
    found = {
        path.name for path in (ROOT / "ops").rglob("*.py") if writes(ast.parse(path.read_text()))
    }
    assert found <= set(WRITERS)


def test_the_files_of_an_export_are_for_their_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    export._private(file).close()
    assert file.stat().st_mode & 0o777 == 0o600


def test_no_tool_writes_a_table_that_a_spreadsheet_would_run() -> None:
    """A cell that begins with = is a formula to a spreadsheet. Exports are lines of JSON."""
    tools = [*(ROOT / "ops").rglob("*.py"), *(ROOT / "local").rglob("*.py")]
    assert not [path for path in tools if "import csv" in path.read_text()]
