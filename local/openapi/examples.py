"""A valid request of every action, made from its parameters.

The ids are those of the account that the local simulator starts with, so each of them succeeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skycore.catalogue.actions import Action, Parameter

_BY_KIND: dict[str, Any] = {
    "alphanumeric": "B47",
    "beacon_number": "4711",
    "carrier_id": "0001890",
    "datetime": "2026-11-21 00:00:00",
    "datetime_iso": "2026-11-21T00:00:00Z",
    "email": "reader@example.com",
    "email_or_all": "reader@example.com",
    "integer": 1,
    "latitude": "42.36",
    "letters_digits_spaces": "member 4711",
    "line": "Example",
    "longitude": "-71.05",
    "msisdn": "+1 774-319-9144",
    "sender": "60856",
    "sender_mask": "Example",
    "sms_text": "Your parcel is here.",
    "text": "Here it is:\nyour parcel & its key.",
    "true_only": True,
    "url": "https://example.com/parcel",
    "uuid": "0f8fad5b-d9cb-469f-a165-70867728950e",
    "value": "2031-12-31",
    "yes_no": True,
}
_BY_NAME: dict[str, Any] = {
    "campaign_id": "501",
    "campaign_ref": "club",
    "data": {"first_name": "Ann"},
    "email_id": "802",
    "email_template_id": "801",
    "end_date": "2026-11-22 00:00:00",
    "mms_id": "1001",
    "mms_inbox_id": "MMS_MO_aB3xY9Qz",
    "pass_data_id": "a3f5c8e1b7d94026a1c35f7e9b0d2468ace13579",
    "pass_template_id": "7001",
    "slide": 1,
    "subscriber_ref": "household-1",
    "timezone": "EST",
    "to_campaign": "501",
}
_BY_ACTION: dict[str, dict[str, Any]] = {
    "createEmailCampaign": {"mailing_address": "1 Example Street\nBoston MA 02110"},
    "getPassEmailTemplate": {"email_template_id": "802"},
    "getPassTemplate": {"mms_id": "1002"},
    "sendMMSBarcode": {"mms_id": "1003"},
    "sendPassInEmail": {"email_template_id": "802"},
    "sendPassInMMS": {"mms_id": "1002"},
}
_WANTED = {"updatePass": ("pass_data",)}  # Skycore refuses an update of nothing: E824
_EMAIL_CAMPAIGN = "701"
_ENDINGS = {
    "image": ".jpg", "audio": ".mp3", "video": ".mp4", "vcard": ".vcf", "ical": ".ics",
    "pdf": ".pdf", "passbook": ".pkpass",
}  # fmt: skip
_SLIDES = (
    ("image", "audio", "text", "duration"), ("video", "text"), ("personalized_image",),
    ("vcard",), ("ical",), ("pdf",), ("passbook",), ("text",),
)  # fmt: skip


def minimal(action: Action, choice: str | None = None) -> dict[str, Any]:
    """The mandatory fields of a request, with `choice` of those of which exactly one is wanted."""
    wanted = (choice or next(iter(action.one_of), None), *_WANTED.get(action.name, ()))
    return {
        parameter.name: value(action, parameter)
        for parameter in action.parameters
        if parameter.required == "always" or parameter.required_unless or parameter.name in wanted
    }


def maximal(action: Action, choice: str | None = None) -> dict[str, Any]:
    """Every field that may stand in one request, groups with all that they can hold."""
    wanted = choice or next(iter(action.one_of), None)
    return {
        parameter.name: value(action, parameter, whole=True)
        for parameter in action.parameters
        if parameter.required != "one_of" or parameter.name == wanted
    }


def value(action: Action, parameter: Parameter, *, whole: bool = False) -> Any:
    """A value that the parameter takes; of a group all that it can hold, if `whole`."""
    own = _BY_ACTION.get(action.name, {})
    if parameter.name in own:
        return own[parameter.name]
    if parameter.name == "campaign_id" and any(p.name == "email" for p in action.parameters):
        return _EMAIL_CAMPAIGN
    if parameter.name in _BY_NAME:
        return _BY_NAME[parameter.name]
    children = {child.name: child for child in parameter.children}
    match parameter.kind:
        case "slides":
            shapes = _SLIDES if whole else (("image", "text"),)
            return [{n: _plain(children[n]) for n in shape} for shape in shapes]
        case "custom_text":
            return [{name: _plain(child) for name, child in children.items()}]
        case "pass_data":
            names = children if whole else ("barcode_value",)
            return {name: _plain(children[name]) for name in names}
    return _plain(parameter)


def _plain(parameter: Parameter) -> Any:
    if parameter.name in _BY_NAME:
        return _BY_NAME[parameter.name]
    example = _BY_KIND[parameter.kind]
    return example + _ENDINGS.get(parameter.name, "") if parameter.kind == "url" else example
