"""`resume`: end a pause of queued messages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ops.command import Command
from ops.output import Refused, Result, confirm
from skycore import timestamps
from skycore.table import pauses

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ops.stack import Stack
    from skycore.table.pauses import Pause

TRIES = 10  # of a write, while the functions change the item first
ABOUT = """\
Queued messages wait while Skycore cannot be reached or refuses the account, or one action. The
pause ends by itself: every minute or so one probe is made, and the first success ends it.

This ends the pause at once, of the account and of every action, or of one with --action. If the
cause is still there, the next message that fails pauses the others again. The table records who
ended the pause, and when. `status` shows pauses and their reasons.

  python -m ops resume
  python -m ops resume --action sendMMS --stack skycore --yes
"""


def run(stack: Stack, args: Namespace) -> Result:
    """End the pauses. Raises Refused if there is none."""
    paused = current()
    scopes = [scope for scope in paused if args.action in {None, scope}]
    if not scopes:
        raise Refused("Queued messages are not paused.")
    causes = "; ".join(f"{scope}: {paused[scope]['why']}" for scope in scopes)
    confirm(stack, args, f"Resume queued messages ({causes})?")
    for scope in scopes:
        _resume(scope, stack.operator)
    data = {"resumed": scopes, "by": stack.operator}
    return Result(data, [f"{scope}: queued messages are being sent again" for scope in scopes])


def current() -> dict[str, dict[str, Any]]:
    """Return what is paused now, by scope (`account`, or an action), with reason and time."""
    found = pauses.read(consistent=True).by_scope
    return {scope: _describe(pause) for scope, pause in found.items() if pause.paused}


def _describe(pause: Pause) -> dict[str, Any]:
    return {
        "why": pauses.describe(pause.cause),
        "since": timestamps.from_epoch_ms(pause.since * 1000),
        "probes": pause.probes,
        "next_probe": timestamps.from_epoch_ms(pause.turn * 1000),
    }


def _resume(scope: str, operator: str) -> None:
    now = int(datetime.now(UTC).timestamp())
    for _ in range(TRIES):
        seen = pauses.read(consistent=True)
        after = pauses.resumed(seen.of(scope), now, operator)
        if after == seen.of(scope) or pauses.write(seen, scope, after) is not None:
            return
    raise Refused("The pause kept changing; run this command again.")


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--action", help="the action whose pause ends, or account (default: all)")


COMMAND: Command = Command("resume", "End a pause of queued messages", ABOUT, run, arguments)
