"""The actions that send to numbers: SMS, MMS, stored MMS, to a campaign, to a subscriber."""

from skycore_simulator import checks, magic, slides
from skycore_simulator.actions.content import store_template
from skycore_simulator.actions.passes import generate, read_pass_data
from skycore_simulator.replies import Element, RefusalError, failure, success
from skycore_simulator.request_parser import Call
from skycore_simulator.sending import Draft, campaign_tracking_id, send, subscriber_tracking_id
from skycore_simulator.simulator import Simulator


def send_sms(simulator: Simulator, call: Call) -> list[Element]:
    to = checks.recipient(call, simulator.state, simulator.settings)
    sender = checks.sender(call, simulator.settings)
    tracking_id = simulator.state.new_tracking_id("SMS")
    send(simulator, call, Draft("sms", to, sender, tracking_id, text=call.get("TEXT")))
    return success(("TRACKINGID", tracking_id), ("TO", to))


def send_mms(simulator: Simulator, call: Call) -> list[Element]:
    """sendMMS: E622 without both SUBJECT and FALLBACKSMSTEXT, else as saveMMS and a send."""
    echoed = checks.echo(call)
    to = checks.recipient(call, simulator.state, simulator.settings)
    sender = checks.sender(call, simulator.settings)
    slides.check(call.fields["SLIDE"], echoed)
    if len(call.get("SUBJECT")) > checks.MAX_SUBJECT_LENGTH:
        raise RefusalError("E229", echo=echoed)
    needs_text = not checks.is_yes(call.get("DISABLEFALLBACKSMS"))
    if needs_text and not (call.get("SUBJECT") or call.get("FALLBACKSMSTEXT")):
        raise RefusalError("E622", echo=echoed)
    template = store_template(simulator, call, quiet=True)
    tracking_id = simulator.state.new_tracking_id("MMS", plain=True)
    draft = Draft("mms", to, sender, tracking_id, template=template, encode=True)
    send(simulator, call, draft)
    return success(("TO", to), ("MMSID", template.id), ("TRACKINGID", tracking_id))


def send_saved_mms(simulator: Simulator, call: Call) -> list[Element]:
    template = checks.template(call, simulator.state)
    to = checks.recipient(call, simulator.state, simulator.settings)
    sender = checks.sender(call, simulator.settings)
    checks.overrides(call)
    simulator.state.profiles[to].update(call.fields.get("DATA", {}))
    tracking_id = simulator.state.new_tracking_id("MMS")
    send(simulator, call, Draft("mms", to, sender, tracking_id, template=template))
    return success(
        ("MMSID", template.id), ("TRACKINGID", tracking_id), ("TO", to), ("FROM", sender)
    )


def send_mms_barcode(simulator: Simulator, call: Call) -> list[Element]:
    """sendMMSBarcode: E633 unless the template holds a barcode."""
    echoed = checks.echo(call)
    if not checks.template(call, simulator.state).barcode:
        raise RefusalError("E633", echo=echoed)
    reply = dict(send_saved_mms(simulator, call))
    return [(name, reply[name]) for name in ("STATUS", "TO", "MMSID", "TRACKINGID")]


def send_pass_in_mms(simulator: Simulator, call: Call) -> list[Element]:
    """sendPassInMMS: E822 unless the template holds a pass; N801 comes as well."""
    echoed = checks.echo(call)
    pass_template = checks.template(call, simulator.state).pass_template
    if pass_template not in simulator.state.pass_templates:
        raise RefusalError("E822", echo=echoed)
    data = read_pass_data(simulator, call, pass_template)
    reply = send_saved_mms(simulator, call)
    generate(simulator, call, data, referenced_by=("Phone", call.get("TO")))
    return reply


def send_saved_mms_campaign(simulator: Simulator, call: Call) -> list[Element]:
    """sendSavedMMSCampaign: a SCHEDULEDID, then postbacks for every subscriber."""
    echoed = checks.echo(call)
    template = checks.template(call, simulator.state)
    campaign = checks.campaign(call.get("TOCAMPAIGN"), simulator.state, "E714", echoed)
    scheduled_id = simulator.state.new_id()
    tracking_id = campaign_tracking_id(scheduled_id)
    for number in list(campaign.subscribers):
        if number not in simulator.state.opted_out and not magic.error_in([number]):
            draft = Draft("mms", number, campaign.shortcode, tracking_id, template=template)
            draft.scheduled_id = scheduled_id
            send(simulator, call, draft)
    return success(("MMSID", template.id), ("SCHEDULEDID", scheduled_id))


def send_by_subscriber_ref(simulator: Simulator, call: Call) -> list[Element]:
    """sendMessageBySubscriberRef: one SUBSCRIBER group per number, each with its own STATUS."""
    echoed = checks.echo(call)
    reference = call.get("SUBSCRIBERREF")
    campaign = checks.campaign(call.get("CAMPAIGNREF"), simulator.state, "E714", echoed)
    if call.get("MMSID") and call.get("TEXT"):
        raise RefusalError("E100", echo=echoed)
    if not call.get("MMSID") and not call.get("TEXT"):
        raise RefusalError("E712", echo=echoed)
    template = checks.template(call, simulator.state) if call.get("MMSID") else None
    numbers = [n for n, own in campaign.subscribers.items() if own == reference]
    if not numbers:
        raise RefusalError("E715", echo=echoed)
    groups: list[Element] = []
    for number in numbers:
        code = "E114" if number in simulator.state.opted_out else magic.error_in([number])
        if code:
            group = [*failure(code), ("TO", number), ("FROM", campaign.shortcode)]
        else:
            tracking_id = subscriber_tracking_id()
            draft = Draft("mms" if template else "sms", number, campaign.shortcode, tracking_id)
            draft.text, draft.template = call.get("TEXT"), template
            send(simulator, call, draft)
            group = success(
                ("TRACKINGID", tracking_id), ("TO", number), ("FROM", campaign.shortcode)
            )
        groups.append(("SUBSCRIBER", group))
    return [("SUBSCRIBERREF", reference), ("CAMPAIGNREF", call.get("CAMPAIGNREF")), *groups]


HANDLERS = {
    "sendSMS": send_sms,
    "sendMMS": send_mms,
    "sendSavedMMS": send_saved_mms,
    "sendMMSBarcode": send_mms_barcode,
    "sendPassInMMS": send_pass_in_mms,
    "sendSavedMMSCampaign": send_saved_mms_campaign,
    "sendMessageBySubscriberRef": send_by_subscriber_ref,
}
