"""Messages from handsets: replies by SMS or MMS, STOP and START."""

from skycore_simulator.actions.campaigns import subscription
from skycore_simulator.journal import Message, now
from skycore_simulator.notifications import Notification
from skycore_simulator.sending import SPID
from skycore_simulator.simulator import Simulator
from skycore_simulator.state import random_text

STOP_WORDS = {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"}
START_WORDS = {"START", "UNSTOP", "YES"}
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63"
    "6860f8cf0000030101001889d3d40000000049454e44ae426082"
)


def receive_sms(simulator: Simulator, sender: str, to: str, text: str) -> Message:
    """Receive an SMS: N211. A message STOP opts the number out (N302), START in again (N301)."""
    number = "-".join(random_text(length).upper() for length in (5, 5, 6, 5))
    facts = {"FROM": sender, "TO": to, "TEXT": text, "TRANSACTIONID": number}
    message = _record(simulator, "sms", number, sender=sender, to=to, text=text)
    notifications = [Notification("sms_mo", "N211", facts, message)]
    word = text.strip().upper()
    state = simulator.state
    if word in STOP_WORDS:
        joined = [c for c in state.campaigns.values() if sender in c.subscribers]
        for campaign in joined or list(state.campaigns.values())[:1]:
            campaign.subscribers.pop(sender, None)
            notifications.append(subscription(campaign, "N302", sender, "MO"))
        state.opted_out.add(sender)
    elif word in START_WORDS and sender in state.opted_out:
        state.opted_out.discard(sender)
        for campaign in list(state.campaigns.values())[:1]:
            campaign.subscribers[sender] = ""
            notifications.append(subscription(campaign, "N301", sender, "MO"))
    simulator.notify(*notifications)
    return message


def receive_mms(
    simulator: Simulator,
    sender: str,
    to: str,
    *,
    files: list[str],
    text: str = "",
    subject: str = "",
    keyword: str = "",
) -> Message:
    """Receive an MMS: N401 with the URLs of its files.

    A URL in `files` stays as it is; the simulator serves a file for a bare name, where its API is.
    """
    number = f"MMS_MO_{random_text(8)}"
    names = [name for name in files if "://" not in name] + (["text.txt"] if text else [])
    for name in names:
        plain = name.endswith((".txt", ".smil"))
        served = ("text/plain; charset=utf-8", text.encode()) if plain else ("image/png", PIXEL)
        simulator.state.media[f"{number}/{name}"] = served
    addresses = [name for name in files if "://" in name]
    addresses += [f"{simulator.api_url}media/{number}/{name}" for name in names]
    simulator.state.inbox[number] = names or ["file"]
    message = _record(simulator, "mms", number, sender=sender, to=to, text=text)
    message.files, message.subject = addresses, subject
    facts = {
        "FROM": sender,
        "TO": to,
        "KEYWORD": keyword,
        "SUBJECT": subject or None,
        "TRACKINGID": number,
        "SPID": SPID,
        "CONTENT": addresses,
    }
    simulator.notify(Notification("mms_mo", "N401", facts, message))
    return message


def _record(
    simulator: Simulator, kind: str, number: str, *, sender: str, to: str, text: str
) -> Message:
    message = Message(
        simulator.journal.next_id(), now(), "in", kind, "", number, to, sender, text,
        status="received",
    )  # fmt: skip
    simulator.journal.messages.append(message)
    simulator.journal.changed(message)
    return message
