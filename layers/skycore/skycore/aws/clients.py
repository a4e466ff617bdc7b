"""One client per service and process, made when first needed.

By botocore, which boto3 wraps: importing boto3 adds its resources and S3's transfers to every
cold start, a tenth of it, and nothing of them is used.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

CONNECT_SECONDS = 1.0
READ_SECONDS = 3.0
# One retry: the worst call takes 2 x (1 + 3) = 8 s, inside the shortest function's 9 s.
ATTEMPTS = 2


@cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


def _client(service: str) -> Any:
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    return _session().create_client(service, config=config)


@cache
def sqs() -> SQSClient:
    """Amazon SQS."""
    client: SQSClient = _client("sqs")
    return client


@cache
def sns() -> SNSClient:
    """Amazon SNS."""
    client: SNSClient = _client("sns")
    return client


@cache
def secretsmanager() -> SecretsManagerClient:
    """AWS Secrets Manager."""
    client: SecretsManagerClient = _client("secretsmanager")
    return client
