import pytest

from skycore.catalogue.statuses import (
    all_postback_codes,
    event_meaning,
    find_postback_code,
    status_step,
)


@pytest.mark.parametrize("code", all_postback_codes(), ids=lambda code: code.code)
def test_a_code_alone_means_what_the_catalogue_says(code) -> None:
    assert event_meaning(code, {}, is_json=False) == (code.event, code.outcome, code.terminal)
    assert status_step(code.code, None) == code.step


@pytest.mark.parametrize("code", ["N102", "N202"])
@pytest.mark.parametrize(
    ("status", "fails", "step"),
    [
        (None, False, "delivered"),
        ("Message Sent/Delivered", False, "delivered"),
        ("Delivered", False, "delivered"),
        ("delivered to handset", False, "delivered"),
        ("Message Sent", False, "delivered"),
        ("Message Sent/Expired", True, "expired"),
        ("Expired", True, "expired"),
        ("Message Sent/Rejected", True, "failed"),
        ("REJECTED", True, "failed"),
        ("Message Sent/Failed", True, "failed"),
        ("Message Failed", True, "failed"),
        ("Message Sent/NotSupported", True, "failed"),
        ("Not Supported", True, "failed"),
        ("Message Sent/Undelivered", True, "failed"),
        ("Message Sent/Parked", True, "failed"),
    ],
)
def test_status_beats_a_delivered_code(
    code: str, status: str | None, fails: bool, step: str
) -> None:
    known = find_postback_code(code)
    assert known
    event, outcome, terminal = event_meaning(known, {"status": status}, is_json=False)
    kind = "mms" if code == "N102" else "sms"
    assert event == f"{kind}_delivery_failed" if fails else f"{kind}_delivered"
    assert (outcome, terminal) == ("failure" if fails else "success", True)
    assert status_step(code, status) == step


@pytest.mark.parametrize(
    ("code", "status", "event", "outcome", "step"),
    [
        ("N201", "Message Sent", "sms_sent", "info", "sent"),
        ("N201", "Sent", "sms_sent", "info", "sent"),
        ("N201", "Message Sent/Delivered", "sms_delivered", "success", "delivered"),
        ("N201", "Message Sent/Failed", "sms_delivery_failed", "failure", "failed"),
        ("N101", "Message Sent/Expired", "mms_delivery_failed", "failure", "expired"),
        ("N101", "Queued", "mms_sent", "info", "sent"),
        ("N103", "Expired", "mms_expired", "failure", "expired"),
        ("E102", "Message Sent/Expired", "mms_delivery_failed", "failure", "expired"),
        ("E202", "Message Sent/Expired", "sms_delivery_failed", "failure", "expired"),
        ("E202", "Message Sent/Failed", "sms_delivery_failed", "failure", "failed"),
        ("N502", "Message Sent/Failed", "ddm_delivered", "success", None),
        ("E502", "Message Sent/Expired", "ddm_delivery_failed", "failure", None),
        ("N003", "Failed", "mms_saved", "success", None),
        ("E012", "Expired", "send_audio_encoding_failed", "failure", "failed"),
    ],
)
def test_status_and_other_codes(
    code: str, status: str, event: str, outcome: str, step: str | None
) -> None:
    known = find_postback_code(code)
    assert known
    said = event_meaning(known, {"status": status}, is_json=False)
    assert (said.event, said.outcome) == (event, outcome)
    assert status_step(code, status) == step


@pytest.mark.parametrize(
    ("fields", "is_json", "event"),
    [
        ({"video_name": "v"}, False, "mobile_video_encoding_failed"),
        ({"mms_id": "1"}, False, "content_validation_failed"),
        ({"video_name": "v"}, True, "content_validation_failed"),
    ],
)
def test_e011_has_two_meanings(fields: dict[str, str], is_json: bool, event: str) -> None:
    assert event_meaning(find_postback_code("E011"), fields, is_json=is_json).event == event


def test_an_unknown_code_means_nothing() -> None:
    assert event_meaning(None, {"status": "Delivered"}, is_json=False) == ("unknown", None, None)
    assert status_step("N999", "Delivered") is None
    assert status_step(None, None) is None


def test_the_catalogue_agrees_with_itself() -> None:
    for code in all_postback_codes():
        assert (code.outcome == "failure") == (
            code.code.startswith("E") or code.code in {"N103", "N802", "N803", "N811"}
        ), code.code
        assert not (code.event.startswith("ddm") and (code.step or code.terminal)), code.code
        assert code.step is None or code.kind in {"receipt", "encode"}, code.code
