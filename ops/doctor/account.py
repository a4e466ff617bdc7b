"""Checks around the stack: its state, Skycore's limits, this machine's clock."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from ops.doctor.check import Check, Finding, NotChecked
from ops.doctor.deployment import template

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.doctor.deployment import Deployment

MAX_SKEW_SECONDS = 60  # AWS refuses signatures that are five minutes off


def stack_state(deployment: Deployment) -> Iterator[Finding]:
    """The last deployment succeeded, and has the parameters of this checkout's template."""
    status, name = deployment.stack.status, deployment.name
    if not status.endswith("_COMPLETE") or "ROLLBACK" in status:
        fix = deployment.aws("cloudformation", "describe-stack-events", "--stack-name", name)
        yield Finding(f"the stack is {status}", f"find the cause, then deploy again: {fix}")
    expected = set(template().get("Parameters", {}))
    actual = set(deployment.parameters)
    if expected != actual:
        names = ", ".join(sorted(expected ^ actual))
        fix = "run doctor from a checkout of the release that is deployed, or deploy this one"
        yield Finding(f"the stack and this checkout are different releases ({names})", fix)


def skycore_limits(deployment: Deployment) -> Iterator[Finding]:
    """The account's limits of calls are set."""
    if not deployment.stack.limits.any:
        detail = "MaxCallsPerSecond, -Minute and -Day are 0: Skycore refuses calls over its limits"
        fix = "deploy with the limits from Skycore's API Settings: "
        fix += deployment.sam_deploy(MaxCallsPerSecond="NUMBER")
        yield Finding(detail, fix, warning=True)


def clock(deployment: Deployment) -> Iterator[Finding]:
    """The clock of this machine agrees with AWS's."""
    answer = deployment.client("cloudformation").describe_stacks(StackName=deployment.name)
    now, date = datetime.now(UTC), answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if not date:
        raise NotChecked("the answer has no Date header")
    skew = round((now - parsedate_to_datetime(date)).total_seconds())
    if abs(skew) > MAX_SKEW_SECONDS:
        direction = "ahead of" if skew > 0 else "behind"
        detail = (
            f"this machine's clock is {abs(skew)} s {direction} AWS's: signed calls fail at 300 s"
        )
        yield Finding(detail, "set this machine's clock (NTP)")


CHECKS = (
    Check(
        "stack",
        "the last deployment succeeded and has the parameters of this checkout",
        stack_state,
    ),
    Check("skycore-limits", "the Skycore account's call limits are set", skycore_limits),
    Check("clock", "this machine's clock agrees with AWS's", clock),
)
