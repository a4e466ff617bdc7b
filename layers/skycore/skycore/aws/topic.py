"""SNS: publishing events in batches, with partial failures read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from skycore.aws import clients
from skycore.aws.queues import send_in_rounds
from skycore.logs import log_exception

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_sns.type_defs import PublishBatchRequestEntryTypeDef

BATCH_BYTES = 250_000  # of a call; SNS takes 256 KiB with the attributes
ROUNDS = 2  # tries of an entry; what is left has a retry queue
SECONDS = 10.0  # for many events; the functions have 28

type Message = tuple[str, Mapping[str, str]]


def publish_many(
    topic_arn: str, messages: Sequence[Message], *, seconds: float = SECONDS
) -> set[int]:
    """Publishes (body, attributes) pairs; returns the indexes of those that SNS does not have.

    Each that SNS refuses is tried once more. A call that fails as a whole is the last one, and none
    begins once `seconds` have passed: while SNS is out or slow, the caller's time is better spent
    on keeping what is left.
    """
    left = set(range(len(messages)))

    def publish_batch(indexes: list[int]) -> set[int]:
        entries: list[PublishBatchRequestEntryTypeDef] = [
            {
                "Id": str(index),
                "Message": messages[index][0],
                "MessageAttributes": {
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in messages[index][1].items()
                },
            }
            for index in indexes
        ]
        answer = clients.sns().publish_batch(TopicArn=topic_arn, PublishBatchRequestEntries=entries)
        taken = {int(entry["Id"]) for entry in answer.get("Successful", [])}
        left.difference_update(taken)
        return taken

    try:
        sizes = [_size(message) for message in messages]
        send_in_rounds(sizes, BATCH_BYTES, publish_batch, rounds=ROUNDS, seconds=seconds)
    except (BotoCoreError, ClientError) as error:
        log_exception("publishing failed", error, left=len(left))
    return left


def _size(message: Message) -> int:
    body, attributes = message
    # A name, a value and the word String each.
    return len(body.encode()) + sum(len(k) + len(v.encode()) + 6 for k, v in attributes.items())
