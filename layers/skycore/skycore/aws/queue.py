"""SQS: sending one message or many, with partial failures read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from skycore.aws import clients
from skycore.aws.batches import send_in_rounds
from skycore.logs import log_exception

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

BATCH_BYTES = 900_000  # of bodies in a call; SQS takes 1 MiB with the attributes
ROUNDS = 5  # tries of an entry: where each call in five fails, one in 3,000 is left over
SECONDS = 10.0  # for many messages; the functions have 28


def send(
    queue_url: str, body: str, *, attributes: Mapping[str, str] | None = None, delay: int = 0
) -> None:
    """Sends one message, to be seen after `delay` seconds (0 to 900).

    Raises botocore's ClientError or BotoCoreError if SQS does not have it.
    """
    clients.sqs().send_message(
        QueueUrl=queue_url,
        MessageBody=body,
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value}
            for name, value in (attributes or {}).items()
        },
        DelaySeconds=delay,
    )


def send_many(
    queue_url: str, bodies: Sequence[str], *, delay: int | None = None, seconds: float = SECONDS
) -> set[int]:
    """Sends many messages; returns the indexes of those that SQS does not have.

    They are to be seen after `delay` seconds; None: after the queue's own.

    Each that SQS refuses, or that a call without an answer held, is tried again, up to five times
    in all and until `seconds` have passed.
    """

    def send_batch(indexes: list[int]) -> set[int]:
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(index), "MessageBody": bodies[index]} for index in indexes
        ]
        if delay is not None:
            for entry in entries:
                entry["DelaySeconds"] = delay
        try:
            answer = clients.sqs().send_message_batch(QueueUrl=queue_url, Entries=entries)
        except (BotoCoreError, ClientError) as error:
            log_exception("queue did not answer", error, entries=len(entries))
            return set()
        return {int(entry["Id"]) for entry in answer.get("Successful", [])}

    sizes = [len(body.encode()) for body in bodies]
    return send_in_rounds(sizes, BATCH_BYTES, send_batch, rounds=ROUNDS, seconds=seconds)
