"""Every action: a valid request succeeds in each form of request, an incomplete one does not."""

import hashlib
import re
from typing import Any

import pytest

from simulator_harness import Receiver, Skycore, request_xml
from skycore_simulator.simulator import handlers
from skycore_simulator.tables import action_named, table

TO, FROM = "17743199144", "60856"
SLIDES = [
    {"IMAGE": {"URL": "https://example.com/a.jpg"}, "TEXT": "One", "DURATION": "5"},
    {"TEXT": "Two & <three>"},
]
MMS = {"NAME": "n", "SUBJECT": "s", "SLIDE": SLIDES}
EMAIL = {"EMAIL": "someone@example.com", "EMAILTEMPLATEID": "801", "CAMPAIGNID": "701"}
PASS_EMAIL = {**EMAIL, "EMAILTEMPLATEID": "802", "PASSDATA": {"BARCODEVALUE": "4711"}}
STORED = "a3f5c8e1b7d94026a1c35f7e9b0d2468ace13579"
SAVED = {"MMSID": "1001", "TO": TO, "FROM": FROM}
DATA = {"FIRST_NAME": "Ann"}
VALID: dict[str, dict[str, Any]] = {
    "sendSMS": {"TO": TO, "FROM": FROM, "TEXT": "Hello", "FROM_MASK": "Example"},
    "sendMMS": {"TO": TO, "FROM": FROM, **MMS},
    "sendSavedMMS": {**SAVED, "CUSTOMTEXT": [{"VALUE": "Hi", "SLIDE": "1"}], "DATA": DATA},
    "sendSavedMMSCampaign": {"MMSID": "1001", "TOCAMPAIGN": "501"},
    "sendMMSBarcode": {**SAVED, "MMSID": "1003", "BARCODEID": "B47"},
    "sendMessageBySubscriberRef": {
        "SUBSCRIBERREF": "household-1",
        "CAMPAIGNREF": "club",
        "TEXT": "Hello",
    },
    "saveMMS": MMS,
    "getMmsIds": {},
    "getMMSTemplates": {"PAGE_NUMBER": "1", "ITEMS_PER_PAGE": "2"},
    "deleteMMSID": {"MMSID": "1001"},
    "getMmsCampaigns": {},
    "createMMSCampaign": {"CAMPAIGNNAME": "Spring", "BRANDNAME": "Example"},
    "subscribe": {"CAMPAIGNID": "501", "MOBILE": TO, "DATA": DATA, "SUBSCRIBERREF": "r-1"},
    "unsubscribe": {"CAMPAIGNID": "501", "MOBILE": TO},
    "removeMMSInboxMessage": {"MMSINBOXID": "MMS_MO_aB3xY9Qz"},
    "getSendingStatus": {"START_DATE": "2026-01-01 00:00:00", "END_DATE": "2026-01-02 00:00:00"},
    "getEmailIds": {},
    "getEmailCampaigns": {},
    "createEmailCampaign": {
        "CAMPAIGNNAME": "N",
        "BRANDNAME": "B",
        "MAILINGADDRESS": "1 St\nBoston",
    },
    "sendSavedEmail": {**EMAIL, "DATA": DATA},
    "subscribeEmail": {"CAMPAIGNID": "701", "EMAIL": "new@example.com"},
    "unsubscribeEmail": {"CAMPAIGNID": "701", "EMAIL": "ALL"},
    "getPassTemplate": {"PASSTEMPLATEID": "7001"},
    "getPassTemplateIds": {},
    "addPassData": {"PASSTEMPLATEID": "7001", "PASSDATA": {"HEADERLABEL1": "Until"}},
    "updatePass": {"PASSDATAID": STORED, "PASSDATA": {"HEADERVALUE1": "2031"}},
    "deletePassData": {"PASSDATAID": STORED},
    "sendPassInEmail": PASS_EMAIL,
    "sendPassInMMS": {**SAVED, "MMSID": "1002", "PASSDATA": {"BARCODEVALUE": "4711"}},
    "generatePassById": {"PASSDATAID": STORED},
    "generatePass": {
        "PASSTEMPLATEID": "7003",
        "PASSDATA": {"BARCODEVALUE": "1", "CUSTOMID": "a 1"},
    },
    "getPassEmailTemplate": PASS_EMAIL,
    "createUser": {"NEWUSER": "sub", "NEWPASS": "secret"},
    "loginUser": {},
}
ELEMENTS = {
    "sendSMS": {"TRACKINGID", "TO"},
    "sendMMS": {"TO", "MMSID", "TRACKINGID"},
    "sendSavedMMSCampaign": {"MMSID", "SCHEDULEDID"},
    "getMMSTemplates": {"PAGE_NUMBER", "ITEMS_PER_PAGE", "TOTAL_RESULTS", "MMS_TEMPLATE"},
    "getSendingStatus": {"URL"},
    "generatePass": {"PASSDATAID", "SERIALNUMBER", "CUSTOMPASSID", "PASSLINK", "DOWNLOADURL"},
    "createUser": {"USERNAME", "PASSWORD", "API_KEY"},
}


def test_the_examples_are_all_actions_and_all_have_a_handler() -> None:
    assert set(VALID) == set(table("actions")) == set(handlers())
    assert len(VALID) == 34


@pytest.mark.parametrize(
    "action, transport",
    [
        (action, transport)
        for action, fields in VALID.items()
        for transport in ("form", "raw", "multipart", "get", "keys")
        if "SLIDE" not in fields or transport in ("form", "raw", "multipart")
    ],
)
def test_a_valid_request_succeeds(skycore: Skycore, action: str, transport: str) -> None:
    reply = skycore.call(action, transport, **VALID[action])
    if action == "sendMessageBySubscriberRef":
        assert [group["STATUS"] for group in reply["SUBSCRIBER"]] == ["Success", "Success"]
    elif action == "getPassEmailTemplate":
        assert reply["EMAILHTML"].startswith("<!DOCTYPE html>")
    else:
        assert reply["STATUS"] == "Success", reply
    assert ELEMENTS.get(action, set()) <= set(reply)
    entry = skycore.control("GET", "requests")["requests"][-1]
    assert entry["action"] == action
    assert entry["unknown_fields"] == []
    assert entry["transport"] == transport
    expected = {k: v for k, v in VALID[action].items() if k not in ("SLIDE", "NEWPASS")}
    assert {k: v for k, v in entry["fields"].items() if k in expected} == expected


@pytest.mark.parametrize(
    "action, field", [(a, f) for a, facts in table("actions").items() for f in facts["missing"]]
)
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_a_missing_field_has_its_code(skycore: Skycore, action: str, field: str, how: str) -> None:
    fields = {k: v for k, v in VALID[action].items() if k != field}
    if how == "empty" and field not in ("SLIDE", "PASSDATA"):
        fields[field] = ""
    reply = skycore.call(action, **fields)
    assert reply["STATUS"] == "Failure"
    assert reply["ERRORCODE"] == table("actions")[action]["missing"][field]
    assert reply["ERRORINFO"] == table("errors")[reply["ERRORCODE"]]


@pytest.mark.parametrize(
    "spelling", [" sendsavedMMS ", "getmmsids", "loginUSer", "getSendingStatistics", "SENDSMS"]
)
def test_actions_have_any_letter_case_and_older_names(spelling: str) -> None:
    assert action_named(spelling) in VALID


@pytest.mark.parametrize(
    "action, code",
    [
        ("getMmsIds", "E200"),
        ("getEmailIds", "E400"),
        ("getEmailCampaigns", "E404"),
        ("getMmsCampaigns", "E405"),
        ("getPassTemplateIds", "E800"),
    ],
)
def test_empty_lists_are_errors(skycore: Skycore, action: str, code: str) -> None:
    skycore.control("POST", "reset", {"empty": True})
    assert skycore.call(action)["ERRORCODE"] == code


def test_a_new_user_can_sign_in_with_key_or_password(skycore: Skycore) -> None:
    made = skycore.call("createUser", NEWUSER="sub", NEWPASS="secret")
    digest = hashlib.md5(b"secret").hexdigest()
    assert made["PASSWORD"] == digest
    assert "Success" in skycore.post(request_xml("loginUser", key=made["API_KEY"])).text
    old = f"<REQUEST><ACTION>loginUser</ACTION><USER>sub</USER><PASS>{digest}</PASS></REQUEST>"
    assert "Success" in skycore.post(old).text
    assert skycore.call("createUser", NEWUSER="sub", NEWPASS="x")["ERRORCODE"] == "E151"


def test_part_of_the_subscribers_can_fail(skycore: Skycore) -> None:
    fields = {"SUBSCRIBERREF": "household-2", "CAMPAIGNREF": "club", "MMSID": "1001"}
    reply = skycore.call("sendMessageBySubscriberRef", **fields)
    assert "STATUS" not in reply
    good, bad = reply["SUBSCRIBER"]
    assert good["STATUS"] == "Success"
    assert good["TRACKINGID"]
    assert (bad["STATUS"], bad["ERRORCODE"]) == ("Failure", "E114")


def test_a_template_with_video_is_locked_until_it_is_encoded(
    skycore: Skycore, receiver: Receiver
) -> None:
    skycore.set(encode_seconds=0.1)
    slide = {"VIDEO": {"URL": "https://example.com/a.mp4"}}
    made = skycore.call("saveMMS", NAME="n", SUBJECT="s", SLIDE=slide)
    send = {"MMSID": made["MMSID"], "TO": TO, "FROM": FROM}
    assert skycore.call("sendSavedMMS", **send)["ERRORCODE"] == "E626"
    skycore.settle()
    assert receiver.codes() == ["N003"]
    assert skycore.call("sendSavedMMS", **send)["STATUS"] == "Success"


@pytest.mark.parametrize("code, element", [("E002", "AUDIONAME"), ("E003", "VIDEONAME")])
def test_a_template_can_be_ruined(
    skycore: Skycore, receiver: Receiver, code: str, element: str
) -> None:
    kind = element.removesuffix("NAME")
    url = f"https://example.com/{'a.mp3' if kind == 'AUDIO' else 'a.mp4'}"
    skycore.set(encode_seconds=0)
    made = skycore.call(
        "saveMMS", NAME=f"skycore-outcome-{code}", SUBJECT="s", SLIDE={kind: {"URL": url}}
    )
    skycore.settle()
    assert receiver.fields(receiver.got[0][1])[element] == url
    send = {"MMSID": made["MMSID"], "TO": TO, "FROM": FROM}
    assert skycore.call("sendSavedMMS", **send)["ERRORCODE"] == "E241"


def test_the_report_is_a_file_that_is_not_quite_xml(skycore: Skycore, receiver: Receiver) -> None:
    skycore.call("sendSMS", TO=TO, FROM=FROM, TEXT="Fish & chips")
    skycore.call("sendSavedMMSCampaign", MMSID="1001", TOCAMPAIGN="501")
    skycore.settle()
    whole = {"START_DATE": "2026-01-01 00:00:00", "END_DATE": "2026-01-02 00:00:00"}
    link = skycore.call("getSendingStatus", **whole)["URL"]
    assert "<TEXT" not in skycore.session.get(link).text
    link = skycore.control("POST", "report", {})["url"]
    report = skycore.session.get(link).text
    assert 'body="Fish & chips"' in report
    assert "<DLR " in report
    assert "</DLR>" not in report
    assert "@server localtime" in report
    assert "</BATCH>" in report


@pytest.mark.parametrize("form", ["tracking_ids", "documented"])
def test_the_attributes_of_the_report(skycore: Skycore, form: str) -> None:
    skycore.set(report_form=form)
    sms = skycore.call("sendSMS", TO=TO, FROM=FROM, TEXT="Hello")
    skycore.call("sendSavedMMS", MMSID="1001", TO=TO, FROM=FROM)
    batch = skycore.call("sendSavedMMSCampaign", MMSID="1001", TOCAMPAIGN="501")
    skycore.settle()
    report = skycore.session.get(skycore.control("POST", "report", {})["url"]).text
    names = {
        tag: set(re.findall(r' (\w+)="', re.findall(rf"<{tag} [^>]*>", report)[-1]))
        for tag in ("TEXT", "CONTENT", "BATCH")
    }
    assert (sms["TRACKINGID"] in report) == (form == "tracking_ids")
    if form == "tracking_ids":
        assert names["TEXT"] == {"trackingid", "from", "to", "body"}
        assert names["CONTENT"] == {"trackingid", "from", "to", "mmsid"}
        assert names["BATCH"] == {"trackingid", "mmsid", "from", "scheduled_date"}
    else:
        assert names["TEXT"] == {"id", "to", "from", "carrier", "body"}
        assert names["CONTENT"] == names["TEXT"] - {"body"} | {
            *("delivery", "contentid", "contentname")
        }
        assert names["BATCH"] == {
            *("id", "from", "campaignid", "campaignname", "scheduled_date"),
            *("contentid", "contentname"),
        }
        assert f'id="{batch["SCHEDULEDID"]}"' in report
        ids = re.findall(r'<(?:TEXT|CONTENT) id="(\d+)"', report)
        assert len(set(ids)) == len(ids) == 5


@pytest.mark.parametrize(
    "start, end, code",
    [
        ("2026-01-01", "2026-01-02 00:00:00", "E507"),
        ("2026-02-30 00:00:00", "2026-03-02 00:00:00", "E508"),
        ("2026-03-02 00:00:00", "2026-03-01 00:00:00", "E508"),
        ("2026-01-01 00:00:00", "2026-03-01 00:00:00", "E509"),
    ],
)
def test_dates_of_the_report(skycore: Skycore, start: str, end: str, code: str) -> None:
    reply = skycore.call("getSendingStatus", START_DATE=start, END_DATE=end)
    assert reply["ERRORCODE"] == code


def test_reports_can_be_asked_for_too_soon(skycore: Skycore) -> None:
    skycore.set(report_spacing_seconds=60)
    whole = VALID["getSendingStatus"]
    assert skycore.call("getSendingStatus", **whole)["STATUS"] == "Success"
    assert skycore.call("getSendingStatus", **whole)["ERRORCODE"] == "E510"
