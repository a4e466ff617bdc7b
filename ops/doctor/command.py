"""The command: run every check, and print what holds, what does not and what to do."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections import Counter
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException
from rich.text import Text

from ops.command import Command
from ops.doctor.check import Finding, NotChecked, Outcome
from ops.doctor.checks import CHECKS
from ops.doctor.deployment import OVERRIDES, Deployment
from ops.login import LOG_IN, is_invalid_login
from ops.output import Refused, Result

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from rich.console import RenderableType

    from ops.doctor.check import Check, Level
    from ops.stack import Stack

ABOUT = """\
Run it after each deployment. It reads the deployed stack through the AWS APIs, compares it with the
template and the parameters, then calls the API: with a wrong token, with dry runs of a send, with
getMmsIds (one call of the account's limits), and with a probe postback.

The probe is an event skycore.mobile_video_encoded with an mms_id doctor-…. It belongs to no
message, number or sender. Every subscriber without a filter gets it. doctor reads it from a queue
of its own, which it deletes at the end, even after Ctrl-C. The probe counts as a use of the
address, which postback-url shows. After a rotation it is sent only once Skycore has used the new
address. --no-probe calls no route.

Each line is one check: ok, PROBLEM with what to do, warning, or not checked with the reason. The
exit code is 1 if there is a problem.

  python -m ops doctor
  python -m ops doctor --stack skycore --no-probe
  python -m ops doctor postback api-key      these checks only
  python -m ops doctor --json | jq '.checks[] | select(.result == "problem")'
"""
_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "ForbiddenException",
    "UnauthorizedOperation",
}
_THROTTLED = {
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "ProvisionedThroughputExceededException",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
OTHER_RELEASE = "run doctor from a checkout of the release that is deployed"
OVERRIDES_NOTE = (
    f"sam deploy {OVERRIDES} replaces parameter_overrides of samconfig.toml: add those that you "
    "keep, or write the new value there"
)
_RIGHT = re.compile(r"perform: ([\w-]+:\w+)")  # in the message of an access-denied error
_LABELS: dict[Level, tuple[str, str]] = {
    "ok": ("ok", "green"),
    "warning": ("warning", "yellow"),
    "problem": ("PROBLEM", "red"),
    "not_checked": ("not checked", "dim"),
}
_COUNTED: dict[Level, str] = {
    "ok": "ok",
    "warning": "warnings",
    "problem": "problems",
    "not_checked": "not checked",
}


def run(stack: Stack, args: Namespace) -> Result:
    """Run the checks of the table."""
    deployment = Deployment(stack, wait=args.wait)
    checks = [check for check in CHECKS if not args.checks or check.name in args.checks]
    outcomes = [outcome(check, deployment, probe=not args.no_probe) for check in checks]
    problems = [one for one in outcomes if one.result == "problem"]
    data = {
        "stack": stack.name,
        "region": stack.region,
        "problems": len(problems),
        "checks": [_row(one) for one in outcomes],
        "note": _note(outcomes),
    }
    return Result(data, _screen(outcomes), ok=not problems)


def outcome(check: Check, deployment: Deployment, *, probe: bool = True) -> Outcome:
    """Run one check. An answer that AWS refuses is a problem, and never an ok.

    Raises Refused without a valid AWS login: no other check would get an answer.
    """
    if check.probes and not probe:
        return Outcome(check, reason="--no-probe")
    if check.only_aws and deployment.local:
        return Outcome(check, reason=check.only_aws)
    found: list[Finding] = []
    try:
        found.extend(check.find(deployment))
    except NotChecked as error:
        return Outcome(check, tuple(found), reason=str(error))
    except (BotoCoreError, ClientError, LookupError, PynamoDBException, ValueError) as error:
        return _failed(check, found, error)
    except Refused as error:
        found.append(Finding(f"cannot be checked: {error}", OTHER_RELEASE))
    return Outcome(check, tuple(found))


def _failed(check: Check, found: list[Finding], error: Exception) -> Outcome:
    """The outcome of a check that an error ended. Raises Refused without a valid login."""
    if isinstance(error, PynamoDBException) and isinstance(error.cause, ClientError):
        error = error.cause
    if is_invalid_login(error):
        raise Refused(LOG_IN) from error
    if isinstance(error, ClientError):
        if error.response["Error"]["Code"] in _THROTTLED:
            return Outcome(check, tuple(found), reason="AWS throttled the call; run it again")
        return Outcome(check, (*found, _refusal(error)))
    if isinstance(error, BotoCoreError | PynamoDBException):
        finding = Finding(f"no answer: {error}", "check your network and AWS login")
    elif isinstance(error, LookupError):
        finding = Finding(f"cannot be checked: the stack has no {error}", OTHER_RELEASE)
    else:
        fix = "correct the parameter or resource that has this value, and deploy"
        finding = Finding(f"cannot be checked: a value is invalid: {error}", fix)
    return Outcome(check, (*found, finding))


def _refusal(error: ClientError) -> Finding:
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if code in _DENIED:
        right = _RIGHT.search(message)
        missing = right[1] if right else error.operation_name
        detail = f"cannot be checked: your login may not call {missing}"
        return Finding(detail, f"allow {missing}: attach the policy in output OperatorPolicy")
    detail = f"AWS refused {error.operation_name}: {code}: {message}"
    return Finding(detail, "restore the resource that AWS names, then run doctor again")


def _row(one: Outcome) -> dict[str, Any]:
    return {
        "check": one.check.name,
        "result": one.result,
        "holds": one.check.holds,
        "reason": one.reason or None,
        "findings": [
            {"level": found.level, "detail": found.detail, "fix": found.fix}
            for found in one.findings
        ],
    }


def _screen(outcomes: list[Outcome]) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for one in outcomes:
        name = one.check.name
        lines += [_line(found.level, name, found.detail, found.fix) for found in one.findings]
        if one.reason:
            lines.append(_line("not_checked", name, f"not checked here: {one.reason}"))
        elif not one.findings:
            lines.append(_line("ok", name, one.check.holds))
    counts = Counter(one.result for one in outcomes)
    if note := _note(outcomes):
        lines += ["", note]
    summary = ", ".join(f"{counts[result]} {words}" for result, words in _COUNTED.items())
    return [*lines, "", summary]


def _note(outcomes: list[Outcome]) -> str | None:
    """What to know before pasting a fix; None if it concerns no finding."""
    fixes = [finding.fix for one in outcomes for finding in one.findings]
    return OVERRIDES_NOTE if any(OVERRIDES in fix for fix in fixes) else None


def _line(result: Level, name: str, detail: str, fix: str = "") -> Text:
    label, style = _LABELS[result]
    what_to_do = f" | do: {fix}" if fix else ""
    return Text.assemble((f"{label:<12}", style), f"{name}: {detail}{what_to_do}")


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "checks",
        metavar="CHECK",
        nargs="*",
        # No `choices`: argparse would apply them to the empty list as well.
        type=_name,
        help=f"only these: {', '.join(check.name for check in CHECKS)}",
    )
    parser.add_argument("--no-probe", action="store_true", help="read only: call no route")
    parser.add_argument(
        "--wait",
        type=int,
        default=60,
        metavar="SECONDS",
        help="how long the probe may take to arrive (default 60)",
    )


def _name(text: str) -> str:
    if text not in {check.name for check in CHECKS}:
        raise ArgumentTypeError(f"no check {text}")
    return text


COMMAND: Command = Command(
    "doctor", "Check the deployed stack and suggest fixes", ABOUT, run, arguments
)
