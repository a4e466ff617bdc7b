"""What follows a message: which postbacks, in which form, tried how often."""

import json
import random
import re
import time
import xml.etree.ElementTree as ET
from datetime import datetime
from typing import Any

import pytest

from simulator_harness import Receiver, Skycore
from skycore_simulator.notifications import Notification, body_of
from skycore_simulator.tables import table

TO, FROM = "17743199144", "60856"
SMS = {"TO": TO, "FROM": FROM, "TEXT": "Hello"}
SAVED = {"MMSID": "1001", "TO": TO, "FROM": FROM}
OUTCOMES = table("outcomes")


def codes_of(steps: list[Any]) -> list[str]:
    return [step[0] for step in steps]


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("kind", ["sms", "mms"])
@pytest.mark.parametrize("how", ["number", "value", "setting"])
def test_outcomes(skycore: Skycore, receiver: Receiver, outcome: str, kind: str, how: str) -> None:
    fields = dict(SMS) if kind == "sms" else dict(SAVED)
    if how == "number":
        fields["TO"] = OUTCOMES[outcome]["to"]
    elif how == "value":
        fields["TEXT" if kind == "sms" else "CUSTOMSUBJECT"] = f"skycore-outcome-{outcome}"
    else:
        skycore.set(outcome_for_number={TO: outcome})
    reply = skycore.call("sendSMS" if kind == "sms" else "sendSavedMMS", **fields)
    skycore.settle()
    assert receiver.codes() == codes_of(OUTCOMES[outcome][kind])
    for _, body in receiver.got:
        found = receiver.fields(body)
        assert found["ORIGIN"] == f"{kind.upper()}_MT"
        if "TRACKINGID" in found:
            assert (found["TRACKINGID"], found["TO"]) == (reply["TRACKINGID"], reply["TO"])


def test_an_mms_by_send_mms(skycore: Skycore, receiver: Receiver) -> None:
    slide = {"AUDIO": {"URL": "https://example.com/a.mp3"}}
    reply = skycore.call("sendMMS", TO=TO, FROM=FROM, NAME="n", SUBJECT="s", SLIDE=slide)
    skycore.settle()
    assert receiver.codes() == ["N013", "N101", "N102"]
    last = receiver.fields(receiver.got[-1][1])
    assert last["MMSID"] == reply["MMSID"]
    assert last["STATUS"] == "Message Sent/Delivered"
    assert last["TIMESTAMP"].endswith("-05:00")
    assert receiver.got[-1][1].startswith(b"<?xml version='1.0'?>")
    message = skycore.control("GET", "messages")["messages"][-1]
    assert message["status"] == "delivered"
    assert message["codes"] == receiver.codes()


@pytest.mark.parametrize(
    "changes, codes, fallback",
    [
        ({}, ["N101", "N202"], "Welcome https://"),
        ({"FALLBACKSMSTEXT": "Look"}, ["N101", "N202"], "Look https://"),
        ({"FALLBACKSMSTEXT": "Look", "DISABLEFALLBACKSMSLINK": "yes"}, ["N101", "N202"], "Look"),
        ({"DISABLEFALLBACKSMS": "yes"}, ["N101", "E102"], ""),
    ],
)
def test_fallback(
    skycore: Skycore,
    receiver: Receiver,
    changes: dict[str, str],
    codes: list[str],
    fallback: str,
) -> None:
    skycore.call("sendSavedMMS", **{**SAVED, "TO": "15005550008"}, **changes)
    skycore.settle()
    assert receiver.codes() == codes
    message = skycore.control("GET", "messages")["messages"][-1]
    assert message["fallback"].startswith(fallback)
    assert bool(message["fallback"]) == bool(fallback)
    if codes[-1] == "N202":
        assert "MMSID" not in receiver.fields(receiver.got[-1][1])


@pytest.mark.parametrize(
    "to, codes",
    [
        (TO, ["N501", "N502"]),
        ("15005550020", ["N501", "E502"]),
        ("15005550021", ["E501"]),
    ],
)
def test_device_discovery(skycore: Skycore, receiver: Receiver, to: str, codes: list[str]) -> None:
    fields = {**SAVED, "TO": to, "DDMTEXT": "One moment"}
    for extra in ({}, {}, {"DDMFORCE": "true"}):
        skycore.call("sendSavedMMS", **fields, **extra)
        skycore.settle()
    plain = ["N101", "N102"]
    assert receiver.codes() == [*codes, *plain, *plain, *codes, *plain]


def test_a_campaign_send_tells_each_subscriber(skycore: Skycore, receiver: Receiver) -> None:
    reply = skycore.call("sendSavedMMSCampaign", "get", MMSID="1001", TOCAMPAIGN="501")
    skycore.settle()
    found = [receiver.fields(body) for _, body in receiver.got]
    assert len({each["TRACKINGID"] for each in found}) == 1
    assert {each["TO"] for each in found} == {f"1774555010{n}" for n in (1, 2, 3)}
    assert {each["SCHEDULEDID"] for each in found} == {reply["SCHEDULEDID"]}
    assert {each["FROM"] for each in found} == {"60856"}


@pytest.mark.parametrize(
    "action, fields, expected",
    [
        ("subscribe", {"CAMPAIGNID": "501", "MOBILE": TO}, ("N301", "SOURCE", "API")),
        (
            "unsubscribe",
            {"CAMPAIGNID": "501", "MOBILE": "17745550101"},
            ("N302", "MOBILE", "17745550101"),
        ),
        ("subscribeEmail", {"CAMPAIGNID": "701", "EMAIL": "a@b.cc"}, ("N303", "EMAIL", "a@b.cc")),
        ("unsubscribeEmail", {"CAMPAIGNID": "701", "EMAIL": "ALL"}, ("N304", "CAMPAIGNID", "701")),
        ("generatePass", {"PASSTEMPLATEID": "7001"}, ("N801", "ORIGIN", "GENERATE_PASS")),
        (
            "generatePass",
            {"PASSTEMPLATEID": "7001", "PASSDATA": {"CUSTOMPASSID": "skycore-outcome-N803"}},
            ("N803", "CUSTOMPASSID", "skycore-outcome-N803"),
        ),
    ],
)
def test_other_postbacks(
    skycore: Skycore,
    receiver: Receiver,
    action: str,
    fields: dict[str, Any],
    expected: tuple[str, str, str],
) -> None:
    skycore.call(action, **fields)
    skycore.settle()
    assert len(receiver.got) == 1
    found = receiver.fields(receiver.got[0][1])
    code, element, value = expected
    assert (found.get("CODE") or found["STATUSCODE"], found[element]) == (code, value)


def test_stop_and_start(skycore: Skycore, receiver: Receiver) -> None:
    skycore.call("subscribe", CAMPAIGNID="502", MOBILE=TO)
    reply = {"from": TO, "to": FROM}
    skycore.control("POST", "inbound", {**reply, "text": "please stop"})
    assert skycore.call("sendSMS", **SMS)["STATUS"] == "Success"
    skycore.control("POST", "inbound", {**reply, "text": " Stop "})
    assert skycore.call("sendSMS", **SMS)["ERRORCODE"] == "E114"
    skycore.control("POST", "inbound", {**reply, "text": "START"})
    assert skycore.call("sendSMS", **SMS)["STATUS"] == "Success"
    skycore.settle()
    found = [receiver.fields(body) for _, body in receiver.got]
    told = [(f["CODE"], f.get("SOURCE"), f.get("CAMPAIGNID")) for f in found if "MOBILE" in f]
    assert sorted(told) == [
        ("N301", "API", "502"),
        ("N301", "MO", "501"),
        ("N302", "MO", "502"),
    ]
    texts = [f["TEXT"] for f in found if f["CODE"] == "N211"]
    assert sorted(texts) == [" Stop ", "START", "please stop"]


def test_a_picture_from_a_handset(skycore: Skycore, receiver: Receiver) -> None:
    body = {"from": TO, "to": FROM, "text": "Look", "files": ["a.png", "https://example.com/b.jpg"]}
    made = skycore.control("POST", "inbound", body)
    skycore.settle()
    root = ET.fromstring(receiver.got[0][1])
    assert not receiver.got[0][1].startswith(b"<?xml")
    urls = [file.text or "" for file in root.iter("FILE")]
    assert urls == made["files"]
    assert skycore.session.get(urls[1]).content.startswith(b"\x89PNG")
    assert skycore.session.get(urls[2]).text == "Look"
    inbox = root.findtext("TRACKINGID") or ""
    assert skycore.call("removeMMSInboxMessage", MMSINBOXID=inbox)["STATUS"] == "Success"
    assert skycore.session.get(urls[1]).status_code == 404


@pytest.mark.parametrize("status", [500, 404, 204, 201, 302, 400])
def test_only_200_counts(skycore: Skycore, receiver: Receiver, status: int) -> None:
    receiver.statuses = [status, 200]
    skycore.call("sendSMS", **{**SMS, "TO": "15005550006"})
    skycore.settle()
    assert len(receiver.got) == 2
    assert receiver.got[0] == receiver.got[1]
    (postback,) = skycore.control("GET", "postbacks")["postbacks"]
    assert [each["status"] for each in postback["tries"]] == [status, 200]
    assert postback["delivered"]
    assert not postback["gave_up"]


def test_five_retries_and_then_never_again(skycore: Skycore, receiver: Receiver) -> None:
    receiver.statuses = [503] * 100
    skycore.call("sendSMS", **{**SMS, "TO": "15005550006"})
    skycore.settle()
    assert len(receiver.got) == 6
    counts = skycore.control("GET", "counts")
    assert (counts["postbacks_delivered"], counts["postbacks_given_up"]) == (0, 1)


def test_a_failed_postback_does_not_hold_up_the_next(skycore: Skycore, receiver: Receiver) -> None:
    receiver.statuses = [503]
    skycore.set(retry_seconds=0.2)
    skycore.call("sendSMS", **SMS)
    skycore.settle()
    assert receiver.codes() == ["N201", "N202", "N201"]


def test_a_slow_answer_is_no_answer(skycore: Skycore, receiver: Receiver) -> None:
    receiver.delay = 0.15
    skycore.set(postback_timeout=0.05, retries=1)
    skycore.call("sendSMS", **{**SMS, "TO": "15005550006"})
    skycore.settle()
    (postback,) = skycore.control("GET", "postbacks")["postbacks"]
    assert [each["error"] for each in postback["tries"]] == ["TimeoutError"] * 2


def test_nothing_is_sent_without_an_address(skycore: Skycore) -> None:
    skycore.call("sendSMS", **SMS)
    skycore.settle()
    found = skycore.control("GET", "postbacks")["postbacks"]
    assert [(p["code"], p["tries"], p["gave_up"]) for p in found] == [
        ("N201", [], True),
        ("N202", [], True),
    ]


def test_duplicates_and_shuffling(skycore: Skycore, receiver: Receiver) -> None:
    skycore.set(duplicate_rate=1, shuffle=True, postback_delay=0)
    skycore.simulator.postback_sender._random = random.Random(7)
    for _ in range(8):
        skycore.call("sendSMS", **SMS)
    skycore.settle()
    codes = receiver.codes()
    assert (codes.count("N201"), codes.count("N202")) == (16, 16)
    by_id: dict[str, list[str]] = {}
    for _, body in receiver.got:
        found = receiver.fields(body)
        by_id.setdefault(found["TRACKINGID"], []).append(found["CODE"])
    assert {each[0] for each in by_id.values()} == {"N201", "N202"}


def test_v2_is_flat_json(skycore: Skycore, receiver: Receiver) -> None:
    skycore.set(postback_format="v2")
    reply = skycore.call("sendSMS", **SMS)
    skycore.control("POST", "inbound", {"from": TO, "to": FROM, "text": "Hi", "files": ["a.png"]})
    skycore.settle()
    found = [json.loads(body) for _, body in receiver.got]
    (sent,) = [each for each in found if each["code"] == "N202"]
    assert sent["tracking-id"] == reply["TRACKINGID"]
    assert (sent["status"], sent["sent-as"]) == ("Delivered", "SMS")
    (picture,) = [each for each in found if each["code"] == "N401"]
    assert picture["content"][0]["file"].endswith("/a.png")
    assert {kind for kind, _ in receiver.got} == {"application/json"}


def test_the_twin_has_other_tags(skycore: Skycore, receiver: Receiver) -> None:
    skycore.set(postback_format="sinch")
    skycore.call("sendSavedMMS", **SAVED)
    skycore.settle()
    root = ET.fromstring(receiver.got[-1][1])
    assert root.tag == "postback"
    assert root.findtext("sent-as") == "MMS"
    assert root.findtext("mms-id") == "1001"


def test_a_form_can_carry_the_xml(skycore: Skycore, receiver: Receiver) -> None:
    skycore.set(postback_form=True)
    skycore.call("sendSMS", **{**SMS, "TO": "15005550006"})
    skycore.settle()
    kind, body = receiver.got[0]
    assert kind == "application/x-www-form-urlencoded"
    assert body.startswith(b"xml=%3C%3Fxml")


@pytest.mark.parametrize("shape", table("postback_shapes"))
@pytest.mark.parametrize("style", ["v1", "v2", "sinch"])
def test_every_code_has_a_body(shape: str, style: str) -> None:
    for code in table("postback_shapes")[shape]["codes"]:
        facts = {"TO": "1", "CONTENT": ["https://example.com/a"], "STATUS": "Message Sent"}
        body, _ = body_of(Notification(shape, code, facts), style)
        found = json.loads(body) if style == "v2" else Receiver.fields(body)
        values = {str(value) for value in found.values()}
        assert code in values


def test_hundreds_of_messages(skycore: Skycore, receiver: Receiver) -> None:
    skycore.control("PATCH", "settings", {"postback_delay": 0.0})
    send = skycore.simulator.postback_sender.send
    began = time.process_time()
    facts = {"TO": TO, "TRACKINGID": "t", "STATUS": "Message Sent"}
    for _ in range(300):
        skycore.loop.call_soon_threadsafe(send, [Notification("sms_mt", "N201", facts)])
    time.sleep(0.05)
    skycore.settle()
    assert len(receiver.got) == 300
    assert time.process_time() - began < 10  # of CPU: a busy machine is not the simulator's fault


@pytest.mark.parametrize("form", ["v2", "sinch", "malformed"])
def test_a_postback_again_in_another_form(skycore: Skycore, receiver: Receiver, form: str) -> None:
    skycore.call("sendSMS", TO=TO, FROM="60856", TEXT="Hello")
    skycore.settle()
    first = skycore.control("GET", "postbacks")["postbacks"][-1]
    skycore.control("POST", "postback", {"repeat": first["id"], "as": form})
    skycore.settle()
    body = receiver.got[-1][1].decode()
    assert body != first["body"]
    if form == "malformed":
        assert first["body"].startswith(body)
    else:
        assert first["tracking_id"] in body
    if form == "v2":
        told = datetime.fromisoformat(json.loads(body)["timestamp"])
        then = re.search("<TIMESTAMP>(.*)</TIMESTAMP>", first["body"])
        assert then is None or told == datetime.fromisoformat(then[1])


def test_a_copy_has_other_forms_too(skycore: Skycore, receiver: Receiver) -> None:
    skycore.call("sendSMS", TO=TO, FROM="60856", TEXT="Hello")
    skycore.settle()
    last = skycore.control("GET", "postbacks")["postbacks"][-1]["id"]
    for form in ("malformed", "v2"):
        again = {"repeat": last, "as": form}
        (last,) = skycore.control("POST", "postback", again)["ids"]
        skycore.settle()
    assert json.loads(receiver.got[-1][1])["code"] == "N202"


def test_a_postback_later(skycore: Skycore, receiver: Receiver) -> None:
    began = time.monotonic()
    skycore.control("POST", "postback", {"body": "<POSTBACK/>", "after": 0.3})
    skycore.settle()
    assert len(receiver.got) == 1
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("wrong", [{"as": "v3"}, {"after": -1}, {"after": "soon"}])
def test_a_wrong_repetition_is_refused(skycore: Skycore, receiver: Receiver, wrong: Any) -> None:
    skycore.call("sendSMS", TO=TO, FROM="60856", TEXT="Hello")
    skycore.settle()
    last = skycore.control("GET", "postbacks")["postbacks"][-1]["id"]
    answer = skycore.session.post(
        f"{skycore.server.url}_control/postback", json={"repeat": last, **wrong}
    )
    assert answer.status_code == 400


def test_what_the_user_says_is_stronger_than_the_number(
    skycore: Skycore, receiver: Receiver
) -> None:
    failing = "15005550002"
    skycore.set(outcome_for_number={failing: "delivered"})
    skycore.call("sendSMS", TO=failing, FROM="60856", TEXT="Hello")
    skycore.settle()
    assert receiver.codes() == ["N201", "N202"]
