"""Every row of the catalogue of actions."""

import re

import pytest

from skycore.catalogue.actions import Action, all_actions, find_action, find_error, general_errors

KINDS = {
    *("text", "line", "value", "sms_text", "alphanumeric", "letters_digits_spaces", "url"),
    *("email", "email_or_all", "uuid", "latitude", "longitude", "beacon_number", "carrier_id"),
    *("msisdn", "sender", "sender_mask", "integer", "yes_no", "true_only", "datetime"),
    *("datetime_iso", "slides", "custom_text", "pass_data", "data"),
}
EVERY = pytest.mark.parametrize("action", all_actions(), ids=lambda action: action.name)


def test_there_are_34_actions_with_names_of_their_own() -> None:
    assert len(all_actions()) == 34
    assert len({action.name.lower() for action in all_actions()}) == 34


@EVERY
def test_found_by_any_spelling(action: Action) -> None:
    for name in (action.name, *action.aliases):
        for spelling in (name, name.lower(), name.upper(), f"  {name.swapcase()}\n"):
            assert find_action(spelling) is action


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("removeMMSInboxContent", "removeMMSInboxMessage"),
        ("getSendingStatistics", "getSendingStatus"),
    ],
)
def test_older_names(alias: str, name: str) -> None:
    action = find_action(alias)
    assert action is not None
    assert action.name == name


@pytest.mark.parametrize("name", ["", " ", "send", "sendSMS2", "send SMS"])
def test_unknown_names(name: str) -> None:
    assert find_action(name) is None


@EVERY
def test_row_is_complete(action: Action) -> None:
    assert action.effect in ("send", "read", "write", "create", "delete")
    assert action.repeat_safe in ("yes", "no", "conditional", "limited")
    assert action.purpose
    assert action.reply
    assert all(re.fullmatch("[a-z_]+", name) for name in action.reply)
    assert all(re.fullmatch("[NE][0-9]{3}", code) for code in action.postbacks)
    for code in (*action.errors, *action.warnings, *general_errors()):
        assert find_error(code) is not None


@EVERY
def test_parameters_are_complete(action: Action) -> None:
    names = [name for p in action.parameters for name in (p.name, *p.aliases)]
    assert len(names) == len(set(names))
    for parameter in action.parameters:
        assert parameter.kind in KINDS
        assert parameter.description
        assert re.fullmatch("[A-Z_]+", parameter.xml)
        assert bool(parameter.children) == (
            parameter.kind in ("slides", "custom_text", "pass_data")
        )
        for child in parameter.children:
            assert child.kind in KINDS
            assert re.fullmatch("[a-z_]+[0-9]*", child.name)
        for name in parameter.required_unless:
            assert action.parameter(name) is not None
    assert all(action.parameter(name) is not None for name in action.one_of)


@EVERY
def test_get_form_names_every_plain_parameter(action: Action) -> None:
    for parameter in action.parameters:
        if parameter.kind == "slides":
            assert not action.get_form
        elif action.get_form and not parameter.children:
            assert parameter.get


def test_get_names_that_differ() -> None:
    campaign = find_action("sendSavedMMSCampaign")
    generate = find_action("generatePass")
    assert campaign is not None
    assert generate is not None
    to_campaign = campaign.parameter("to_campaign")
    pass_data = generate.parameter("pass_data")
    assert to_campaign is not None
    assert pass_data is not None
    assert (to_campaign.xml, to_campaign.get) == ("TOCAMPAIGN", "campaignid")
    keys = {child.xml: child.get for child in pass_data.children}
    assert keys["BARCODEVALUE"] == "pd_barcodevalue"
    assert keys["IBEACONUUID10"] == "pd_ibeaconuuid10"


def test_sends_are_the_ones_that_bill() -> None:
    assert {action.name for action in all_actions() if action.effect == "send"} == {
        *("sendSMS", "sendMMS", "sendSavedMMS", "sendSavedMMSCampaign", "sendMMSBarcode"),
        *("sendMessageBySubscriberRef", "sendSavedEmail", "sendPassInEmail", "sendPassInMMS"),
    }
