"""The arithmetic of costs and loads, and the bench's run that the docs show.

If the docs are not those of the run: .venv/bin/python -m bench.docs; if a bound is missed, measure
again on a quiet machine: make bench DOCS=1.
"""

from __future__ import annotations

from typing import Any

import pytest

from bench import cost, docs, drain, flood, rows, scale
from bench.growth import Growth
from bench.measured import Measured
from bench.table import interleaved
from skycore.table.limits import Limits
from tests.sample_events import ROOT

ITEMS = ("ack", "store", "publish", "send", "enqueue", "send_message", "save", "post")
KNOWN = Measured("2026-11-29", dict.fromkeys(ITEMS, 0.001), {"ack": 100.0})
RUN = Measured.load()


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


@pytest.mark.parametrize("page", docs.TABLES)
def test_the_docs_have_the_tables_of_the_last_run(page: str) -> None:
    text = (docs.DOCS / page).read_text()
    assert text == docs.written(page, text, RUN)


def test_a_page_without_its_mark_is_not_written_silently() -> None:
    with pytest.raises(ValueError, match="scale"):
        docs.written("architecture.md", "# Architecture", RUN)


def test_every_bound_is_met() -> None:
    assert [row for row in rows.rows(RUN) if not row.met] == []


def test_ten_million_a_day_use_no_more_than_80_percent_of_anything() -> None:
    assert all(amount <= 0.8 * most for _, amount, most, _ in scale.used(RUN))


def test_a_postback_costs_no_more_than_in_a_plain_sample() -> None:
    assert cost.total(RUN, cost.STORED) <= cost.total(RUN, cost.PLAIN_STORED)


def test_five_environments_waste_no_run_on_ten_calls_a_second() -> None:
    run = drain.Run(before_ms=60, call_ms=420, cpu_ms=235)
    found = drain.drain(150, 5, Limits(10), run)
    assert found.wasted == 0
    assert found.runs >= 15
    assert 15 <= found.seconds <= 25  # eight a second are for queued messages


def test_the_simulation_sees_runs_that_send_nothing() -> None:
    run = drain.Run(before_ms=60, call_ms=420, cpu_ms=235)
    found = drain.drain(60, 5, Limits(per_minute=30), run)
    assert found.wasted > 0


def test_what_reads_more_of_a_larger_table_is_seen() -> None:
    assert Growth("a", {"1": "2 rows", "10": "2 rows"}).law == "flat"
    assert Growth("a", {"1": "2 rows", "10": "20 rows"}).law == "GROWS"


def test_a_slow_machine_measures_what_a_quick_one_does() -> None:
    def measured(slow: int) -> tuple[dict[str, float], float]:
        return interleaved({"ours": lambda: 3.0 * slow, "floor": lambda: 2.0 * slow}, "floor", 1.0)

    assert measured(1)[0] == measured(4)[0] == {"ours": 1.5, "floor": 1.0}
    assert measured(4)[1] == 4 * measured(1)[1]
