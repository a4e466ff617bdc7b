"""Every error code on demand, and the rules that give a code without being asked."""

from typing import Any

import pytest

from simulator_harness import KEY, Skycore, request_xml
from skycore_simulator import pass_data
from skycore_simulator.replies import RefusalError
from skycore_simulator.tables import table

TO, FROM = "17743199144", "60856"
SMS = {"TO": TO, "FROM": FROM, "TEXT": "Hello"}
CODES = list(table("errors"))


def test_all_codes_are_there() -> None:
    assert len(CODES) == 266


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_magic_number_and_value(skycore: Skycore, code: str) -> None:
    by_number = skycore.call("sendSMS", **{**SMS, "TO": f"19990000{code[1:]}"})
    by_value = skycore.call("sendSMS", "get", **{**SMS, "TEXT": f"skycore-error-{code}"})
    for reply in (by_number, by_value):
        assert (reply["STATUS"], reply["ERRORCODE"]) == ("Failure", code)
        assert reply["ERRORINFO"]
    assert skycore.control("GET", "messages")["total"] == 0


@pytest.mark.parametrize("action", table("actions"))
@pytest.mark.parametrize("transport", ["form", "get"])
def test_every_action_fails_on_demand(skycore: Skycore, action: str, transport: str) -> None:
    if transport == "form":
        answer = skycore.post(request_xml(action, key="skycore-error-E109"))
    else:
        pairs = {"action": action.lower(), "api_key": "skycore-error-E109"}
        answer = skycore.session.get(skycore.url, params=pairs)
    assert "<ERRORCODE>E109</ERRORCODE>" in answer.text
    skycore.set(next_errors=["E503", "E105"], error_for_action={action.lower(): "E107"})
    found = [skycore.call(action, transport)["ERRORCODE"] for _ in range(3)]
    assert found == ["E503", "E105", "E107"]
    skycore.set(error_for_action={"*": "E112"})
    assert skycore.call(action)["ERRORCODE"] == "E112"


def test_a_number_can_be_refused_once(skycore: Skycore) -> None:
    found = [skycore.call("sendSMS", **{**SMS, "TO": "19980000106"}) for _ in range(3)]
    assert [reply["STATUS"] for reply in found] == ["Failure", "Success", "Success"]
    assert found[0]["ERRORCODE"] == "E106"


@pytest.mark.parametrize(
    "number, good",
    [
        ("17743199144", True),
        ("447700900123", True),
        ("2901234", True),
        ("390612345678", True),
        ("+17743199144", False),
        ("0017743199144", False),
        ("7 743199144", False),
        ("1 774 319 9144", False),
        ("1-774-319-9144", False),
        ("177431991", False),
        ("177431991445", False),
        ("11743199144", False),
        ("123456", False),
        ("1234567890123456", False),
        ("٤٤٧٧٠٠٩٠٠١٢٣", False),
        ("60856", False),
        ("17743199144,17743199145", False),
        (" 17743199144", False),
    ],
)
def test_recipients(skycore: Skycore, number: str, good: bool) -> None:
    reply = skycore.call("sendSMS", **{**SMS, "TO": number})
    assert reply.get("ERRORCODE") == (None if good else "E110")
    assert reply["TO"] == number


@pytest.mark.parametrize(
    "number, good",
    [
        ("60856", True),
        ("123", True),
        ("17743199144", True),
        ("12", False),
        ("+60856", False),
        ("Example", False),
        ("608 56", False),
        ("123456789", False),
    ],
)
def test_senders(skycore: Skycore, number: str, good: bool) -> None:
    reply = skycore.call("sendSMS", **{**SMS, "FROM": number})
    assert reply.get("ERRORCODE") == (None if good else "E111")


def test_senders_can_be_listed(skycore: Skycore) -> None:
    skycore.set(senders=["60857"])
    assert skycore.call("sendSMS", **SMS)["ERRORCODE"] == "E111"
    assert skycore.call("sendSMS", **{**SMS, "FROM": "60857"})["STATUS"] == "Success"


URL = {"URL": "https://example.com/file"}
SLIDE_RULES: list[tuple[str, Any, str | None]] = [
    ("text alone", {"TEXT": "a"}, None),
    ("image and audio", {"IMAGE": URL, "AUDIO": URL}, None),
    ("video and text", {"VIDEO": URL, "TEXT": "a"}, None),
    ("pdf and text", {"PDF": URL, "TEXT": "a"}, None),
    ("eight slides", [{"TEXT": "a"}] * 8, None),
    ("5000 characters", {"TEXT": "é" * 5000}, None),
    ("personalised image", {"PERSONALIZED-IMAGE": {"TEMPLATE-ID": "7"}}, None),
    ("two objects", {"PDF": URL, "VCARD": URL}, "E223"),
    ("two of one object", {"PDF": [URL, URL]}, "E223"),
    ("object and image", {"PDF": URL, "IMAGE": URL}, "E224"),
    ("nine slides", [{"TEXT": "a"}] * 9, "E225"),
    ("audio and video", {"AUDIO": URL, "VIDEO": URL}, "E226"),
    ("video and image", {"VIDEO": URL, "IMAGE": URL}, "E227"),
    ("5001 characters", {"TEXT": "a" * 5001}, "E228"),
    ("two images", {"IMAGE": [URL, URL]}, "E229"),
    ("audio file as image", {"IMAGE": {"URL": "https://example.com/a.mp3?b=c"}}, "E229"),
    ("duration in words", {"TEXT": "a", "DURATION": "ten"}, "E230"),
    ("duration 0", {"TEXT": "a", "DURATION": "0"}, "E230"),
    ("duration 61", {"TEXT": "a", "DURATION": "61"}, "E230"),
    ("empty slide", {"TEXT": ""}, "E313"),
    ("only a duration", [{"TEXT": "a"}, {"DURATION": "5"}], "E313"),
    *(
        (f"relative {name}", {name: {"URL": "/file"}}, code)
        for name, code in [
            ("IMAGE", "E351"), ("AUDIO", "E352"), ("VIDEO", "E353"), ("VCARD", "E355"),
            ("ICAL", "E356"), ("PDF", "E357"), ("PASSBOOK", "E358"),
        ]
    ),
]  # fmt: skip


@pytest.mark.parametrize("label, slide, code", SLIDE_RULES, ids=[row[0] for row in SLIDE_RULES])
@pytest.mark.parametrize("action", ["saveMMS", "sendMMS"])
def test_slides(skycore: Skycore, action: str, label: str, slide: Any, code: str | None) -> None:
    fields = {"NAME": "n", "SUBJECT": "s", "SLIDE": slide}
    if action == "sendMMS":
        fields.update(TO=TO, FROM=FROM)
    assert skycore.call(action, **fields).get("ERRORCODE") == code


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"SUBJECT": "s" * 80}, None),
        ({"SUBJECT": "s" * 81}, "E229"),
        ({"SUBJECT": ""}, "E622"),
        ({"SUBJECT": "", "FALLBACKSMSTEXT": "see the link"}, None),
        ({"SUBJECT": "", "DISABLEFALLBACKSMS": "yes"}, None),
        ({"OPERATORID": "0001890"}, None),
        ({"OPERATORID": "T-Mobile"}, "E651"),
        ({"TO": "61412345678", "FROM_MASK": "m" * 51}, "E115"),
    ],
)
def test_send_mms(skycore: Skycore, changes: dict[str, str], code: str | None) -> None:
    fields: dict[str, Any] = {"TO": TO, "FROM": FROM, "NAME": "n", "SUBJECT": "s"}
    fields.update(SLIDE={"TEXT": "a"}, **changes)
    assert skycore.call("sendMMS", **fields).get("ERRORCODE") == code


@pytest.mark.parametrize(
    "action, fields, code",
    [
        ("sendSavedMMS", {"MMSID": "x"}, "E625"),
        ("sendSavedMMS", {"MMSID": "99"}, "E241"),
        ("sendSavedMMS", {"TO": ",".join([TO] * 101)}, "E623"),
        ("sendSavedMMS", {"CUSTOMSUBJECT": "s" * 81}, "E229"),
        ("sendSavedMMS", {"CUSTOMTEXT": {"VALUE": "a", "SLIDE": "9"}}, "E100"),
        ("sendSavedMMS", {"DDMTIMEOUT": "soon"}, "E100"),
        ("sendMMSBarcode", {"BARCODEID": "1"}, "E633"),
        ("sendPassInMMS", {}, "E822"),
        ("sendSavedMMSCampaign", {"TOCAMPAIGN": "99"}, "E714"),
        ("sendMessageBySubscriberRef", {"SUBSCRIBERREF": "x", "CAMPAIGNREF": "club"}, "E715"),
        ("sendMessageBySubscriberRef", {"SUBSCRIBERREF": "x", "CAMPAIGNREF": "none"}, "E714"),
        ("deleteMMSID", {"MMSID": "99"}, "E241"),
        ("getMMSTemplates", {"PAGE_NUMBER": "0"}, "E212"),
        ("getMMSTemplates", {"ITEMS_PER_PAGE": "many"}, "E213"),
        ("getMMSTemplates", {"START_DATE": "yesterday"}, "E214"),
        ("subscribe", {"CAMPAIGNID": "99", "MOBILE": TO}, "E903"),
        ("subscribe", {"CAMPAIGNREF": "club", "MOBILE": "+1"}, "E904"),
        ("unsubscribe", {"CAMPAIGNID": "501", "MOBILE": "x"}, "E905"),
        ("removeMMSInboxMessage", {"MMSINBOXID": "MMS_MO_x"}, "E641"),
        ("subscribeEmail", {"EMAIL": "a@b.cc", "CAMPAIGNID": "1"}, "E912"),
        ("subscribeEmail", {"EMAIL": "a", "CAMPAIGNID": "701"}, "E913"),
        ("unsubscribeEmail", {"EMAIL": "all", "CAMPAIGNID": "701"}, "E914"),
        ("sendSavedEmail", {"EMAIL": "a", "EMAILTEMPLATEID": "801", "CAMPAIGNID": "701"}, "E406"),
        ("sendSavedEmail", {"EMAIL": "a@b.cc", "EMAILID": "9", "CAMPAIGNID": "701"}, "E402"),
        ("sendSavedEmail", {"EMAIL": "a@b.cc", "EMAILID": "803", "CAMPAIGNID": "701"}, "E403"),
        ("sendSavedEmail", {"EMAIL": "a@b.cc", "EMAILID": "801", "CAMPAIGNID": "9"}, "E714"),
        (
            "sendSavedEmail",
            {"EMAIL": "bounced@b.cc", "EMAILID": "801", "CAMPAIGNID": "701"},
            "E916",
        ),
        ("sendPassInEmail", {"EMAIL": "a@b.cc", "EMAILID": "801", "CAMPAIGNID": "701"}, "E823"),
        ("getPassTemplate", {"MMSID": "1001"}, "E822"),
        ("getPassTemplate", {"EMAILID": "801"}, "E823"),
        ("getPassTemplate", {"EMAILID": "9"}, "E402"),
        ("getPassTemplate", {"PASSTEMPLATEID": "9"}, "E802"),
        ("getPassTemplate", {"PASSTEMPLATEID": "7001", "MMSID": "1002"}, "E828"),
        ("generatePassById", {"PASSDATAID": "9"}, "E808"),
        ("updatePass", {"PASSDATAID": "9", "PASSDATA": {"AUXLABEL1": "a"}}, "E808"),
        ("addPassData", {"PASSTEMPLATEID": "9"}, "E802"),
    ],
)  # fmt: skip
def test_other_rules(skycore: Skycore, action: str, fields: dict[str, Any], code: str) -> None:
    whole = dict(fields)
    if action in ("sendSavedMMS", "sendMMSBarcode", "sendPassInMMS", "sendSavedMMSCampaign"):
        whole = {"MMSID": "1001", "TO": TO, "FROM": FROM, **fields}
    if action == "sendMessageBySubscriberRef":
        whole["TEXT"] = "Hello"
    assert skycore.call(action, **whole)["ERRORCODE"] == code


def test_pass_templates_need_one_id(skycore: Skycore) -> None:
    assert skycore.call("getPassTemplate")["ERRORCODE"] == "E827"


def test_removing_twice(skycore: Skycore) -> None:
    fields = {"MMSINBOXID": "MMS_MO_aB3xY9Qz"}
    assert skycore.call("removeMMSInboxMessage", **fields)["STATUS"] == "Success"
    assert skycore.call("removeMMSInboxMessage", **fields)["ERRORCODE"] == "E642"


UUID = "f7826da6-4fa2-4e98-8024-bc5b71e0893e"
FIXED = {"dynamic": False, "barcode_required": False, "personalised": False}
OPEN = {**FIXED, "dynamic": True}
PASS_RULES: list[tuple[dict[str, Any], dict[str, str], str]] = [
    ({**OPEN, "barcode_required": True}, {}, "E803"),
    (OPEN, {"EMAIL": "a"}, "E804"),
    (OPEN, {"PHONE": "+1"}, "E805"),
    (OPEN, {"CUSTOMID": "a-1"}, "E829"),
    ({**OPEN, "personalised": True}, {"BARCODEVALUE": "1"}, "E833"),
    (FIXED, {"HEADERLABEL1": "a"}, "E840"),
    (FIXED, {"PRIMARYVALUE2": "a"}, "E845"),
    (FIXED, {"BACKVALUE4": "a"}, "E869"),
    (FIXED, {"RELTEXT10": "a"}, "E879"),
    (OPEN, {"RELLATITUDE1": "91"}, "E880"),
    (OPEN, {"RELLONGITUDE10": "east"}, "E899"),
    (FIXED, {"IBEACONUUID1": UUID}, "E950"),
    (OPEN, {"IBEACONUUID2": "x"}, "E961"),
    (OPEN, {"IBEACONUUID3": UUID, "IBEACONMAJOR3": "65536"}, "E972"),
    (OPEN, {"IBEACONUUID4": UUID, "IBEACONMINOR4": "-1"}, "E983"),
    (OPEN, {"IBEACONTEXT10": "a"}, "E999"),
]


@pytest.mark.parametrize("template, data, code", PASS_RULES, ids=[row[2] for row in PASS_RULES])
def test_pass_data(template: dict[str, Any], data: dict[str, str], code: str) -> None:
    with pytest.raises(RefusalError, match=code):
        pass_data.check(template, data, [])


def test_full_pass_data_is_fine() -> None:
    data = dict.fromkeys(pass_data.names(), "a")
    data |= {"RELLATITUDE1": "-89.5", "RELLONGITUDE1": "+179.9", "IBEACONUUID1": UUID}
    pass_data.check(OPEN, data, [])


def test_campaign_check(skycore: Skycore) -> None:
    skycore.set(enforce_campaign_check=True)
    assert skycore.call("sendSMS", **SMS)["ERRORCODE"] == "E714"
    fields = {**SMS, "CAMPAIGNREF": "club"}
    assert skycore.call("sendSMS", **fields)["ERRORCODE"] == "E715"
    skycore.call("subscribe", CAMPAIGNREF="club", MOBILE=TO)
    assert skycore.call("sendSMS", **fields)["STATUS"] == "Success"


def test_password_on_demand(skycore: Skycore) -> None:
    skycore.set(user="main", password="p", require_md5_password=True)
    assert skycore.call("loginUser")["ERRORCODE"] == "E103"
    digest = "83878c91171338902e0fe0fb97a8c47a"
    assert skycore.call("loginUser", PASS=digest)["STATUS"] == "Success"
    assert skycore.call("loginUser", PASS="0" * 32)["ERRORCODE"] == "E104"
    old = f"<REQUEST><ACTION>loginUser</ACTION><USER>main</USER><PASS>{digest}</PASS></REQUEST>"
    assert "Success" in skycore.post(old).text


def test_a_new_key_ends_the_old_one(skycore: Skycore) -> None:
    skycore.set(api_key="another")
    assert skycore.call("loginUser")["ERRORCODE"] == "E104"
    skycore.set(api_key=KEY)
    assert skycore.call("loginUser")["STATUS"] == "Success"
