"""Every route: its parameters, request, answers and problems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.openapi import answers, examples, requests
from skycore.catalogue.actions import general_errors

if TYPE_CHECKING:
    from skycore.catalogue.actions import Action

type Part = dict[str, Any]

MOST_IN_BATCH, MOST_IN_PAGE, USUAL_IN_PAGE = 1000, 100, 50

SENT = ("Location", "Idempotency-Replayed")  # headers
_SEND = (
    "invalid_json", "unknown_action", "in_progress", "too_large", "invalid_request",
    "recipient_opted_out", "country_not_allowed", "quiet_hours", "ceiling_reached",
    "idempotency_key_reused", "skycore_rejected", "rate_limited", "skycore_account",
    "skycore_unreachable", "not_ready", "gateway_failure", "outcome_unknown",
)  # fmt: skip
_ACT = (
    "invalid_json", "too_large", "invalid_request", "skycore_rejected", "rate_limited",
    "skycore_account", "skycore_unreachable", "not_ready", "gateway_failure", "outcome_unknown",
)  # fmt: skip


def paths(sends: list[Action], others: list[Action]) -> dict[str, Part]:
    """All paths. Each action under /actions has its own, so that its fields are described."""
    return {
        "/messages": {"post": _post_message(sends), "get": _list_messages()},
        "/messages/batch": {"post": _post_batch()},
        "/messages/{message_id}": _message(),
        "/postbacks/unparsed": {"get": _unparsed()},
        "/postbacks/{item}": _postbacks(),
        **{f"/actions/{action.name}": {"post": _act(action)} for action in others},
        "/actions/{action}": {"post": _act_by_any_name()},
    }


def request_name(action: Action) -> str:
    """The name of the schema of an action's request."""
    return action.name[0].upper() + action.name[1:]


def _post_message(sends: list[Action]) -> Part:
    tried = _answer("A dry run: nothing was sent.", "SentMessage")
    accepted = _answer("Accepted by Skycore.", "SentMessage", SENT)
    queued = _answer("Queued (Prefer: respond-async), or scheduled (send_at).", "SentMessage", SENT)
    shown = {action.name: {"value": requests.send_example(action)} for action in sends}
    prefer = _parameter(
        "Prefer", "header", {"type": "string", "examples": ["respond-async"]},
        "respond-async: the answer is 202 and the message goes through the queue (RFC 7240).",
    )  # fmt: skip
    return {
        "operationId": "sendMessage",
        "summary": "Send a message",
        "description": "At most once for one Idempotency-Key.",
        "parameters": [_idempotency_key(), prefer],
        "requestBody": _body("SendRequest", shown),
        "responses": {
            "200": tried,
            "201": accepted,
            "202": queued,
            **answers.problems(_SEND, replayed=True),
        },
    }


def _post_batch() -> Part:
    sms = {"to": "+1 774-319-9144", "from": "60856", "text": "Hello"}
    shared = {"template": {"from": "60856", "text": "Hello"}, "recipients": [{"to": sms["to"]}]}
    example = {
        "messages": {"value": {"messages": [sms, {**sms, "text": "Hello again"}]}},
        "template": {"value": shared},
    }
    codes = ("invalid_json", "too_large", "invalid_request", "not_ready", "gateway_failure")
    return {
        "operationId": "sendBatch",
        "summary": "Queue up to 1000 messages",
        "parameters": [_idempotency_key()],
        "requestBody": _body("BatchRequest", example),
        "responses": {
            "202": _answer("One result for each entry.", "BatchResult", ("Idempotency-Replayed",)),
            **answers.problems(codes),
        },
    }


def batch_requests() -> dict[str, Part]:
    """Return the schemas of a batch's two forms, by name."""
    listed = {"type": "array", "minItems": 1, "maxItems": MOST_IN_BATCH}
    whole: Part = {
        "type": "boolean",
        "description": "true: if one entry is refused, the whole call is refused.",
    }
    entry = {"$ref": "#/components/schemas/SendRequest"}
    told = "An entry that is not valid has its problem as its result; the others are queued."
    differences = "What differs for each: it is laid over the template."
    forms = {
        "BatchOfMessages": {"messages": {**listed, "items": entry, "description": told}},
        "BatchFromTemplate": {
            "template": {
                **answers.ANY_OBJECT,
                "description": "What all recipients have in common.",
            },
            "recipients": {**listed, "items": answers.ANY_OBJECT, "description": differences},
        },
    }
    return {
        "BatchRequest": {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in forms]},
        **{
            name: {
                "type": "object",
                "properties": {**fields, "all_or_nothing": whole},
                "required": list(fields),
                "additionalProperties": False,
            }
            for name, fields in forms.items()
        },
    }


def _message() -> Part:
    one = _answer("The message with its timeline.", "MessageWithTimeline")
    missing = ("message_not_found", "gateway_failure")
    return {
        "parameters": [_parameter("message_id", "path", {"type": "string", "minLength": 1})],
        "get": {
            "operationId": "getMessage",
            "summary": "A message, its status and its timeline",
            "responses": {"200": one, **answers.problems(missing)},
        },
        "delete": {
            "operationId": "cancelMessage",
            "summary": "Cancel a message that is scheduled or queued",
            "responses": {
                "200": {**one, "description": "Cancelled."},
                **answers.problems(("not_cancellable", *missing)),
            },
        },
    }


def _list_messages() -> Part:
    filters = [
        _parameter(name, "query", {"type": "string"}, "Give exactly one of the four filters.")
        for name in ("tracking_id", "to", "from", "client_reference")
    ]
    return {
        "operationId": "listMessages",
        "summary": "Messages by tracking id, recipient, sender or client_reference, newest first",
        "parameters": [*filters, *_paging()],
        "responses": {
            "200": _answer("A page of messages.", "MessagePage"),
            **answers.problems(("invalid_request", "gateway_failure")),
        },
    }


def _unparsed() -> Part:
    return {
        "operationId": "listUnparsedPostbacks",
        "summary": "Postbacks that could not be read, newest first",
        "parameters": _paging(),
        "responses": {
            "200": _answer("A page of events.", "UnparsedPage"),
            **answers.problems(("invalid_request", "gateway_failure")),
        },
    }


def _postbacks() -> Part:
    words = "GET: the event's id. POST: the secret token of the postback address."
    codes = ("message_not_found", "too_large", "not_stored", "gateway_failure")
    anything: Part = {"*/*": {"schema": {}}}
    return {
        "parameters": [_parameter("item", "path", {"type": "string", "minLength": 1}, words)],
        "get": {
            "operationId": "getEvent",
            "summary": "One event with its raw postback and links to kept media",
            "responses": {
                "200": _answer("The event.", "Event"),
                **answers.problems(("event_not_found", "gateway_failure")),
            },
        },
        "post": {
            "operationId": "receivePostback",
            "summary": "Skycore's postbacks; not for callers",
            "security": [],
            "requestBody": {"content": anything},
            "responses": {"200": {"description": "It is queued."}, **answers.problems(codes)},
        },
    }


def _act(action: Action) -> Part:
    shown = {action.name: {"value": examples.minimal(action)}}
    done = _answer("Skycore's reply.", "ActionReply")
    done["content"]["application/json"]["schema"] = answers.reply(action)
    return {
        "operationId": action.name,
        "summary": action.purpose,
        "tags": [action.group],
        **({"deprecated": True} if action.deprecated else {}),
        "requestBody": _body(request_name(action), shown),
        "responses": {"200": done, **answers.problems(_ACT)},
        "x-skycore-effect": action.effect,
        "x-skycore-repeat": f"{action.repeat_safe}; {action.repeat_note}".rstrip("; "),
        "x-skycore-error-codes": sorted({*action.errors, *general_errors()}),
        "x-skycore-postback-codes": list(action.postbacks),
    }


def _act_by_any_name() -> Part:
    words = "The name in any letter case, or an older name."
    return {
        "operationId": "act",
        "summary": "Any action that sends nothing",
        "parameters": [_parameter("action", "path", {"type": "string", "minLength": 1}, words)],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": answers.ANY_OBJECT}},
        },
        "responses": {
            "200": _answer("Skycore's reply.", "ActionReply"),
            **answers.problems(("unknown_action", *_ACT)),
        },
    }


def _idempotency_key() -> Part:
    words = "Yours to choose; the same key never sends twice and gets the same answer again."
    schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"}
    return _parameter("Idempotency-Key", "header", schema, words)


def _paging() -> list[Part]:
    time = {"type": "string", "format": "date-time"}
    limit = {"type": "integer", "minimum": 1, "maximum": MOST_IN_PAGE, "default": USUAL_IN_PAGE}
    return [
        _parameter("since", "query", time, "Not older than this."),
        _parameter("until", "query", time, "Older than this."),
        _parameter("limit", "query", limit, "Rows of a page."),
        _parameter("cursor", "query", {"type": "string"}, "The cursor of the previous page."),
    ]


def _parameter(name: str, place: str, schema: Part, description: str = "") -> Part:
    required = {"required": True} if place == "path" else {}
    words = {"description": description} if description else {}
    return {"name": name, "in": place, **required, **words, "schema": schema}


def _body(name: str, shown: Part) -> Part:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {
        "required": True,
        "content": {"application/json": {"schema": schema, "examples": shown}},
    }


def _answer(description: str, name: str, headers: tuple[str, ...] = ()) -> Part:
    schema = {"$ref": f"#/components/schemas/{name}"}
    told: Part = {"description": description}
    if headers:
        told["headers"] = {one: {"$ref": f"#/components/headers/{one}"} for one in headers}
    return {**told, "content": {"application/json": {"schema": schema}}}
