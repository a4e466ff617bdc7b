"""Check a message before it is sent: its fields, its country, and opt-outs."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from skycore import metrics, timestamps
from skycore.catalogue.actions import Action, find_action
from skycore.client.errors import FieldError, InvalidRequest
from skycore.client.validation import field_names, prepare
from skycore.logs import log, log_exception, mask_number
from skycore.phone_numbers import region_of
from skycore.problems import Problem, validation_problem
from skycore.sending.idempotency import SendResult
from skycore.table import opt_outs, queue_transitions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from skycore.sending.policy import SendPolicy
    from skycore.table.messages import MessageRow

MAX_TEMPLATE_FIELDS = 100  # of a batch; no action has half as many
OWN_FIELDS = (
    *("action", "client_reference", "send_at", "expires_at", "quiet_hours"),
    *("dry_run", "opt_out_confirmation"),
)
MAX_AHEAD = timedelta(days=35)  # of send_at
MAX_REFERENCE_LENGTH = 255  # characters of client_reference
_GROUP_PATH = re.compile(r"[.\[]")  # what follows the name of a field with fields of its own
RECIPIENT_KINDS = {"msisdn", "email"}  # of parameters that name who gets a message


@dataclass(frozen=True, slots=True)
class Draft:
    """A valid message. `fields` are in the form that Skycore takes."""

    action: Action
    fields: dict[str, Any]
    client_reference: str | None = None
    expires_at: datetime | None = None
    dry_run: bool = False
    opt_out_confirmation: bool = False
    send_at: datetime | None = None
    ignores_quiet_hours: bool = False

    @property
    def to(self) -> str | None:
        """The recipient's number, in digits; None if there is none, or several."""
        return self.fields.get("to")

    @property
    def sender(self) -> str | None:
        """The sender: a shortcode or a number in digits."""
        return self.fields.get("from")


def parse_message(body: Mapping[str, Any], policy: SendPolicy) -> Draft:
    """Return the draft of a POST /messages body.

    Raises Problem unknown_action, or invalid_request with every invalid field.
    """
    fields = dict(body)
    action = _action(fields.pop("action", "sendSMS"))
    if action.effect != "send":
        detail = f"must be an action that sends; POST to /actions/{action.name} instead"
        raise validation_problem([FieldError("action", detail)])
    own = _OwnFields(fields)
    reference = own.reference()
    send_at, expires_at = own.timestamp("send_at"), own.timestamp("expires_at")
    if send_at is not None and expires_at is not None and expires_at <= send_at:
        own.errors.append(FieldError("expires_at", "must be after send_at"))
    ignores_quiet_hours = own.ignores_quiet_hours()
    dry_run, confirmation = own.flag("dry_run"), own.flag("opt_out_confirmation")
    try:
        prepared = prepare(action, fields, default_region=policy.region)
    except InvalidRequest as error:
        raise validation_problem([*own.errors, *error.errors]) from None
    if own.errors:
        raise validation_problem(own.errors)
    return Draft(
        action,
        prepared,
        reference,
        expires_at,
        dry_run,
        confirmation,
        send_at,
        # The confirmation of an opt-out answers a person who is awake.
        ignores_quiet_hours or confirmation or not prepared.get("to"),
    )


def check_template(
    template: Mapping[str, Any], own: Collection[str], policy: SendPolicy
) -> list[FieldError]:
    """Return the faults of a batch's template, once for all its recipients.

    `own` names the fields that recipients give: a fault counts only in a field that none of them
    replaces. If they choose their action, only the number of fields counts. Raises Problem
    unknown_action.
    """
    if len(template) > MAX_TEMPLATE_FIELDS:
        return [FieldError("template", f"must have at most {MAX_TEMPLATE_FIELDS} fields")]
    name = template.get("action", "sendSMS")
    action = find_action(name) if isinstance(name, str) else None
    if "action" in own:
        return []
    if action is not None:
        known = {*OWN_FIELDS, *field_names(action)}
        unknown = [f"template.{name}" for name in template if name not in known]
        if unknown:
            return [FieldError(name, f"is not a field of {action.name}") for name in unknown]
    # A recipient that allows several parts may have a text that the template alone may not.
    allowed = {"allow_multipart": True} if "allow_multipart" in own else {}
    try:
        parse_message({**template, **allowed}, policy)
    except Problem as problem:
        if problem.code != "invalid_request":
            raise
        errors: Any = problem.members["errors"]
    else:
        return []
    inherited = set(template) - set(own)
    return [
        FieldError(f"template.{error['field']}", error["detail"])
        for error in errors
        if _GROUP_PATH.split(error["field"])[0] in inherited
    ]


def check_sendable(draft: Draft, policy: SendPolicy) -> None:
    """Check the rules for a new message; a repeat of an earlier one need not meet them.

    Raises Problem invalid_request if `expires_at` is past, or country_not_allowed.
    """
    if draft.expires_at is not None and draft.expires_at <= timestamps.now():
        raise validation_problem([FieldError("expires_at", "must be in the future")])
    check_countries(draft.action, draft.fields, policy)


def check_queueable(draft: Draft, policy: SendPolicy) -> None:
    """Check the rules for a new message that is to be queued. Raises Problem as `check_sendable`.

    Also invalid_request if `send_at` is past or far ahead, and quiet_hours if the message expires
    before it could be sent.
    """
    check_sendable(draft, policy)
    now = timestamps.now()
    if draft.send_at is not None and not now < draft.send_at <= now + MAX_AHEAD:
        detail = f"must be in the future, and at most {MAX_AHEAD.days} days ahead"
        raise validation_problem([FieldError("send_at", detail)])
    if policy.quiet_hours is None or draft.ignores_quiet_hours or draft.expires_at is None:
        return
    due = draft.send_at or now
    free = policy.quiet_hours.next_free(str(draft.to), due)
    if draft.expires_at <= free != due:
        detail = f"the recipient's quiet hours end at {timestamps.to_text(free)}, after expires_at"
        raise Problem("quiet_hours", detail)


def get_action(name: str) -> Action:
    """Return the action of this name. Raises Problem unknown_action."""
    action = find_action(name)
    if action is None:
        raise Problem("unknown_action", "Skycore has no action of this name")
    return action


def _action(name: object) -> Action:
    if not isinstance(name, str):
        raise validation_problem([FieldError("action", "must be the name of a Skycore action")])
    return get_action(name)


SUBSCRIBE = "subscribe"  # the one action that sends nothing and makes Skycore send to a number


def check_countries(action: Action, fields: Mapping[str, Any], policy: SendPolicy) -> None:
    """Check the recipients of an action that sends, or subscribes a number.

    Raises Problem country_not_allowed for a number outside the policy's countries, and for a send
    to numbers that only Skycore knows if the policy does not allow those.
    """
    if action.effect != "send" and action.name != SUBSCRIBE:
        return
    recipients = [one.name for one in action.parameters if one.kind in RECIPIENT_KINDS]
    if not recipients and not policy.campaigns:
        detail = "AllowCampaignSends is off: a message must name its numbers or addresses"
        raise Problem("country_not_allowed", detail)
    numbers = [one.name for one in action.parameters if one.kind == "msisdn"]
    for number in (fields[name] for name in numbers if fields.get(name)):
        # No calling code is the beginning of another, so the digits' beginning is the country's.
        if policy.countries and not number.startswith(policy.countries):
            codes = ", ".join(policy.countries)
            detail = f"the number must have one of these calling codes: {codes}"
            raise Problem("country_not_allowed", detail)
        if policy.regions and region_of(number) not in policy.regions:
            names = ", ".join(policy.regions)
            detail = f"the number must belong to one of these countries: {names}"
            raise Problem("country_not_allowed", detail)


def check_opt_out(draft: Draft) -> datetime | None:
    """Raise Problem recipient_opted_out if the recipient opted out of this sender's messages.

    One message after an opt-out may confirm it (`opt_out_confirmation`). Return the time at which
    this message claimed that, to be released if it is not sent; None for any other.
    """
    if draft.to is None or not opt_outs.opted_out([(draft.to, draft.sender)]):
        return None
    confirmed_at = None
    if draft.opt_out_confirmation:
        confirmed_at = opt_outs.claim_confirmation(draft.to, draft.sender, timestamps.now())
    if confirmed_at is None:
        raise opted_out_problem()
    return confirmed_at


def count_for_recipient(row: MessageRow, ceiling: int) -> datetime | None:
    """Count a message that is about to be sent against MaxPerRecipientPerDay (0: no ceiling).

    Return None, or the start of the next UTC day if the number has had its messages. Raises what
    the table and the secret raise.
    """
    now = timestamps.now()
    if not ceiling or row.to is None:
        return None
    if queue_transitions.count_for_recipient(row.message_id, row.to, ceiling, now):
        return None
    metrics.count("CeilingReached")
    log.warning("daily ceiling of a number reached", extra={"to": mask_number(row.to)})
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timestamps.A_DAY


def check_ceiling(row: MessageRow, ceiling: int) -> None:
    """Raise Problem ceiling_reached if the number has had its messages of this UTC day."""
    next_day = count_for_recipient(row, ceiling)
    if next_day is not None:
        detail = f"the number has reached its limit of {ceiling} messages in a UTC day"
        seconds = math.ceil((next_day - timestamps.now()).total_seconds())
        raise Problem("ceiling_reached", detail, retry_after=max(1, seconds))


def uncount_for_recipient(row: MessageRow, ceiling: int) -> None:
    """Undo `count_for_recipient` of a direct send that sent nothing.

    Never raises: while the message stays counted, the number may get one less today.
    """
    if not ceiling or row.to is None:
        return
    try:
        for day in {timestamps.from_text(row.created_at).date(), timestamps.now().date()}:
            queue_transitions.uncount_for_recipient(row.message_id, row.to, day)
    except Exception as error:  # noqa: BLE001 - see above
        log_exception("recipient's daily count not reduced", error)


def _check_opt_out_only(draft: Draft) -> None:
    """Raise as `check_opt_out` does, without claiming the confirmation."""
    if draft.to is None or not opt_outs.opted_out([(draft.to, draft.sender)]):
        return
    if not (draft.opt_out_confirmation and opt_outs.can_confirm(draft.to, draft.sender)):
        raise opted_out_problem()


def opted_out_problem() -> Problem:
    """Return the problem of a recipient who opted out of this sender's messages."""
    return Problem("recipient_opted_out", "the recipient has opted out of this sender's messages")


def dry_run(draft: Draft, policy: SendPolicy, *, queued: bool) -> SendResult:
    """Return what would be sent, without a call to Skycore. Raises Problem as `send` does.

    If it would be `queued` first, as `enqueue` does.
    """
    (check_queueable if queued else check_sendable)(draft, policy)
    _check_opt_out_only(draft)
    return SendResult(
        200,
        {
            "dry_run": True,
            "action": draft.action.name,
            "to": draft.to,
            "from": draft.sender,
            "client_reference": draft.client_reference,
            "fields": draft.fields,
        },
    )


class _OwnFields:
    """The fields of a message that are not Skycore's; reading one removes it from the body."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields
        self.errors: list[FieldError] = []

    def reference(self) -> str | None:
        value = self._fields.pop("client_reference", None)
        if value is None:
            return None
        printable = isinstance(value, str) and value.isprintable()
        if printable and 0 < len(value) <= MAX_REFERENCE_LENGTH:
            return str(value)
        detail = f"must be a string of 1 to {MAX_REFERENCE_LENGTH} printable characters"
        self.errors.append(FieldError("client_reference", detail))
        return None

    def flag(self, name: str) -> bool:
        value = self._fields.pop(name, False)
        if not isinstance(value, bool):
            self.errors.append(FieldError(name, "must be true or false"))
        return value is True

    def ignores_quiet_hours(self) -> bool:
        value = self._fields.pop("quiet_hours", None)
        if value not in (None, "ignore"):
            self.errors.append(FieldError("quiet_hours", "must be ignore if it is given"))
        return isinstance(value, str) and value == "ignore"

    def timestamp(self, name: str) -> datetime | None:
        value = self._fields.pop(name, None)
        if value is None:
            return None
        try:
            return timestamps.from_text(value).astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            detail = "must be a time with its offset, such as 2026-11-22T10:41:15Z"
            self.errors.append(FieldError(name, detail))
            return None
