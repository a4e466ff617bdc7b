"""Check a message before it is sent: its fields, its country, and opt-outs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from skycore import timestamps
from skycore.catalogue.actions import Action, find_action
from skycore.client.errors import FieldError, InvalidRequest
from skycore.client.validation import prepare
from skycore.problems import Problem, validation_problem
from skycore.sending.idempotency import SendResult
from skycore.table import opt_outs

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_REFERENCE_LENGTH = 255  # characters of client_reference


@dataclass(frozen=True, slots=True)
class SendPolicy:
    """What the stack's parameters say of any message.

    `region` is DefaultRegion, `countries` the calling codes that may be sent to (empty: all),
    `days` how long its row is kept.
    """

    region: str
    countries: tuple[str, ...]
    days: int

    @staticmethod
    def of(region: str, countries: str, days: int) -> SendPolicy:
        """From the environment's texts; `countries` is separated by commas."""
        codes = (code.strip().removeprefix("+") for code in countries.split(","))
        return SendPolicy(region, tuple(code for code in codes if code), days)


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that may be sent as it is. `fields` are in the form that Skycore takes."""

    action: Action
    fields: dict[str, Any]
    client_reference: str | None = None
    expires_at: datetime | None = None
    dry_run: bool = False
    opt_out_confirmation: bool = False

    @property
    def to(self) -> str | None:
        """The one recipient's number, in digits; None where there is none or are several."""
        return self.fields.get("to")

    @property
    def sender(self) -> str | None:
        """The sender: a shortcode or a number in digits."""
        return self.fields.get("from")


def parse_message(body: Mapping[str, Any], policy: SendPolicy) -> Draft:
    """The draft of a POST /messages body.

    Raises Problem: unknown_action, or invalid_request that names every bad field.
    """
    fields = dict(body)
    action = _action(fields.pop("action", "sendSMS"))
    if action.effect != "send":
        detail = f"{action.name} sends nothing; POST it to /actions/{action.name}"
        raise validation_problem([FieldError("action", detail)])
    ours = _OwnFields(fields)
    reference = ours.reference()
    expires_at = ours.moment("expires_at")
    dry_run, confirmation = ours.flag("dry_run"), ours.flag("opt_out_confirmation")
    try:
        prepared = prepare(action, fields, default_region=policy.region)
    except InvalidRequest as error:
        raise validation_problem([*ours.errors, *error.errors]) from None
    if ours.errors:
        raise validation_problem(ours.errors)
    return Draft(action, prepared, reference, expires_at, dry_run, confirmation)


def check_sendable(draft: Draft, policy: SendPolicy) -> None:
    """What must hold of a message that is new, and need not of one that was sent already.

    Raises Problem: invalid_request for an `expires_at` that is past, or country_not_allowed.
    """
    if draft.expires_at is not None and draft.expires_at <= timestamps.now():
        raise validation_problem(
            [FieldError("expires_at", "is in the past; the message would not be sent")]
        )
    _check_country(draft, policy)


def get_action(name: str) -> Action:
    """The action of this name. Raises Problem unknown_action."""
    action = find_action(name)
    if action is None:
        raise Problem("unknown_action", "Skycore has no action of this name")
    return action


def _action(name: object) -> Action:
    if not isinstance(name, str):
        raise validation_problem([FieldError("action", "the name of a Skycore action, as text")])
    return get_action(name)


def _check_country(draft: Draft, policy: SendPolicy) -> None:
    """No calling code is the beginning of another, so the digits' beginning tells."""
    if draft.to and policy.countries and not draft.to.startswith(policy.countries):
        detail = (
            f"only numbers of these calling codes may be sent to: {', '.join(policy.countries)}"
        )
        raise Problem("country_not_allowed", detail)


def check_opt_out(draft: Draft) -> datetime | None:
    """Raises Problem recipient_opted_out for a number that wants nothing from this sender.

    The one message after a stop that says `opt_out_confirmation` may go: then the moment is
    returned at which that was taken, for `give_back` if nothing is sent after all.
    """
    if draft.to is None or not opt_outs.opted_out([(draft.to, draft.sender)]):
        return None
    taken = None
    if draft.opt_out_confirmation:
        taken = opt_outs.claim_confirmation(draft.to, draft.sender, timestamps.now())
    if taken is None:
        raise opted_out_problem()
    return taken


def _check_opt_out_only(draft: Draft) -> None:
    """Raises what `check_opt_out` would, and takes nothing."""
    if draft.to is None or not opt_outs.opted_out([(draft.to, draft.sender)]):
        return
    if not (draft.opt_out_confirmation and opt_outs.can_confirm(draft.to, draft.sender)):
        raise opted_out_problem()


def release_confirmation(draft: Draft, taken: datetime | None) -> None:
    """Lets another message confirm the opt-out, because this one provably was not sent."""
    if draft.to is not None and taken is not None:
        opt_outs.release_confirmation(draft.to, draft.sender, taken)


def opted_out_problem() -> Problem:
    """The problem of a recipient who wants nothing from this sender."""
    detail = "the recipient has opted out of messages from this sender"
    return Problem("recipient_opted_out", detail)


def dry_run(draft: Draft, policy: SendPolicy) -> SendResult:
    """Everything but the call: what would be sent. Raises Problem as a send does."""
    check_sendable(draft, policy)
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
    """The fields of a message that are not Skycore's, taken out of the body one by one."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields
        self.errors: list[FieldError] = []

    def reference(self) -> str | None:
        value = self._fields.pop("client_reference", None)
        if value is None:
            return None
        if (
            isinstance(value, str)
            and 0 < len(value) <= MAX_REFERENCE_LENGTH
            and value.isprintable()
        ):
            return value
        detail = f"text of 1 to {MAX_REFERENCE_LENGTH} printable characters"
        self.errors.append(FieldError("client_reference", detail))
        return None

    def flag(self, name: str) -> bool:
        value = self._fields.pop(name, False)
        if not isinstance(value, bool):
            self.errors.append(FieldError(name, "true or false"))
        return value is True

    def moment(self, name: str) -> datetime | None:
        value = self._fields.pop(name, None)
        if value is None:
            return None
        try:
            return timestamps.from_text(value).astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            detail = "a time with an offset, such as 2026-11-22T10:41:15Z"
            self.errors.append(FieldError(name, detail))
            return None
