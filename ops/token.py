"""`postback-url` and `rotate-token`: the address that Skycore posts to."""

from __future__ import annotations

import secrets
import string
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ops.address import add_unchecked, try_address
from ops.command import Command
from ops.output import Refused, Result, confirm, progress
from ops.stack import local_stack_changed
from skycore.aws.secrets import fingerprint
from skycore.receiving.ack import REFRESH_SECONDS
from skycore.table.tokens import WRITE_INTERVAL, last_used

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ops.stack import Stack

LENGTH = 48  # characters, as the template's own; over 280 bits
CHARACTERS = string.ascii_letters + string.digits  # it stands in a URL
STILL_USED = timedelta(hours=24)  # since its last use a token counts as in use
_NOTED_MINUTES = round(WRITE_INTERVAL.total_seconds() / 60)
URL = """\
Prints the address that Skycore posts to, which is a secret: who knows it can make up postbacks.
Paste it into Skycore's API Settings. It reads only. On stderr it tells when the address was last
used, and the one before a rotation. A use is noted every ten minutes only, so a later one may not
show yet.

It tries the address first, with a wrong token, and does not print one that does not answer as this
stack's API. --unchecked prints it all the same, if only this machine cannot reach it.

  python -m ops postback-url
"""
ROTATE = """\
Makes a new token for the postback address, and prints the new address. The address before goes on
to work until the next rotation, so nothing is lost while you paste the new one into Skycore's API
Settings. It waits for half a minute first, until every copy of ack takes the new one. Before it
changes anything it tries the address, as postback-url does.

It is refused while the rotation before is not over: while the address from before it was used
within 24 hours, or the present one was not used yet. Skycore still posts to the former then, and
its postbacks would be lost. --force rotates all the same.

If the address has leaked, one rotation does not end it: it becomes the address before, which works
on. So rotate twice: rotate-token (with --force where it is refused), paste the new address, then
rotate-token --force, and paste again. The leaked address is dead within five minutes of the second.

  python -m ops rotate-token
  python -m ops postback-url          is the new one in use, and the old one no longer?
  python -m ops rotate-token --force  the second of two: ends an address that has leaked
"""


def url(stack: Stack, args: Namespace) -> Result:
    """Show the current address and its last use. Raises Refused unless it leads to this stack."""
    _try(stack, args)
    current, previous = tokens(stack)
    used, before = last_used(fingerprint(current)), None
    progress(f"last used: {_when(used)} (noted every {_NOTED_MINUTES} minutes)")
    if previous:
        before = last_used(fingerprint(previous))
        told = f"last used {_when(before)}" if before else "no postback ever came by it"
        progress(f"the one before, which still works: {told}")
    address = f"{stack.api_url}/postbacks/{current}"
    data = {"postback_url": address, "used_at": used, "previous_used_at": before}
    return Result(data, [address])


def rotate(stack: Stack, args: Namespace) -> Result:
    """Make the new token. Raises Refused."""
    current, previous = tokens(stack)
    why = _too_early(current, previous)
    if why and not args.force:
        raise Refused(f"{why} Or, if an address has leaked: --force. Nothing was changed.")
    if why:
        progress(f"--force: {why}")
    _try(stack, args)
    confirm(stack, args, f"Make a new postback address for {stack.name}?")
    token = "".join(secrets.choice(CHARACTERS) for _ in range(LENGTH))
    # The value that was current becomes AWSPREVIOUS by itself, and what was that is forgotten.
    stack.client("secretsmanager").put_secret_value(
        SecretId=stack.id_of("PostbackToken"), SecretString=token
    )
    if not args.no_wait:
        progress(f"waiting {REFRESH_SECONDS:.0f} s until every copy of ack takes the new address")
        time.sleep(REFRESH_SECONDS)
    address = f"{stack.api_url}/postbacks/{token}"
    local_stack_changed(stack, postback_url=address)
    return Result({"postback_url": address}, [address, "", *_advice(ended=previous is not None)])


def _try(stack: Stack, args: Namespace) -> None:
    """Try the address without the token. Raises Refused unless --unchecked is given."""
    if not args.unchecked and (remark := try_address(stack)):
        progress(remark)


def _advice(*, ended: bool) -> list[str]:
    """What to do after a rotation, and which addresses work; `ended`: one was pushed out by it."""
    gone = "The one before that is dead within five minutes." if ended else "No other does."
    return [
        "Paste it into Skycore's API Settings as the Postback URL, and into the URLs for MO",
        "messages and for passes if they are set there.",
        f"Two addresses work now: this one, and the one that it replaces. {gone}",
        "If the replaced one has leaked, paste first, then end it: rotate-token --force.",
        "python -m ops postback-url tells whether Skycore uses the new one.",
    ]


def _too_early(current: str, previous: str | None) -> str | None:
    """Why a rotation now would lose postbacks; None if none would be."""
    if previous is None:
        return None
    before = last_used(fingerprint(previous))
    if before and datetime.now(UTC) - before < STILL_USED:
        return (
            f"The rotation before is not over: its old address was last used {_when(before)}. "
            "See that every URL in Skycore's API Settings is the present one (postback-url), and "
            "come again 24 hours after the old one's last use."
        )
    if before and last_used(fingerprint(current)) is None:
        return (
            "The rotation before is not over: the present address was never used. Paste it into "
            "Skycore's API Settings (postback-url) and wait for a postback."
        )
    return None


def tokens(stack: Stack) -> tuple[str, str | None]:
    """The present token and the one before it, if there is one."""
    client, secret = stack.client("secretsmanager"), stack.id_of("PostbackToken")
    current: str = client.get_secret_value(SecretId=secret)["SecretString"]
    try:
        previous = client.get_secret_value(SecretId=secret, VersionStage="AWSPREVIOUS")
    except client.exceptions.ResourceNotFoundException:
        return current, None
    return current, previous["SecretString"]


def _when(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z" if moment else "never"


def arguments(parser: ArgumentParser) -> None:
    add_unchecked(parser)
    parser.add_argument(
        "--force",
        action="store_true",
        help="rotate even if the previous address is still in use",
    )
    parser.add_argument(
        "--no-wait", action="store_true", help="print the address at once, not in half a minute"
    )


COMMANDS = (
    Command("postback-url", "The address that Skycore posts to", URL, url, add_unchecked),
    Command(
        "rotate-token", "A new postback address; the old one works on", ROTATE, rotate, arguments
    ),
)
