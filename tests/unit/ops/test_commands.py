"""The table of commands: each teaches, and the command line finds it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ops import key, stack, status
from ops.__main__ import main
from ops.commands import COMMANDS
from ops.key import credentials
from ops.output import Refused, Result, UsageError, confirm, print_result

if TYPE_CHECKING:
    from ops.command import Command

ROOT = Path(__file__).resolve().parents[3]


def every(commands: tuple[Command, ...] = COMMANDS, before: str = "") -> list[tuple[str, Command]]:
    found = []
    for command in commands:
        name = f"{before}{command.name}"
        found += every(command.parts, f"{name} ") if command.parts else [(name, command)]
    return found


@pytest.mark.parametrize(("name", "command"), every(), ids=[name for name, _ in every()])
def test_help_teaches_with_an_example_that_is_read(
    name: Any, command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert f"  python -m ops {name}" in told
    assert "--json" in told


def test_every_command_is_in_the_documentation() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    assert not [name for name, _ in every() if f"ops {name}" not in page]


TOLD = re.compile(r"python -m ops (?:--stack [\w${}:.-]+ )?([a-z][a-z-]*(?: [a-z]+)?)")


def test_a_command_that_an_answer_or_a_page_names_exists() -> None:
    places = [*(ROOT / "layers").rglob("*.py"), *(ROOT / "docs").glob("*.md")]
    places += [ROOT / "README.md", *(ROOT / "ops").rglob("*.py")]
    named = {name for place in places for name in TOLD.findall(place.read_text())}
    known = {name for name, _ in every()} | {command.name for command in COMMANDS}
    assert "set-key" in named
    assert not {name for name in named if name not in known and name.split()[0] not in known}


def test_every_command_is_a_make_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (listed,) = [line for line in makefile.splitlines() if line.startswith("OPERATIONS := ")]
    own = {name for name in ("replay", "reconcile") if f"\n{name}: " in makefile}
    assert {command.name for command in COMMANDS} == {*listed.split()[2:], *own}


def test_without_the_projects_packages_one_line_says_what_to_run() -> None:
    command = [sys.executable, "-S", "-m", "ops", "status"]  # -S: no site-packages
    done = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert ".venv/bin/python -m ops" in line


def test_no_command_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2


def test_no_stack_is_wrong_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(stack, "ROOT", tmp_path)
    assert main(["status"]) == 2
    assert "make up" in capsys.readouterr().err
    assert main(["--json", "status"]) == 2
    assert "make up" in json.loads(capsys.readouterr().out)["error"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T08:00Z", datetime(2026, 11, 22, 8, tzinfo=UTC)),
        ("2026-11-22T08:00", datetime(2026, 11, 22, 8, tzinfo=UTC)),
        ("2026-11-22T08:00+02:00", datetime(2026, 11, 22, 6, tzinfo=UTC)),
    ],
)
def test_a_time(text: str, expected: Any) -> None:
    assert stack.moment(text) == expected


@pytest.mark.parametrize(("text", "ago"), [("90m", 90), ("2h", 120), ("7d", 7 * 1440)])
def test_a_time_ago(text: str, ago: int) -> None:
    expected = datetime.now(UTC) - timedelta(minutes=ago)
    assert abs(stack.moment(text) - expected) < timedelta(seconds=5)


@pytest.mark.parametrize("text", ["yesterday", "2x", "h", ""])
def test_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="Invalid isoformat"):
        stack.moment(text)


KEY = "0123456789abcdef0123456789ABCDEF"


@pytest.mark.parametrize(
    ("text", "user", "kept"),
    [
        (KEY, None, {"api_key": KEY}),
        (f"  {KEY}\n", None, {"api_key": KEY}),
        (f'{{"api_key": "{KEY}"}}', None, {"api_key": KEY}),
        ("pass word!", "acme", {"user": "acme", "password": "pass word!"}),
        (
            f'{{"api_key": "{KEY}", "user": "acme", "password": "p"}}',
            None,
            {"api_key": KEY, "user": "acme", "password": "p"},
        ),
    ],
)
def test_credentials(text: Any, user: str | None, kept: Any) -> None:
    assert credentials(text, user) == kept


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("", None),
        ("\n", None),
        ("two words-x", None),
        ("abc", None),
        (KEY * 5, None),
        ("<API_KEY>0123456789</API_KEY>", None),
        ("0123456789ä", None),
        ("{not json", None),
        ("{}", None),
        ('{"user": "acme"}', None),
        ('{"key": "0123456789"}', None),
        ('{"api_key": 12345678}', None),
        ('{"api_key": ""}', None),
        ("secret", "two words"),
        ("several\nlines", "acme"),
    ],
)
def test_what_is_no_credential_is_refused_without_quoting_it(text: Any, user: str | None) -> None:
    with pytest.raises(Refused) as refused:
        credentials(text, user)
    assert len(text) < 5 or text not in str(refused.value)


def test_ctrl_c_before_a_key_is_stored_says_that_nothing_was_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(_: str) -> str:
        raise KeyboardInterrupt

    stored: list[str] = []
    client = Namespace(
        describe_secret=lambda **_: {},
        put_secret_value=lambda SecretString, **_: stored.append(SecretString),  # noqa: N803 - AWS's
    )
    production = Namespace(name="s", ask=True, id_of=str, client=lambda _: client)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("ops.key.getpass.getpass", interrupted)
    with pytest.raises(Refused, match=r"Nothing was changed\. .*run set-key again") as refused:
        key.run(production, Namespace(yes=True, user=None, no_hold=False))  # type: ignore[arg-type]
    assert refused.value.code == 130
    assert stored == []


def test_a_change_is_asked_for_only_where_it_is_production(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    production: Any = Namespace(ask=True)
    local: Any = Namespace(ask=False)
    confirm(local, Namespace(yes=False), "Sure?")
    confirm(production, Namespace(yes=True), "Sure?")
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(Refused, match="--yes"):
        confirm(production, Namespace(yes=False), "Sure?")


@pytest.mark.parametrize("said", ["", "n", "no", "yep"])
def test_a_terminal_is_asked(
    said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack: Any = Namespace(ask=True)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("builtins.input", lambda: said)
    with pytest.raises(Refused):
        confirm(stack, Namespace(yes=False), "Sure?")
    monkeypatch.setattr("builtins.input", lambda: "Y ")
    confirm(stack, Namespace(yes=False), "Sure?")
    assert "Sure? [y/N]" in capsys.readouterr().err


class Terminal:
    def isatty(self) -> bool:
        return True


def test_foreign_text_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(Result({}, ["[red]as it is[/red] [link=x]"]), as_json=False)
    assert capsys.readouterr().out == "[red]as it is[/red] [link=x]\n"


def test_only_one_stack_is_meant() -> None:
    with pytest.raises(UsageError):
        stack.resolve_stack(Namespace(stack="skycore", local=True))


WELL = {
    "paused": {},
    "alarms": {"ringing": []},
    "dead_letters": {"send": {"waiting": 0}},
    "messages": {"by_kind": {"delivered": 7}},
    "minutes": 15,
    "api_key_set": True,
    "stack_status": "UPDATE_COMPLETE",
}


@pytest.mark.parametrize(
    ("change", "worry"),
    [
        ({"alarms": {"ringing": [{"name": "a", "reason": "why"}]}}, "alarm a: why"),
        ({"dead_letters": {"send": {"waiting": 2}}}, "2 in the dead-letter queue send"),
        ({"messages": {"by_kind": {"unknown": 3}}}, "python -m ops messages --status unknown"),
        ({"api_key_set": False}, "set-key"),
        ({"stack_status": "UPDATE_ROLLBACK_FAILED"}, "UPDATE_ROLLBACK_FAILED"),
    ],
    ids=["alarm", "dead letters", "unknown messages", "no key", "failed update"],
)
def test_what_is_a_problem(change: dict[str, Any], worry: str) -> None:
    assert status.problems(WELL) == []
    (found,) = status.problems({**WELL, **change})
    assert worry in found
