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
from skycore.table.audit import WRITE_INTERVAL, token_last_used

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ops.stack import Stack

LENGTH = 48  # characters, as the template's own; over 280 bits
CHARACTERS = string.ascii_letters + string.digits  # it stands in a URL
STILL_USED = timedelta(hours=24)  # since its last use a token counts as in use
_NOTED_MINUTES = round(WRITE_INTERVAL.total_seconds() / 60)
URL = """\
Prints the address that Skycore posts to. It is a secret: anyone who knows it can forge postbacks.
Paste it into Skycore's API Settings. It only reads. On stderr it shows when this address, and the
one before the last rotation, were last used. Uses are recorded every ten minutes, so the latest may
not show yet.

It first tries the address with a wrong token, and prints it only if this stack's API answers.
--unchecked prints it anyway, for when only this machine cannot reach it.

  python -m ops postback-url
"""
ROTATE = """\
Creates a new token for the postback address, and prints the new address. The previous address works
until the next rotation, so nothing is lost while you paste the new one into Skycore's API Settings.
It first waits half a minute, until every execution environment of ack accepts the new one. Before
it changes anything it tries the address, as postback-url does.

It is refused while the previous rotation is not finished: if the old address was used within 24
hours, or the current one has not been used yet. Skycore then still posts to the old one, and its
postbacks would be lost. --force rotates anyway.

If the address has leaked, one rotation is not enough, because the previous address keeps working.
Rotate twice: rotate-token (with --force if it is refused), paste the new address, then rotate-token
--force, and paste again. The leaked address stops working within five minutes of the second.

  python -m ops rotate-token
  python -m ops postback-url          shows whether the new address is in use, and the old one not
  python -m ops rotate-token --force  the second of two: disables an address that has leaked
"""


def url(stack: Stack, args: Namespace) -> Result:
    """Show the current address and its last use. Raises Refused unless it leads to this stack."""
    _try(stack, args)
    current, previous = tokens(stack)
    used, before = token_last_used(fingerprint(current)), None
    progress(f"last used: {_when(used)} (recorded every {_NOTED_MINUTES} minutes)")
    if previous:
        before = token_last_used(fingerprint(previous))
        told = f"last used {_when(before)}" if before else "no postback has used it"
        progress(f"the previous one, which still works: {told}")
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
    confirm(stack, args, f"Create a new postback address for {stack.name}?")
    token = "".join(secrets.choice(CHARACTERS) for _ in range(LENGTH))
    # The value that was current becomes AWSPREVIOUS by itself, and what was that is forgotten.
    stack.client("secretsmanager").put_secret_value(
        SecretId=stack.id_of("PostbackToken"), SecretString=token
    )
    if not args.no_wait:
        progress(
            f"waiting {REFRESH_SECONDS:.0f} s until every execution environment of ack accepts the "
            "new address"
        )
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
    gone = "The one before that stops working within five minutes." if ended else "No other does."
    return [
        "Paste it into Skycore's API Settings as the Postback URL, and into the URLs for MO",
        "messages and for passes if they are set there.",
        f"Two addresses work now: this one, and the one that it replaces. {gone}",
        "If the replaced one has leaked, paste the new one first, then run rotate-token --force.",
        "python -m ops postback-url shows whether Skycore uses the new one.",
    ]


def _too_early(current: str, previous: str | None) -> str | None:
    """Why a rotation now would lose postbacks; None if none would be."""
    if previous is None:
        return None
    before = token_last_used(fingerprint(previous))
    if before and datetime.now(UTC) - before < STILL_USED:
        return (
            "The previous rotation is not finished: its old address was last used "
            f"{_when(before)}. Make sure that every URL in Skycore's API Settings is the current "
            "one (postback-url), and run this again 24 hours after the old one's last use."
        )
    if before and token_last_used(fingerprint(current)) is None:
        return (
            "The previous rotation is not finished: the current address was never used. Paste it "
            "into Skycore's API Settings (postback-url) and wait for a postback."
        )
    return None


def tokens(stack: Stack) -> tuple[str, str | None]:
    """The current token and the one before it, if there is one."""
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
    Command("postback-url", "Print the address that Skycore posts to", URL, url, add_unchecked),
    Command(
        "rotate-token",
        "Create a new postback address; the old one keeps working",
        ROTATE,
        rotate,
        arguments,
    ),
)
