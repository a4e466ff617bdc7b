"""Puts the proxy between the functions and AWS, and makes the queues' repeats come sooner."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.credentials import Credentials

from tests.chaos.proxy import Proxy
from tests.integration.conftest import warm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.faults import Faults
    from tests.integration.conftest import Stack

DYING = Path(__file__).parent / "dying"
# All but `messages`: that is the test's eye.
VERBS = ("Ack", "Store", "Publish", "Send", "Enqueue", "Dispatch", "Sweep")
# queue: tries in the test (the template's own, but where those would take hours)
QUEUES = {"PostbackQueue": 10, "SendQueue": 5, "PublishRetryQueue": 10}


@contextlib.contextmanager
def interposed(stack: Stack, faults: Faults, *, visibility: int) -> Iterator[Proxy]:
    """The functions' calls of AWS pass the proxy; the test's own do not.

    A message that failed comes again after `visibility` seconds: the template's 168 are too long
    to wait for. Everything is as before afterwards.
    """
    known = stack.description
    admin = Credentials(known["admin_access_key_id"], known["admin_secret_access_key"])
    proxy = Proxy(known["endpoint_url"], known["region"], admin, faults)
    proxy.start()
    try:
        with _hurried(stack, visibility), _through(stack, proxy):
            warm(stack)
            yield proxy
    finally:
        proxy.stop()


@contextlib.contextmanager
def _through(stack: Stack, proxy: Proxy) -> Iterator[None]:
    functions = stack.admin("lambda")
    before = {}
    for verb in VERBS:
        name = stack.resource(f"{verb}Function")
        config = functions.get_function_configuration(FunctionName=name)
        before[name] = config["Environment"]["Variables"]
        added = {"AWS_ENDPOINT_URL": proxy.url, "PYTHONPATH": str(DYING)}
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": before[name] | added}
        )
    try:
        yield
    finally:
        for name, variables in before.items():
            functions.update_function_configuration(
                FunctionName=name, Environment={"Variables": variables}
            )


@contextlib.contextmanager
def behind(stack: Stack) -> Iterator[None]:
    """The table's stream waits meanwhile, and has much to tell at once afterwards."""
    functions = stack.admin("lambda")
    sources = functions.list_event_source_mappings(FunctionName=stack.resource("PublishFunction"))
    (stream,) = (
        one["UUID"]
        for one in sources["EventSourceMappings"]
        if ":dynamodb:" in one["EventSourceArn"]
    )
    functions.update_event_source_mapping(UUID=stream, Enabled=False)
    try:
        yield
    finally:
        functions.update_event_source_mapping(UUID=stream, Enabled=True)


@contextlib.contextmanager
def _hurried(stack: Stack, visibility: int) -> Iterator[None]:
    sqs = stack.admin("sqs")
    before = {}
    for queue, tries in QUEUES.items():
        url = stack.resource(queue)
        before[url] = sqs.get_queue_attributes(
            QueueUrl=url, AttributeNames=["VisibilityTimeout", "RedrivePolicy"]
        )["Attributes"]
        policy = json.loads(before[url]["RedrivePolicy"]) | {"maxReceiveCount": tries}
        sqs.set_queue_attributes(
            QueueUrl=url,
            Attributes={"VisibilityTimeout": str(visibility), "RedrivePolicy": json.dumps(policy)},
        )
    try:
        yield
    finally:
        for url, attributes in before.items():
            sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
