"""One client per service and process, made when first needed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

CONNECT_SECONDS = 1.0
READ_SECONDS = 3.0
# One retry: the worst call takes 2 x (1 + 3) = 8 s, inside the shortest function's 9 s.
ATTEMPTS = 2


def _config() -> Config:
    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )


@cache
def _session() -> Any:
    return boto3.Session()


@cache
def sqs() -> SQSClient:
    """Amazon SQS."""
    client: SQSClient = _session().client("sqs", config=_config())
    return client


@cache
def sns() -> SNSClient:
    """Amazon SNS."""
    client: SNSClient = _session().client("sns", config=_config())
    return client


@cache
def secretsmanager() -> SecretsManagerClient:
    """AWS Secrets Manager."""
    client: SecretsManagerClient = _session().client("secretsmanager", config=_config())
    return client
