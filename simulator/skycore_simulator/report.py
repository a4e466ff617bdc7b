"""The file of getSendingStatus, with the faults that Skycore's own samples have.

It is not well-formed: ACK and DLR are not closed, a self-closed BATCH is closed again, ampersands
are not escaped, and children omit the attributes of their parent.
"""

from datetime import datetime

from skycore_simulator.journal import Message
from skycore_simulator.notifications import EASTERN

_GATEWAY = {"delivered": 20, "expired": 30, "rejected": 35, "failed": 35, "notsupported": 35}
_LAST = {"delivered": "DLR", "expired": "EXPIRED", "rejected": "REJECTED"}


def build_report(messages: list[Message]) -> str:
    """Return the report on these messages."""
    campaigns: dict[str, list[Message]] = {}
    single: list[Message] = []
    for message in messages:
        if message.action == "sendSavedMMSCampaign":
            campaigns.setdefault(message.tracking_id, []).append(message)
        elif message.kind in ("sms", "mms"):
            single.append(message)
    batches = "".join(_batch(group) for group in campaigns.values())
    items = "".join(_item(message) for message in single)
    return (
        "<?xml version='1.0'?>\n<RESPONSE>\n"
        f"<BATCHES>\n{batches}</BATCHES>\n"
        "<AUTORESPONDERS>\n</AUTORESPONDERS>\n<SUBSCRIPTIONS>\n</SUBSCRIPTIONS>\n"
        f"<SENDING_LIST>\n{items}</SENDING_LIST>\n</RESPONSE>\n"
    )


def _batch(group: list[Message]) -> str:
    first = group[0]
    when = _local(first.time).removesuffix("Z") + "@server localtime"
    head = (
        f'<BATCH trackingid="{first.tracking_id}" mmsid="{first.mms_id}" from="{first.sender}"'
        f' scheduled_date="{when}" />\n'
    )
    return head + "".join(_content(m, f'to="{m.to}"') for m in group) + "</BATCH>\n"


def _item(message: Message) -> str:
    ids = f'trackingid="{message.tracking_id}" from="{message.sender}" to="{message.to}"'
    if message.kind == "sms":
        body = message.text.replace('"', "&quot;").replace("<", "&lt;")  # the & stays bare
        return f'<TEXT {ids} body="{body}">\n{_statuses(message)}</TEXT>\n'
    return _content(message, f'{ids} mmsid="{message.mms_id}"')


def _content(message: Message, attributes: str) -> str:
    handset = "<MM7_HANDSETID>motol7c</MM7_HANDSETID>\n"
    return f"<CONTENT {attributes}>\n{_statuses(message)}{handset}</CONTENT>\n"


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
