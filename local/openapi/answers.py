"""JSON schemas of the answers: messages, events, replies of actions and problem details."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skycore.catalogue.fields import field_named
from skycore.catalogue.statuses import RANKS
from skycore.problems import MAX_ERRORS, TITLES

if TYPE_CHECKING:
    from skycore.catalogue.actions import Action

type Schema = dict[str, Any]

# What API Gateway answers by itself; a function's own gateway_failure is a 500.
GATEWAY: dict[int, str] = {
    400: "gateway_refused",
    403: "forbidden",
    429: "rate_limited",
    500: "gateway_failure",
    502: "gateway_failure",
    504: "gateway_failure",
}
_GATEWAY_TITLES = {
    "gateway_refused": "Refused by the gateway",
    "forbidden": "Not signed, not allowed, or no such route",
}
_TEXT: Schema = {"type": "string"}
# Without additionalProperties some generators make it a type that no key fits.
ANY_OBJECT: Schema = {"type": "object", "additionalProperties": True}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_TIME: Schema = {"type": "string", "format": "date-time", "description": "UTC, RFC 3339."}
_STATUS: Schema = {"enum": list(RANKS), "description": "Moves in one direction only."}
_REPLY_SHAPES: dict[str, Schema] = {
    "text": _TEXT,
    "int": {"type": ["integer", "string"]},
    "list": {"type": "array", "items": _TEXT},
    "map": ANY_OBJECT,
    "group": {"type": "array", "items": ANY_OBJECT},
    "groups": {"type": "array", "items": ANY_OBJECT},
    "markup": {"type": "string", "description": "HTML."},
}
RETRY_AFTER: Schema = {
    "description": "Seconds to wait before the next try, where they are known.",
    "schema": {"type": "integer", "minimum": 0},
}
LOCATION: Schema = {
    "description": "The message's path, including the stage if the request had it.",
    "schema": {
        "type": "string",
        "format": "uri-reference",
        "pattern": "^/(.+/)?messages/[^/]+$",
    },
}
REPLAYED: Schema = {
    "description": "true: the answer that the same Idempotency-Key got before.",
    "schema": {"enum": ["true"]},
}

_MESSAGE: dict[str, Schema] = {
    "message_id": _TEXT,
    "status": {"$ref": "#/components/schemas/MessageStatus"},
    "action": _TEXT,
    "tracking_id": {**_TEXT_OR_NULL, "description": "Skycore's id of the message."},
    "to": {**_TEXT_OR_NULL, "description": "The recipient, digits with the country code."},
    "from": _TEXT_OR_NULL,
    "client_reference": _TEXT_OR_NULL,
    "created_at": _TIME,
}
_BY_WHOM: dict[str, Schema] = {
    "caller": {**_TEXT, "description": "The role or user that sent it."},
    "cancelled_by": {
        "description": "The role or user that cancelled it; DELETE adds session and address.",
        "anyOf": [
            _TEXT,
            {
                "type": "object",
                "properties": {
                    "caller": _TEXT,
                    "session": _TEXT_OR_NULL,
                    "address": _TEXT_OR_NULL,
                },
                "required": ["caller"],
            },
        ],
    },
}
_RECIPIENTS: dict[str, Schema] = {
    "recipients": {
        "type": "array",
        "description": "Of a send to several: what became of each. Each is a message of its own.",
        "items": {
            "type": "object",
            "properties": {
                **{n: _MESSAGE[n] for n in ("message_id", "status", "to", "from", "tracking_id")},
                "skycore_code": _TEXT,
            },
            "required": ["message_id", "status", "to", "tracking_id"],
        },
    }
}
_POSSIBLE_MATCH: Schema = {
    "type": "array",
    "description": "Of an unknown message: receipts that may be its own. A person decides.",
    "items": {
        "type": "object",
        "properties": {"tracking_id": _TEXT, "event": _TEXT, "time": _TIME, "event_id": _TEXT},
        "required": ["tracking_id", "event", "time", "event_id"],
    },
}
_IN_EVERY_ANSWER = ("action", "to", "from", "client_reference")
_DRY_RUN: dict[str, Schema] = {
    "dry_run": {"type": "boolean", "description": "true; in the answer to a dry run only."},
    "fields": {**ANY_OBJECT, "description": "What Skycore would be sent; of a dry run."},
}
_STEP: dict[str, Schema] = {
    "time": _TIME,
    "event": {**_TEXT, "description": "The event's name, such as sms_delivered."},
    "status": {**_TEXT_OR_NULL, "description": "Skycore's words for it, or our status."},
    "code": _TEXT_OR_NULL,
    "details": _TEXT_OR_NULL,
    "carrier": _TEXT_OR_NULL,
    "handset": _TEXT_OR_NULL,
    "received_at": _TIME,
    "event_id": _TEXT,
}
_EVENT: dict[str, Schema] = {
    "specversion": {"const": "1.0"},
    "id": {**_TEXT, "description": "The same for every delivery of one notification."},
    "source": _TEXT,
    "type": {**_TEXT, "pattern": "^skycore\\.", "examples": ["skycore.sms_delivered"]},
    "subject": _TEXT,
    "time": _TIME,
    "datacontenttype": {"const": "application/json"},
    "dataschema": _TEXT,
    "data": ANY_OBJECT,
}
_RAW: Schema = {**_TEXT, "contentEncoding": "base64", "description": "The postback's bytes."}
_MEDIA: Schema = {
    "type": ["array", "null"],
    "description": "The files of an inbound MMS; null until they are kept.",
    "items": {
        "type": "object",
        "properties": {
            **dict.fromkeys(("url", "key", "type", "sha256"), _TEXT),
            "bytes": {"type": "integer", "minimum": 0},
            "error": {**_TEXT, "description": "Why the file was not kept."},
            "link": {**_TEXT, "description": "Downloads the file, for 15 minutes."},
        },
        "required": ["url"],
    },
}
_SUMMARY = ("queued", "scheduled", "refused")
_CURSOR: Schema = {**_TEXT_OR_NULL, "description": "For the next page; null after the last."}


def schemas() -> dict[str, Schema]:
    """The schemas of all answers, by name."""
    why = {
        **_TEXT,
        "description": "Why it was rejected, expired or is unknown, or its last call failed.",
    }
    message = _object(
        _MESSAGE,
        list(_MESSAGE),
        send_at={**_TIME, "description": "Of a message that was scheduled: when it is due."},
        skycore_code=_TEXT,
        detail=why,
        parent=_TEXT,
        resolved_by={**_TEXT, "description": "Who decided what became of an unknown message."},
        reason={**_TEXT, "description": "The reason that they gave."},
        **_BY_WHOM,
    )
    step = _object(_STEP, ["time", "event", "status"])
    unparsed = {"event_id": _TEXT, "received_at": _TIME, "error": _TEXT_OR_NULL, "raw": _RAW}
    return {
        "MessageStatus": _STATUS,
        "Message": message,
        "SentMessage": _sent_message(),
        "MessageWithTimeline": {
            "allOf": [
                _ref("Message"),
                _object(
                    {"timeline": {"type": "array", "items": _ref("Step")}},
                    ["timeline"],
                    possible_match=_POSSIBLE_MATCH,
                ),
            ]
        },
        "Step": step,
        "MessagePage": _page("messages", _ref("Message")),
        "BatchResult": _object(
            {
                "messages": {
                    "type": "array",
                    "items": _ref("BatchEntry"),
                    "description": "One result for each entry, in order.",
                },
                "summary": {
                    "type": "object",
                    "properties": {name: {"type": "integer", "minimum": 0} for name in _SUMMARY},
                    "required": list(_SUMMARY),
                    "description": "How many entries have this status. Dry runs have none.",
                },
            },
            ["messages", "summary"],
        ),
        "BatchEntry": _batch_entry(),
        "Event": _object(
            {**_EVENT, "raw": _RAW, "media": _MEDIA},
            ["specversion", "id", "source", "type", "time", "data", "raw", "media"],
        ),
        "UnparsedPage": _page("events", _object(unparsed, ["event_id", "received_at", "raw"])),
        "ActionReply": {
            **ANY_OBJECT,
            "description": "The elements of Skycore's reply, in snake_case.",
        },
        "Problem": _problem(),
        "FieldError": _object({"field": _TEXT, "detail": _TEXT}, ["field", "detail"]),
    }


def reply(action: Action) -> Schema:
    """The 200 of an action: the documented elements of its reply; more may come."""
    fields = {}
    for name in action.reply:
        field = field_named(name)
        fields[name] = _REPLY_SHAPES[field.shape] if field else {}
    return {"allOf": [_ref("ActionReply"), {"properties": fields}]}


def problems(codes: tuple[str, ...], *, replayed: bool = False) -> dict[str, Schema]:
    """The error responses, by HTTP status, of a route that answers with these codes."""
    by_status: dict[int, list[str]] = {}
    for status, code in [*((TITLES[code][0], code) for code in codes), *GATEWAY.items()]:
        if code not in by_status.setdefault(status, []):
            by_status[status].append(code)
    return {
        str(status): _response(status, by_status[status], replayed=replayed)
        for status in sorted(by_status)
    }


def _response(status: int, codes: list[str], *, replayed: bool) -> Schema:
    headers: dict[str, Schema] = {}
    if status in {409, 429} or status >= 500:
        headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    if replayed and status in {422, 504}:
        headers["Idempotency-Replayed"] = {"$ref": "#/components/headers/Idempotency-Replayed"}
        headers["Location"] = {"$ref": "#/components/headers/Location"}
    sentences = [f"`{code}`: {_title(code)}." for code in codes]
    return {
        "description": " ".join(sentences),
        **({"headers": headers} if headers else {}),
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
        "x-problem-codes": codes,
    }


def _title(code: str) -> str:
    return TITLES[code][1] if code in TITLES else _GATEWAY_TITLES[code]


def _sent_message() -> Schema:
    """The one answer to a send, whatever its status: generators take a single type for all 2xx."""
    dry = list(_DRY_RUN)
    return {
        **_object({**_MESSAGE, **_RECIPIENTS, **_DRY_RUN}, list(_IN_EVERY_ANSWER)),
        "description": "The message, with the other elements of Skycore's reply. A dry run has "
        "`dry_run` and `fields`, and no message_id, status, tracking_id or created_at.",
        "additionalProperties": True,
        "if": {"required": ["dry_run"]},
        "then": {"required": dry},
        "else": {"required": list(_MESSAGE)},
    }


def _batch_entry() -> Schema:
    """The result of one entry: a message, a dry run or a problem, each field of one type."""
    status: Schema = {
        "enum": [*RANKS, "refused"],
        "description": "The message's, or refused: then `code` says why. A dry run has none.",
    }
    of_problem = {name: value for name, value in _problem_fields().items() if name != "status"}
    earlier: Schema = {
        "type": "integer",
        "minimum": 0,
        "description": "The first entry with the same recipient, which gets each message.",
    }
    http_status: Schema = {"type": "integer", "description": "The problem's, as of a single send."}
    fields = {**of_problem, **_DRY_RUN, **_MESSAGE, **_BY_WHOM, "parent": _TEXT, "status": status}
    fields["send_at"] = _TIME
    return _object(fields, [], http_status=http_status, same_recipient_as=earlier)


def _problem() -> Schema:
    # The gateway's own refusals name no status in their body.
    return {
        **_object(_problem_fields(), ["type", "title", "detail", "code", "retryable"]),
        "description": "Problem details as RFC 9457 has them.",
    }


def _problem_fields() -> dict[str, Schema]:
    return {
        "type": {**_TEXT, "format": "uri-reference"},
        "title": _TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": _TEXT,
        "code": {
            "enum": [*TITLES, *_GATEWAY_TITLES],
            "description": "Stable: the name of the problem for programs.",
        },
        "retryable": {
            "type": "boolean",
            "description": "Whether the same request may be repeated by a machine.",
        },
        "skycore_code": {
            **_TEXT,
            "description": "Skycore's own code; x-skycore-errors of this document names them.",
        },
        "message_id": _TEXT,
        "window": {"enum": ["second", "minute", "day"], "description": "The limit that is full."},
        "errors": {"type": "array", "items": _ref("FieldError"), "maxItems": MAX_ERRORS},
    }


def _page(name: str, row: Schema) -> Schema:
    rows: Schema = {"type": "array", "items": row, "description": "Newest first."}
    return _object({name: rows, "cursor": _CURSOR}, [name, "cursor"])


def _object(fields: dict[str, Schema], required: list[str], **more: Schema) -> Schema:
    return {"type": "object", "properties": {**fields, **more}, "required": required}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
