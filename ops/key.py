"""`set-key`: the Skycore API key, set or replaced."""

from __future__ import annotations

import contextlib
import getpass
import json
import re
import sys
import threading
import time
from typing import TYPE_CHECKING

from ops.command import Command
from ops.output import INTERRUPTED, Refused, Result, confirm, progress
from skycore.client.request import unquote_secret
from skycore.table.limiter import PAUSE_KNOWN_FOR_MS, Limiter

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from ops.stack import Stack

HOLD_MS = 10_000  # renewed while needed: if this process ends, calls soon resume
RENEW_SECONDS = 3.0
_KEY = re.compile(r"[A-Za-z0-9._~+/=-]{4,128}")  # Skycore's have about 32 letters and digits
_USER = re.compile(r"[^\s<>&]{1,128}")
_MOST_PASSWORD = 256  # characters
_SECRET = {"api_key", "user", "password"}
_STOPPED = (
    "Nothing was changed. If you have already created the new key at Skycore, the old one no "
    "longer works: run set-key again now, and paste the new one."
)
ABOUT = """\
Asks for the API key without showing it, or reads it from stdin, and stores it in the stack's
secret. It is never an argument, so it does not appear in process lists or shell history. No
deployment changes it. With --user it asks for that user's password instead; stdin may also have
{"api_key": …, "user": …, "password": …} where an account wants more than one.

Skycore invalidates the old key as soon as it creates a new one, so for a moment no key works. If a
key is already set, and there is a terminal, set-key holds calls to Skycore while you replace it:
queued messages wait, and other sends are answered 429 with Retry-After and send nothing. Execution
environments of send and dispatch read the new key as soon as Skycore refuses the old one. --no-hold
replaces it at once.

  python -m ops set-key --stack skycore
  python -m ops set-key --stack skycore --yes < key.txt
  python -m ops set-key --user acme-api
"""


def run(stack: Stack, args: Namespace) -> Result:
    """Store what is typed or piped in. Raises Refused if it cannot be a key, or on Ctrl-C."""
    secret = stack.id_of("ApiKey")
    client = stack.client("secretsmanager")
    versions = client.describe_secret(SecretId=secret).get("VersionIdsToStages", {})
    replaces = any("AWSCURRENT" in stages for stages in versions.values())
    question = f"{'Replace' if replaces else 'Set'} the Skycore key of {stack.name}?"
    asks = sys.stdin.isatty()
    storing = False
    try:
        confirm(stack, args, question)
        with _held() if replaces and asks and not args.no_hold else contextlib.nullcontext():
            value = _asked_for(args.user, asks=asks)
            storing = True
            client.put_secret_value(SecretId=secret, SecretString=json.dumps(value))
    except KeyboardInterrupt:
        if storing:  # it may have been stored
            raise
        raise Refused(_STOPPED, code=INTERRUPTED) from None
    names = " and ".join(sorted(value))
    data = {"stack": stack.name, "stored": sorted(value), "replaced": replaces}
    return Result(data, [f"{names} stored. The next send uses it: python -m ops send-test NUMBER"])


def _asked_for(user: str | None, *, asks: bool) -> dict[str, str]:
    """Return the secret's new value, typed or piped in. Raises Refused."""
    what = f"Password of {user}" if user else "Skycore API key"
    try:
        text = getpass.getpass(f"{what} (not shown): ") if asks else sys.stdin.read()
    except KeyboardInterrupt:
        progress("")  # the next words on a line of their own
        raise
    return credentials(text, user)


def credentials(text: str, user: str | None = None) -> dict[str, str]:
    """Return the secret's new value for what was typed: a key, a password, a JSON object.

    Raises Refused, without quoting it, for what cannot be either.
    """
    text = text.strip().strip("\ufeff") if user else unquote_secret(text)
    if not text:
        raise Refused("Nothing was entered. Nothing was changed.")
    if user:
        value = {"user": user, "password": text}
    elif text.startswith("{"):
        value = _object(text)
    else:
        value = {"api_key": text}
    key, name, password = (value.get(part) for part in ("api_key", "user", "password"))
    if not key and not (name and password):
        raise Refused('An object needs "api_key", or "user" and "password". Nothing was changed.')
    if key and not _KEY.fullmatch(key):
        raise Refused(
            "This is not an API key: a key has 4 to 128 letters and digits, without spaces. Copy "
            "it again from Skycore's API Settings. Nothing was changed."
        )
    if name and not _USER.fullmatch(name):
        raise Refused(
            "Not a valid user name: it must not be empty or contain spaces. Nothing was changed."
        )
    if password and (len(password) > _MOST_PASSWORD or not password.isprintable()):
        raise Refused("This is not a password: it has several lines, or over 256 characters.")
    return value


def _object(text: str) -> dict[str, str]:
    try:
        value = json.loads(text)
    except ValueError:
        raise Refused("That looks like JSON but is not valid JSON. Nothing was changed.") from None
    if set(value) - _SECRET or not all(isinstance(part, str) and part for part in value.values()):
        raise Refused(
            'An object may have the texts "api_key", "user" and "password" only. '
            "Nothing was changed."
        )
    return dict(value)


@contextlib.contextmanager
def _held() -> Iterator[None]:
    """Hold all calls to Skycore while the block runs."""
    limiter, done = Limiter(), threading.Event()
    until = [limiter.pause(HOLD_MS)]

    def renew() -> None:
        while not done.wait(RENEW_SECONDS):
            with contextlib.suppress(Exception):  # the next one may do it
                until.append(limiter.pause(HOLD_MS))

    progress("Holding calls to Skycore: queued messages wait, other sends are answered 429.")
    renewing = threading.Thread(target=renew, daemon=True)
    renewing.start()
    try:
        # Every execution environment has read the pause by then.
        time.sleep(PAUSE_KNOWN_FOR_MS / 1000)
        progress("Make the new key in Skycore's API Settings now, and paste it here.")
        yield
    finally:
        done.set()
        renewing.join()
        limiter.resume(until[-1])
        progress(f"Calls resume within {PAUSE_KNOWN_FOR_MS // 1000} seconds.")


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--user", help="set this user and their password instead of a key")
    parser.add_argument("--no-hold", action="store_true", help="do not pause calls meanwhile")


COMMAND: Command = Command("set-key", "Set or replace the Skycore API key", ABOUT, run, arguments)
