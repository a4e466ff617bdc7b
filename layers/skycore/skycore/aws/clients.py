"""One boto3 client per service and process, made when first needed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

CONNECT_SECONDS = 1.0
READ_SECONDS = 3.0
# One retry: the worst call takes 2 x (1 + 3) = 8 s, inside the shortest function's 9 s.
ATTEMPTS = 2
CONFIG = Config(
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
)

# A file of 10 MB is written within the time to connect, which urllib3 counts writing by: two tries
# take at most 16 s. Links need version 4 (regions and KMS keys refuse older ones) and the region's
# own host, which boto3 signs for only if the addressing style is set.
S3_SECONDS = 4.0
S3_CONFIG = CONFIG.merge(
    Config(
        connect_timeout=S3_SECONDS,
        read_timeout=S3_SECONDS,
        signature_version="s3v4",
        s3={"addressing_style": "virtual"},
    )
)


@cache
def s3() -> S3Client:
    """Return the client of Amazon S3."""
    return boto3.client("s3", config=S3_CONFIG)


@cache
def sqs() -> SQSClient:
    """Return the client of Amazon SQS."""
    return boto3.client("sqs", config=CONFIG)


@cache
def sns() -> SNSClient:
    """Return the client of Amazon SNS."""
    return boto3.client("sns", config=CONFIG)


@cache
def secretsmanager() -> SecretsManagerClient:
    """Return the client of AWS Secrets Manager."""
    return boto3.client("secretsmanager", config=CONFIG)
