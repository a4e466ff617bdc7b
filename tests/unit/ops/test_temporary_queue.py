"""The queue that tail and doctor subscribe: its name, its ARN, and that it is always deleted."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from typing import Any

import pytest

from ops.output import Refused
from ops.temporary_queue import temporary_queue


class Aws:
    """SQS and SNS in one, which keep what is there and fail where they are told to."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.queues: dict[str, Any] = {}
        self.subscriptions: dict[str, Any] = {}

    def list_queues(self, **_: Any) -> dict[str, Any]:
        return {}

    def create_queue(self, QueueName: str, Attributes: Any) -> dict[str, str]:  # noqa: N803 - AWS's
        self.queues[QueueName] = Attributes
        return {"QueueUrl": QueueName}

    def subscribe(self, Endpoint: str, **more: Any) -> dict[str, str]:  # noqa: N803 - AWS's
        if self.fails == "subscribe":
            raise RuntimeError(self.fails)
        self.subscriptions[Endpoint] = more
        return {"SubscriptionArn": Endpoint}

    def unsubscribe(self, SubscriptionArn: str) -> None:  # noqa: N803 - AWS's
        if self.fails == "unsubscribe":
            raise RuntimeError(self.fails)
        del self.subscriptions[SubscriptionArn]

    def delete_queue(self, QueueUrl: str) -> None:  # noqa: N803 - AWS's
        del self.queues[QueueUrl]


def deployed(aws: Aws, name: str = "skycore", partition: str = "aws") -> Any:
    topic = f"arn:{partition}:sns:cn-north-1:123456789012:topic"
    return Namespace(name=name, topic=topic, client=lambda _: aws)


MOST = {"tail": 55, "doctor": 53}  # characters of a stack's name, as docs/operations.md says


@pytest.mark.parametrize("shorter", [0, 1, 46])
@pytest.mark.parametrize("purpose", MOST)
def test_the_name_fits_and_begins_as_operators_policies_allow(shorter: int, purpose: str) -> None:
    aws, name = Aws(), "s" * (MOST[purpose] - shorter)
    with temporary_queue(deployed(aws, name), purpose) as url:
        assert len(url) <= 80
        assert re.fullmatch(rf"{name}_{purpose}_\d{{10}}-[0-9a-f]{{8}}", url)


@pytest.mark.parametrize("longer", [1, 75])
@pytest.mark.parametrize("purpose", MOST)
def test_a_stack_name_that_would_be_cut_is_refused_before_anything_is_created(
    longer: int, purpose: str
) -> None:
    aws, name = Aws(), "s" * (MOST[purpose] + longer)
    words = f"{purpose} needs a stack name of at most {MOST[purpose]} characters"
    with pytest.raises(Refused, match=words), temporary_queue(deployed(aws, name), purpose):
        pass
    assert (aws.queues, aws.subscriptions) == ({}, {})


def test_the_arn_is_of_the_topics_partition_and_region() -> None:
    aws = Aws()
    with temporary_queue(deployed(aws, partition="aws-cn"), "tail") as url:
        (arn,) = aws.subscriptions
        assert arn == f"arn:aws-cn:sqs:cn-north-1:123456789012:{url}"
        (statement,) = json.loads(aws.queues[url]["Policy"])["Statement"]
        assert statement["Resource"] == arn


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_is_left_after_an_error_or_ctrl_c(error: Any) -> None:
    aws = Aws()
    with pytest.raises(error), temporary_queue(deployed(aws), "doctor"):
        raise error
    assert (aws.queues, aws.subscriptions) == ({}, {})


@pytest.mark.parametrize("fails", ["subscribe", "unsubscribe"])
def test_the_queue_is_deleted_although_sns_fails(fails: str) -> None:
    aws = Aws(fails)
    with pytest.raises(RuntimeError, match=fails), temporary_queue(deployed(aws), "doctor"):
        pass
    assert aws.queues == {}
