"""A client of the Skycore Messaging API (v1.3, XML).

    from skycore.api import Credentials, SkycoreClient

    with SkycoreClient(base_url, Credentials(api_key=key)) as skycore:
        reply = skycore.call("sendSMS", {"to": "+17743199144", "from": "60856", "text": "Hello"})
        print(reply.fields["tracking_id"])

The names below are loaded when they are first used: only ``SkycoreClient`` needs requests, and only
``prepare`` and the number functions need the tables of numbering plans.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skycore.api.client import SkycoreClient
    from skycore.api.credentials import Credentials
    from skycore.api.failures import (
        CredentialsMissing,
        FieldError,
        InvalidRequest,
        NotSent,
        OutcomeUnknown,
        Refused,
        SkycoreError,
    )
    from skycore.api.numbers import NumberError, parse_msisdn
    from skycore.api.preparation import prepare
    from skycore.api.reply import Reply
    from skycore.api.report import Report, ReportRow, read_report, report_link

__all__ = [
    "Credentials",
    "CredentialsMissing",
    "FieldError",
    "InvalidRequest",
    "NotSent",
    "NumberError",
    "OutcomeUnknown",
    "Refused",
    "Reply",
    "Report",
    "ReportRow",
    "SkycoreClient",
    "SkycoreError",
    "parse_msisdn",
    "prepare",
    "read_report",
    "report_link",
]

_HOMES = {
    "Credentials": "credentials",
    "NumberError": "numbers",
    "Reply": "reply",
    "Report": "report",
    "ReportRow": "report",
    "SkycoreClient": "client",
    "parse_msisdn": "numbers",
    "prepare": "preparation",
    "read_report": "report",
    "report_link": "report",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'failures')}"), name)
    globals()[name] = value
    return value
