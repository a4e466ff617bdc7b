"""Timeouts nest: a call inside a function, a function inside its caller's patience."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from skycore.aws import clients
from skycore.client.client import SkycoreClient
from skycore.receiving import fetch, publish
from skycore.receiving.store import READ_BUDGET_SECONDS
from skycore.serializers import IN_FLIGHT
from skycore.table.models import Row

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tests.template.conftest import Template

VERBS = ["Ack", "Store", "Publish", "Fetch", "Send", "Enqueue", "Dispatch", "Messages", "Sweep"]
QUEUE_CONSUMERS = {
    "Store": "PostbackQueue",
    "Publish": "PublishRetryQueue",
    "Fetch": "MediaQueue",
    "Dispatch": "SendQueue",
}
GATEWAY_SECONDS = 29
SKYCORE_WAITS_SECONDS = 10
SWEEP_PERIOD_SECONDS = 60  # rate(1 minute)


def timeout(template: Template, verb: str) -> int:
    seconds: int = template.functions[f"{verb}Function"]["Timeout"]
    return seconds


def test_all_nine_functions_are_there(template: Template) -> None:
    assert sorted(template.functions) == sorted(f"{verb}Function" for verb in VERBS)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "Fetch"])
def test_a_function_ends_before_the_gateway_or_the_next_minute(
    template: Template, verb: Any
) -> None:
    bound = SWEEP_PERIOD_SECONDS if verb == "Sweep" else GATEWAY_SECONDS
    assert timeout(template, verb) < bound


def test_the_last_file_of_a_run_is_kept_before_the_function_ends(template: Template) -> None:
    put = clients.ATTEMPTS * 2 * clients.S3_SECONDS
    table = Row.Meta.connect_timeout_seconds + Row.Meta.read_timeout_seconds
    send = clients.ATTEMPTS * (clients.CONNECT_SECONDS + clients.READ_SECONDS)
    longest = fetch.START_SECONDS + fetch.FILE_SECONDS + put + 3 * table + send
    assert longest < timeout(template, "Fetch")


@pytest.mark.parametrize("verb", VERBS)
def test_one_aws_call_with_its_repeat_fits_into_the_function(template: Template, verb: str) -> None:
    worst = clients.ATTEMPTS * (clients.CONNECT_SECONDS + clients.READ_SECONDS)
    assert worst < timeout(template, verb)


@pytest.mark.parametrize("verb", VERBS)
def test_one_table_call_fits_into_the_function(template: Template, verb: str) -> None:
    meta = Row.Meta
    assert meta.connect_timeout_seconds + meta.read_timeout_seconds < timeout(template, verb)


@pytest.mark.parametrize("verb", ["Send", "Dispatch"])
def test_a_skycore_call_fits_into_the_deadline_and_that_into_the_function(
    template: Template, verb: str, app: Callable[[str], ModuleType]
) -> None:
    defaults = inspect.signature(SkycoreClient.__init__).parameters
    connect, read = defaults["connect_timeout"].default, defaults["read_timeout"].default
    deadline = app(verb.lower()).DEADLINE_SECONDS
    assert read <= 15
    assert connect + read < deadline < timeout(template, verb)


def test_skycore_gets_its_answer_in_time(template: Template) -> None:
    assert timeout(template, "Ack") < SKYCORE_WAITS_SECONDS


@pytest.mark.parametrize(("verb", "queue"), QUEUE_CONSUMERS.items())
def test_a_message_stays_hidden_for_six_functions(
    template: Template, verb: Any, queue: Any
) -> None:
    visibility = template.resources[queue]["Properties"]["VisibilityTimeout"]
    assert visibility >= 6 * timeout(template, verb)


def test_an_outage_of_the_topic_outlasts_no_event(template: Template) -> None:
    queue = template.resources["PublishRetryQueue"]["Properties"]
    tries = queue["RedrivePolicy"]["maxReceiveCount"]
    assert tries * queue["VisibilityTimeout"] >= 4 * 3600


def test_reading_a_batch_leaves_time_to_store_it(template: Template) -> None:
    assert timeout(template, "Store") / 2 >= READ_BUDGET_SECONDS


def test_publish_has_time_to_keep_what_it_could_not_tell(template: Template) -> None:
    last_call = clients.CONNECT_SECONDS + clients.READ_SECONDS
    whole = (
        publish.APPLY_BUDGET_SECONDS
        + publish.PUBLISH_BUDGET_SECONDS
        + publish.MEDIA_BUDGET_SECONDS
        + publish.RETRY_QUEUE_BUDGET_SECONDS
    )
    assert whole + last_call < timeout(template, "Publish")


def test_a_send_in_flight_is_never_read_as_unknown(template: Template) -> None:
    longest = max(timeout(template, "Send"), timeout(template, "Dispatch"))
    assert IN_FLIGHT.total_seconds() > longest
