"""The arithmetic of costs and loads: every price is used, and sums are what they are made of."""

from __future__ import annotations

from typing import Any

import pytest

from bench import cost, flood, scale
from tests.sample_events import ROOT

KNOWN = cost.Measured(
    dict.fromkeys(
        ("ack", "store", "store100", "publish", "send", "send_message", "save", "post"), 0.001
    ),
    {"ack": 100.0},
)


def test_every_price_belongs_to_one_service() -> None:
    used = [name for names in cost.SERVICES.values() for name in names]
    assert sorted(used) == sorted(cost.DOLLARS)


@pytest.mark.parametrize("path", cost.paths(KNOWN))
def test_a_path_costs_what_its_services_cost(path: Any) -> None:
    used = cost.paths(KNOWN)[path]
    by_hand = sum(amount * cost.DOLLARS[name] for name, amount in used.items()) * 1_000_000
    assert cost.total(KNOWN, path) == pytest.approx(by_hand)
    assert by_hand > 0


def test_an_invocation_is_shared_by_its_batch() -> None:
    calls: cost.Used = {"SQS SendMessage": 1, "write units": 20, "read units": 10}
    used = cost.invocation(0.001, calls, items=10, logged=70)
    assert used["lambda request"] == pytest.approx(0.1)
    assert used["write unit"] == 2
    assert used["read unit"] == 1
    assert used["sqs request"] == pytest.approx(0.1)
    assert used["log GB"] == pytest.approx(70 / 1e9)
    # 10 ms of CPU at 512 of 1,769 MB, and a wait of 8 ms, with half a GB.
    assert used["lambda GB-s"] == pytest.approx((0.010 * 1769 / 512 + 0.008) * 0.5 / 10)


def test_a_stage_that_cannot_keep_up_says_so() -> None:
    slow = scale.Stage("slow", 1, 10, 1.0, most_copies=1)
    busy = scale.Stage("busy", 1, 10, 1.0, most_copies=20)
    quick = scale.Stage("quick", 1, 10, 1.0, most_copies=1_000)
    assert slow.oldest() == float("inf")
    assert 0 < busy.oldest() < 86_400
    assert quick.oldest() == 0


def test_the_report_names_every_quota_and_function() -> None:
    report = scale.report(KNOWN)
    assert all(f"`{one}`" in report for one in ("ack", "store", "publish", "dispatch"))
    assert "limiter's item" in report


def test_the_security_page_says_what_a_flood_costs_and_displaces() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    assert "\n".join(flood.lines(flood.default_rate())) in page


def test_a_flood_costs_more_where_more_is_taken() -> None:
    assert flood.dollars(2000, 2, 300) == pytest.approx(4 * flood.dollars(500, 2, 300))
    assert flood.dollars(500, 80, 300) > flood.dollars(500, 2, 300)
