"""The Skycore client of this process: made when first needed, with the key from its secret."""

from __future__ import annotations

import json
from functools import cache

from skycore.api import Credentials, SkycoreClient
from skycore.aws.secrets import Secret
from skycore.logs import hide, log_exception


@cache
def client(url: str, secret_name: str) -> SkycoreClient:
    """A client with kept connections; a refused key is read from the secret afresh."""
    secret = Secret(secret_name)

    def credentials(refresh: bool) -> Credentials:
        try:
            values = secret.values(not_older_than=0) if refresh else secret.values()
            return _credentials(next(values, ""))
        except Exception as error:
            log_exception("Skycore key not read", error)  # the client tells only that
            raise

    return SkycoreClient(url, credentials)


def _credentials(text: str) -> Credentials:
    """Credentials from a secret's text: a JSON object, or the bare API key."""
    text = text.strip()
    if not text.startswith("{"):
        return Credentials(api_key=text or None)
    try:
        value = json.loads(text)
    except ValueError:
        return Credentials()
    known = {name: str(value[name]) for name in ("api_key", "user", "password") if value.get(name)}
    credentials = Credentials(**known)
    hide(*known.values(), *credentials.elements.values())
    return credentials
