"""Signs what schemathesis sends, as a user's own service would; runs in .venv-schemathesis."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from requests.auth import AuthBase

if TYPE_CHECKING:
    from requests import PreparedRequest

STACK = json.loads(Path(os.environ["STACK_FILE"]).read_text())
CREDENTIALS = Credentials(STACK["access_key_id"], STACK["secret_access_key"])
UNSIGNED = ("connection", "accept-encoding", "user-agent", "accept")


class Signed(AuthBase):
    """AWS Signature Version 4 on the request as it is about to leave."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        path, mark, query = str(request.url).partition("?")
        request.url = path + mark + query.replace("+", "%20")  # a signature knows no other blank
        headers = {k: v for k, v in request.headers.items() if k.lower() not in UNSIGNED}
        unsigned = AWSRequest(request.method, request.url, headers=headers, data=request.body)
        SigV4Auth(CREDENTIALS, "execute-api", STACK["region"]).add_auth(unsigned)
        request.headers.update(unsigned.headers.items())
        return request


schemathesis.auth.set_from_requests(Signed())


@schemathesis.hook  # type: ignore[untyped-decorator]
def before_load_schema(_context: object, document: dict[str, Any]) -> None:
    """Let any entry be in a batch: one that is not valid has its problem as its result, in a 202.

    The document gives entries their type, for the sake of generated clients.
    """
    schemas = document["components"]["schemas"]
    for form, field in (("BatchOfMessages", "messages"), ("BatchFromTemplate", "recipients")):
        entries = schemas[form]["properties"][field]
        entries["items"] = {"anyOf": [entries["items"], {}]}


@schemathesis.hook  # type: ignore[untyped-decorator]
def filter_path_parameters(_context: object, parameters: dict[str, object] | None) -> bool:
    """The emulator's policies match no path with a line feed: its own 403 would be the answer."""
    return not any("\n" in unquote(str(value)) for value in (parameters or {}).values())
