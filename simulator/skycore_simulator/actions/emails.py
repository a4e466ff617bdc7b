"""Email campaigns, subscriptions and stored emails. No postback reports what becomes of them."""

import re
from typing import Any

from skycore_simulator import checks
from skycore_simulator.actions.passes import generate, read_pass_data
from skycore_simulator.journal import Message, now
from skycore_simulator.notifications import Notification
from skycore_simulator.replies import Element, Raw, RefusalError, failure, success
from skycore_simulator.request_parser import Call
from skycore_simulator.simulator import Simulator
from skycore_simulator.state import EmailCampaign

SUSPECT = {"optedout": "E915", "bounced": "E916", "complained": "E917", "removed": "E918"}


def _stored(simulator: Simulator, call: Call) -> tuple[EmailCampaign, dict[str, Any]]:
    """Campaign and template of a send: E406, E402, E714, E403."""
    echoed = checks.echo(call)
    if not checks.is_email(call.get("EMAIL")):
        raise RefusalError("E406", echo=echoed)
    template = simulator.state.email_templates.get(call.get("EMAILTEMPLATEID"))
    if template is None:
        raise RefusalError("E402", echo=echoed)
    campaign = simulator.state.email_campaigns.get(call.get("CAMPAIGNID"))
    if campaign is None:
        raise RefusalError("E714", echo=echoed)
    given = call.fields.get("DATA", {})
    if any(not given.get(name) for name in template["needs"]):
        raise RefusalError("E403", echo=echoed)
    return campaign, template


def _reputation(simulator: Simulator, address: str) -> str | None:
    """The code for an address that should get no mail; see the local parts in SUSPECT."""
    if address in simulator.state.email_opted_out:
        return "E915"
    return SUSPECT.get(address.partition("@")[0].lower())


def _mail(simulator: Simulator, call: Call, campaign: EmailCampaign) -> list[Element]:
    address = call.get("EMAIL")
    code = _reputation(simulator, address)
    if code:
        raise RefusalError(code, echo=checks.echo(call))
    campaign.subscribers.add(address)
    tracking_id = f"EMAIL_{simulator.state.new_id()}"
    message = Message(
        simulator.journal.next_id(), now(), "out", "email", call.action or "", tracking_id,
        to=address, sender=campaign.brand, fields=call.fields,
    )  # fmt: skip
    simulator.journal.messages.append(message)
    simulator.journal.changed(message)
    return success(
        ("EMAILTEMPLATEID", call.get("EMAILTEMPLATEID")),
        ("TRACKINGID", tracking_id),
        ("EMAIL", address),
        ("CAMPAIGNID", campaign.id),
    )


def send_saved_email(simulator: Simulator, call: Call) -> list[Element]:
    """sendSavedEmail: opts the address in as well."""
    campaign, _ = _stored(simulator, call)
    return _mail(simulator, call, campaign)


def send_pass_in_email(simulator: Simulator, call: Call) -> list[Element]:
    """sendPassInEmail: E823 unless the template holds a pass."""
    campaign, template = _stored(simulator, call)
    data = read_pass_data(simulator, call, _pass_of(call, template))
    reply = _mail(simulator, call, campaign)
    generate(simulator, call, data, referenced_by=("Email", call.get("EMAIL")))
    return reply


def get_pass_email_template(simulator: Simulator, call: Call) -> list[Element]:
    """getPassEmailTemplate: raw HTML in EMAILHTML; a bad reputation is only a warning here."""
    campaign, template = _stored(simulator, call)
    data = read_pass_data(simulator, call, _pass_of(call, template))
    address = call.get("EMAIL")
    made = dict(generate(simulator, call, data, referenced_by=("Email", address)))
    code = _reputation(simulator, address)
    warning: list[Element] = []
    if code:
        info = failure(code)[2][1]
        warning = [("WARNINGCODE", code), ("WARNINGINFO", info)]
    campaign.subscribers.add(address)
    html = _merged(template["html"], call.fields.get("DATA", {}))
    html = html.replace("{link}", str(made["PASSLINK"]))
    page = (
        f"<!DOCTYPE html>\n<html><head><meta charset='utf-8'></head><body>{html}<br></body></html>"
    )
    return success(
        ("EMAILTEMPLATEID", call.get("EMAILTEMPLATEID")),
        ("EMAIL", address),
        ("CAMPAIGNID", campaign.id),
        *((name, made[name]) for name in ("PASSDATAID", "SERIALNUMBER", "CUSTOMPASSID")),
        *warning,
        ("EMAILSUBJECT", _merged(template["subject"], call.fields.get("DATA", {}))),
        ("EMAILHTML", Raw(page)),
    )


def _pass_of(call: Call, template: dict[str, Any]) -> str:
    if "pass_template" not in template:
        raise RefusalError("E823", echo=checks.echo(call))
    return str(template["pass_template"])


def _merged(text: str, data: dict[str, str]) -> str:
    """The text with its merge tags {$field|default} filled."""

    def value(match: re.Match[str]) -> str:
        return data.get(match[1].upper()) or match[2] or ""

    return re.sub(r"\{\$(\w+)(?:\|([^}]*))?\}", value, text)


def subscribe_email(simulator: Simulator, call: Call) -> list[Element]:
    """subscribeEmail: N303."""
    campaign, address = _subscription(simulator, call)
    if not checks.is_email(address):
        raise RefusalError("E913", echo=checks.echo(call))
    campaign.subscribers.add(address)
    simulator.state.email_opted_out.discard(address)
    facts = {"EMAIL": address, "CAMPAIGNID": campaign.id}
    simulator.notify(Notification("email_subscription", "N303", facts))
    return success(("CAMPAIGNID", campaign.id), ("EMAIL", address))


def unsubscribe_email(simulator: Simulator, call: Call) -> list[Element]:
    """unsubscribeEmail: N304 for each address; EMAIL=ALL empties the campaign."""
    campaign, address = _subscription(simulator, call)
    if address != "ALL" and not checks.is_email(address):
        raise RefusalError("E914", echo=checks.echo(call))
    leaving = sorted(campaign.subscribers) if address == "ALL" else [address]
    gone = [each for each in leaving if each in campaign.subscribers]
    campaign.subscribers.difference_update(gone)
    simulator.state.email_opted_out.update(leaving)
    simulator.notify(
        *(
            Notification("email_subscription", "N304", {"EMAIL": each, "CAMPAIGNID": campaign.id})
            for each in gone
        )
    )
    return success(("CAMPAIGNID", campaign.id), ("EMAIL", address))


def _subscription(simulator: Simulator, call: Call) -> tuple[EmailCampaign, str]:
    campaign = simulator.state.email_campaigns.get(call.get("CAMPAIGNID"))
    if campaign is None:
        raise RefusalError("E912", echo=checks.echo(call))
    return campaign, call.get("EMAIL")


def get_email_ids(simulator: Simulator, _call: Call) -> list[Element]:
    """getEmailIds: E400 when there are none."""
    if not simulator.state.email_templates:
        raise RefusalError("E400")
    return success(("EMAILIDS", ",".join(simulator.state.email_templates)))


def get_email_campaigns(simulator: Simulator, _call: Call) -> list[Element]:
    """getEmailCampaigns: E404 when there are none."""
    if not simulator.state.email_campaigns:
        raise RefusalError("E404")
    groups: list[Element] = [
        ("CAMPAIGN", [("ID", campaign.id), ("NAME", campaign.name)])
        for campaign in simulator.state.email_campaigns.values()
    ]
    return success(("EMAILCAMPAIGNS", groups))


def create_email_campaign(simulator: Simulator, call: Call) -> list[Element]:
    number = simulator.state.new_id()
    names = ("CAMPAIGNNAME", "BRANDNAME", "MAILINGADDRESS")
    name, brand, address = (call.get(each) for each in names)
    simulator.state.email_campaigns[number] = EmailCampaign(number, name, brand, address)
    return success(
        ("CAMPAIGNID", number),
        ("CAMPAIGNNAME", name),
        ("BRANDNAME", brand),
        ("MAILINGADDRESS", address),
    )


HANDLERS = {
    "sendSavedEmail": send_saved_email,
    "sendPassInEmail": send_pass_in_email,
    "getPassEmailTemplate": get_pass_email_template,
    "subscribeEmail": subscribe_email,
    "unsubscribeEmail": unsubscribe_email,
    "getEmailIds": get_email_ids,
    "getEmailCampaigns": get_email_campaigns,
    "createEmailCampaign": create_email_campaign,
}
