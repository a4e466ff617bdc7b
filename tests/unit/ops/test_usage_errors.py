"""Wrong use of a command is explained, and is exit code 2."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import pytest

from ops import __main__ as program
from ops.stack import resolve_stack


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing",), "invalid choice"),
        (("dlq", "show", "nothing"), "invalid choice"),
        (("messages", "--since", "yesterday"), "invalid moment value"),
        (("suppress", "add", "12"), "the number"),
        (("dlq", "discard", "send"), "--id"),
        (("--local", "status"), "not both"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_usage_error_is_explained_and_is_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: Any, words: str
) -> None:
    stack = Namespace(name="skycore", parameters={"DefaultRegion": "US"})
    monkeypatch.setattr(
        program, "resolve_stack", resolve_stack if "--local" in arguments else lambda _: stack
    )
    try:
        code: object = program.main(["--stack", "skycore", *arguments])
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert words in capsys.readouterr().err
