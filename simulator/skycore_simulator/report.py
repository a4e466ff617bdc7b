"""The file of getSendingStatus, with the faults that Skycore's own samples have.

It is not well-formed: ACK and DLR are not closed, a self-closed BATCH is closed again, ampersands
are not escaped, and children omit the attributes of their parent.
"""

import base64
from collections.abc import Callable
from datetime import datetime

from skycore_simulator.journal import Message
from skycore_simulator.notifications import EASTERN
from skycore_simulator.state import State

FIRST_HISTORY_ID = 455_000  # the permanent number of a send, unrelated to its tracking id
OWN = ("id", "to", "carrier", "delivery")  # of each message in a batch, not of the batch
_GATEWAY = {"delivered": 20, "expired": 30, "rejected": 35, "failed": 35, "notsupported": 35}
_LAST = {"delivered": "DLR", "expired": "EXPIRED", "rejected": "REJECTED"}


def build_report(messages: list[Message], state: State, form: str) -> str:
    """Return the report on these messages in a form of the settings."""
    attributes_of = _FORMS[form]
    campaigns: dict[str, list[Message]] = {}
    single: list[Message] = []
    for message in messages:
        if message.action == "sendSavedMMSCampaign":
            campaigns.setdefault(message.tracking_id, []).append(message)
        elif message.kind in ("sms", "mms"):
            single.append(message)
    batches = "".join(_batch(group, state, attributes_of) for group in campaigns.values())
    items = "".join(_item(message, attributes_of(message, state)) for message in single)
    return (
        "<?xml version='1.0'?>\n<RESPONSE>\n"
        f"<BATCHES>\n{batches}</BATCHES>\n"
        "<AUTORESPONDERS>\n</AUTORESPONDERS>\n<SUBSCRIPTIONS>\n</SUBSCRIPTIONS>\n"
        f"<SENDING_LIST>\n{items}</SENDING_LIST>\n</RESPONSE>\n"
    )


def _with_tracking_ids(message: Message, _state: State) -> dict[str, str]:
    found = {"trackingid": message.tracking_id, "from": message.sender, "to": message.to}
    return found | ({"body": message.text} if message.kind == "sms" else {"mmsid": message.mms_id})


def _documented(message: Message, state: State) -> dict[str, str]:
    """Return the attributes of Skycore's appendix C: `id` is a number of its own."""
    found = {
        "id": str(FIRST_HISTORY_ID + message.id),
        "to": message.to,
        "from": message.sender,
        "carrier": "Verizon Wireless",
    }
    if message.kind == "sms":
        return found | {"body": message.text}
    template = state.templates.get(message.mms_id)
    return found | {
        "delivery": "xhtml" if message.fallback else "binary",
        "contentid": message.mms_id,
        "contentname": template.name if template else "",
    }


_FORMS = {"tracking_ids": _with_tracking_ids, "documented": _documented}


def _batch(
    group: list[Message], state: State, attributes_of: Callable[[Message, State], dict[str, str]]
) -> str:
    first = group[0]
    shared, own = _split(attributes_of(first, state))
    if "id" in own:
        campaign = state.campaign(str(first.fields.get("TOCAMPAIGN", "")))
        shared["id"] = _scheduled_id(first.tracking_id)
        shared["campaignid"] = campaign.id if campaign else ""
        shared["campaignname"] = campaign.title if campaign else ""
    shared["scheduled_date"] = _local(first.time).removesuffix("Z") + "@server localtime"
    rows = (_content(message, _split(attributes_of(message, state))[1]) for message in group)
    return f"<BATCH{_written(shared)} />\n" + "".join(rows) + "</BATCH>\n"


def _split(attributes: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the attributes that the messages of a batch share, and those of each message."""
    own = {name: value for name, value in attributes.items() if name in OWN}
    return {name: value for name, value in attributes.items() if name not in own}, own


def _scheduled_id(tracking_id: str) -> str:
    return base64.b64decode(tracking_id).decode().removeprefix("MMS_")


def _item(message: Message, attributes: dict[str, str]) -> str:
    if message.kind == "sms":
        return f"<TEXT{_written(attributes)}>\n{_statuses(message)}</TEXT>\n"
    return _content(message, attributes)


def _content(message: Message, attributes: dict[str, str]) -> str:
    handset = "<MM7_HANDSETID>motol7c</MM7_HANDSETID>\n"
    return f"<CONTENT{_written(attributes)}>\n{_statuses(message)}{handset}</CONTENT>\n"


def _written(attributes: dict[str, str]) -> str:
    """Return attributes as text; ampersands are not escaped."""
    return "".join(
        f' {name}="{value.replace('"', "&quot;").replace("<", "&lt;")}"'
        for name, value in attributes.items()
    )


def _statuses(message: Message) -> str:
    when = _local(message.time)
    steps = [f'<INQUE time="{when}"/>', f'<INIT gw="0" time="{when}"/>']
    sent = any(code in ("N101", "N201", "N102", "N202") for code in message.codes)
    if sent:
        gateway = 10 if message.kind == "sms" or message.fallback else 9
        steps.append(f'<ACK gw="{gateway}" net="1000" time="{when}">')
    if message.status in _GATEWAY:
        name = _LAST.get(message.status, "ERROR")
        closing = ">" if name == "DLR" else "/>"
        gateway = _GATEWAY[message.status]
        steps.append(f'<{name} gw="{gateway}" net="1000" time="{when}"{closing}')
    return "<MSG_STATUS>\n" + "\n".join(steps) + "\n</MSG_STATUS>\n"


def _local(moment: str) -> str:
    """Return the time at Skycore's servers; it ends in Z although it is not UTC, as in samples."""
    here = datetime.fromisoformat(moment).astimezone(EASTERN)
    return here.strftime("%Y-%m-%dT%H:%M:%SZ")
