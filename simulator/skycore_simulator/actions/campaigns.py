"""Campaigns for numbers, their subscribers, and the inbox of inbound MMS."""

from skycore_simulator import checks
from skycore_simulator.notifications import Notification
from skycore_simulator.replies import Element, RefusalError, success
from skycore_simulator.request_parser import Call
from skycore_simulator.simulator import Simulator
from skycore_simulator.state import Campaign


def subscription(
    campaign: Campaign, code: str, mobile: str, source: str, named: str = "CAMPAIGNID"
) -> Notification:
    """N301 or N302; SOURCE is MANAGER, API, MO or WEB; named as in the request that caused it."""
    facts = {
        "MOBILE": mobile,
        named: campaign.id if named == "CAMPAIGNID" else campaign.ref,
        "SHORTCODE": campaign.shortcode,
        "CAMPAIGNTITLE": campaign.title,
        "BRANDNAME": campaign.brand,
        "SOURCE": source,
    }
    return Notification("subscription", code, facts)


def _campaign_of(simulator: Simulator, call: Call) -> tuple[Campaign, str, Element]:
    echoed = checks.echo(call)
    campaign = checks.campaign(call.get("CAMPAIGNID"), simulator.state, "E903", echoed)
    name = "CAMPAIGNREF" if "CAMPAIGNREF" in call.received else "CAMPAIGNID"
    return campaign, call.get("MOBILE"), (name, call.get("CAMPAIGNID"))


def subscribe(simulator: Simulator, call: Call) -> list[Element]:
    """subscribe: N301 each time; it also takes the number off the opt-out list."""
    campaign, mobile, named = _campaign_of(simulator, call)
    if not checks.is_number(mobile):
        raise RefusalError("E904", echo=checks.echo(call))
    campaign.subscribers[mobile] = call.get("SUBSCRIBERREF")
    simulator.state.opted_out.discard(mobile)
    simulator.state.profiles[mobile].update(call.fields.get("DATA", {}))
    simulator.notify(subscription(campaign, "N301", mobile, "API", named[0]))
    reference: list[Element] = []
    if call.get("SUBSCRIBERREF"):
        reference = [("SUBSCRIBERREF", call.get("SUBSCRIBERREF"))]
    return success(named, *reference, ("MOBILE", mobile))


def unsubscribe(simulator: Simulator, call: Call) -> list[Element]:
    """unsubscribe: N302 with SOURCE API when the number was in the campaign."""
    campaign, mobile, named = _campaign_of(simulator, call)
    if not checks.is_number(mobile):
        raise RefusalError("E905", echo=checks.echo(call))
    if mobile in campaign.subscribers:
        del campaign.subscribers[mobile]
        simulator.notify(subscription(campaign, "N302", mobile, "API", named[0]))
    return success(named, ("MOBILE", mobile))


def get_mms_campaigns(simulator: Simulator, _call: Call) -> list[Element]:
    """getMmsCampaigns: E405 when there are none."""
    if not simulator.state.campaigns:
        raise RefusalError("E405")
    groups: list[Element] = [
        ("CAMPAIGN", [("ID", campaign.id), ("NAME", campaign.title)])
        for campaign in simulator.state.campaigns.values()
    ]
    return success(("MMSCAMPAIGNS", groups))


def create_mms_campaign(simulator: Simulator, call: Call) -> list[Element]:
    number = simulator.state.new_id()
    name, brand = call.get("CAMPAIGNNAME"), call.get("BRANDNAME")
    simulator.state.campaigns[number] = Campaign(number, f"ref-{number}", name, brand, "60856")
    return success(("CAMPAIGNID", number), ("CAMPAIGNNAME", name), ("BRANDNAME", brand))


def remove_inbox_message(simulator: Simulator, call: Call) -> list[Element]:
    """removeMMSInboxMessage: E641 unknown, E642 when its files are gone already."""
    number = call.get("MMSINBOXID")
    files = simulator.state.inbox.get(number)
    if files is None:
        raise RefusalError("E641")
    if not files:
        raise RefusalError("E642")
    for name in files:
        simulator.state.media.pop(f"{number}/{name}", None)
    files.clear()
    return success(("MMSINBOXID", number))


HANDLERS = {
    "subscribe": subscribe,
    "unsubscribe": unsubscribe,
    "getMmsCampaigns": get_mms_campaigns,
    "createMMSCampaign": create_mms_campaign,
    "removeMMSInboxMessage": remove_inbox_message,
}
