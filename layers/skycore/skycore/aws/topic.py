"""SNS: publishing events in batches, with partial failures read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skycore.aws import clients
from skycore.aws.batches import send_twice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_sns.type_defs import PublishBatchRequestEntryTypeDef

BATCH_BYTES = 250_000  # of a call; SNS takes 256 KiB with the attributes

type Message = tuple[str, Mapping[str, str]]


def publish_many(topic_arn: str, messages: Sequence[Message]) -> set[int]:
    """Publishes (body, attributes) pairs; returns the indexes of those that SNS does not have.

    Each that SNS refuses is tried once more. Raises botocore's errors if a call fails as a whole.
    """

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
        return {int(entry["Id"]) for entry in answer.get("Successful", [])}

    return send_twice([_size(message) for message in messages], BATCH_BYTES, publish_batch)


def _size(message: Message) -> int:
    body, attributes = message
    # A name, a value and the word String each.
    return len(body.encode()) + sum(len(k) + len(v.encode()) + 6 for k, v in attributes.items())
