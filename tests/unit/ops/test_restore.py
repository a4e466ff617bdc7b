"""A restored row belongs to the past: nothing of it is sent or published again."""

from __future__ import annotations

from typing import Any

import pytest

from ops.restore import history
from skycore.catalogue.statuses import RANKS
from skycore.table import models

IN_PROGRESS = ["scheduled", "queued", "sending"]


def message(status: str) -> dict[str, dict[str, str]]:
    return {
        "pk": {"S": "message#1"},
        "sk": {"S": "message"},
        "kind": {"S": "message"},
        "status": {"S": status},
        "rank": {"N": "0"},
        "state": {"S": "state#unseen#1"},
        "news": {"S": "accepted"},
        "fingerprint": {"S": "f"},
    }


@pytest.mark.parametrize("status", IN_PROGRESS)
def test_a_message_that_may_have_been_sent_since_is_not_sent(status: str) -> None:
    row = history(message(status))
    assert row["status"] == {"S": "sending"}
    assert row["rank"] == {"N": str(RANKS["sending"])}
    assert row["state"]["S"] in models.state_partitions("sending")[1:]
    assert row["fingerprint"] == {"S": "f"}


@pytest.mark.parametrize("status", sorted(set(RANKS) - set(IN_PROGRESS)))
def test_a_message_that_has_ended_stays_as_it_is(status: Any) -> None:
    expected = message(status)
    del expected["news"]
    assert history(message(status)) == expected


def test_the_row_that_was_read_is_not_changed() -> None:
    read = message("queued")
    history(read)
    assert read == message("queued")
