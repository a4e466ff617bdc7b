"""The words of error answers: the titles of all problems, and the form of validation messages."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from skycore.problems import TITLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parents[2]
LAYER = ROOT / "layers" / "skycore" / "skycore"

# What callers may have shown to people or searched for in logs. A change belongs in CHANGELOG.md.
EXPECTED_TITLES = {
    "invalid_json": "The body is not a JSON object",
    "unknown_action": "No such Skycore action",
    "message_not_found": "No such message",
    "event_not_found": "No such event",
    "in_progress": "A request with this Idempotency-Key is in progress",
    "not_cancellable": "The message can no longer be cancelled",
    "too_large": "Too large",
    "invalid_request": "The request is invalid",
    "recipient_opted_out": "The recipient has opted out",
    "country_not_allowed": "This country is not allowed",
    "quiet_hours": "The message expires during quiet hours",
    "ceiling_reached": "The recipient has reached the daily limit",
    "idempotency_key_reused": "The Idempotency-Key was used for another request",
    "skycore_rejected": "Skycore refused the request",
    "rate_limited": "A call limit was reached",
    "skycore_account": "The Skycore account needs attention",
    "skycore_unreachable": "Skycore could not be reached; nothing was sent",
    "not_ready": "A service of this stack failed; nothing was sent",
    "not_queued": "The message could not be queued",
    "not_stored": "The postback could not be queued",
    "gateway_failure": "The function failed",
    "outcome_unknown": "Skycore may have accepted the request",
}
GATEWAY_TITLES = {
    "Refused by the gateway",
    "The gateway got no answer",
    "The function failed",
    "The function took too long",
    "Too large",
    "Forbidden",
    "Too many requests",
}
# A value "must be …"; a field that does not exist "is not a … of …".
FORM = re.compile(r"must |exactly one of these must |is not a (field|query parameter) of ")
ERRORS = {"FieldError": 1, "BadValueError": 0, "NumberError": 0, "MediaUrlError": 0, "add_error": 1}


def test_problems_have_these_titles() -> None:
    assert {code: title for code, (_, title, _) in TITLES.items()} == EXPECTED_TITLES


def test_the_gateways_own_problems_have_these_titles() -> None:
    template = (ROOT / "template.yaml").read_text()
    assert set(re.findall(r'"about:blank","title":"([^"]+)"', template)) == GATEWAY_TITLES


def messages(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the place and beginning of each validation message that a module's source has."""
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    constants = assigned(tree.body)
    for part in [*functions, *(node for node in tree.body if isinstance(node, ast.Expr))]:
        texts = constants | assigned(ast.walk(part))  # `detail = …` just before the call
        for node in ast.walk(part):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if len(node.args) > ERRORS.get(name, len(node.args)):
                for text in beginnings(node.args[ERRORS[name]], texts, node.lineno):
                    yield f"{path.name}:{node.lineno}", text


def assigned(nodes: Iterable[ast.AST]) -> dict[str, list[ast.expr]]:
    """Return what is assigned to each name."""
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
    return found


def beginnings(node: ast.expr, texts: dict[str, list[ast.expr]], line: int) -> Iterator[str]:
    """Yield the literal beginning of an expression in this line; nothing if it is computed."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            yield text
        case ast.JoinedStr(values=[ast.FormattedValue(value=first), *_]):
            yield from beginnings(first, texts, line)
        case ast.Name(id=name):
            before = [value for value in texts.get(name, ()) if value.lineno <= line]
            if before:
                yield from beginnings(max(before, key=lambda value: value.lineno), {}, line)


def test_validation_messages_have_one_form() -> None:
    found = [message for path in sorted(LAYER.rglob("*.py")) for message in messages(path)]
    assert len(found) > 50  # the walk sees them
    assert [(place, text) for place, text in found if not FORM.match(text)] == []


@pytest.mark.parametrize(
    "call",
    [
        'FieldError("to", "is missing")',
        'NumberError(f"has {1}")',
        'def check():\n    detail = f"lacks {1}"\n    raise BadValueError(detail)\n',
    ],
)
def test_another_form_is_found(call: str, tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(call)
    assert [text for _, text in messages(module) if not FORM.match(text)]
