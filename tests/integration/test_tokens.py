"""Which postback token was used, and when, can be asked for without knowing the token's text."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from skycore import timestamps
from skycore.aws.secrets import fingerprint
from tests.patience import until

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

BODY = (
    b"<POSTBACK><ORIGIN>SMS_MT</ORIGIN><CODE>N202</CODE><TO>17743199144</TO>"
    b"<TRACKINGID>SMS_MT_of_a_token</TRACKINGID></POSTBACK>"
)


def used_at(stack: Stack, token: str) -> str | None:
    row = stack.admin("dynamodb").get_item(
        TableName=stack.description["table_name"],
        Key={"pk": {"S": f"token#{fingerprint(token)}"}, "sk": {"S": "used"}},
    )
    found: str | None = row.get("Item", {}).get("used_at", {}).get("S")
    return found


def test_a_postback_notes_the_use_of_its_token(stack: Stack) -> None:
    token = stack.description["postback_url"].rpartition("/")[2]
    assert stack.postback(BODY) == (200, b"")
    assert until(lambda: used_at(stack, token) is not None)
    noted = timestamps.from_text(used_at(stack, token) or "")
    # Other tests may have posted before: a use is written every ten minutes.
    assert timestamps.now() - noted < timedelta(minutes=30)


def test_a_wrong_token_leaves_no_row(stack: Stack) -> None:
    url = stack.description["postback_url"].rpartition("/")[0] + "/wrong"
    assert stack.postback(BODY, url=url)[0] == 404
    assert used_at(stack, "wrong") is None
