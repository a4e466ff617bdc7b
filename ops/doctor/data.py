"""Checks of what is kept: the table, the bucket and the secrets."""

from __future__ import annotations

import json
import string
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from ops.doctor.check import Check, Finding
from ops.doctor.deployment import template
from ops.key import credentials
from ops.output import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.doctor.deployment import Deployment

TOKEN_LENGTH = 48  # characters of a token, from the template's GenerateSecretString
TOKEN_CHARACTERS = frozenset(string.ascii_letters + string.digits)  # it stands in a URL


def time_to_live(deployment: Deployment) -> Iterator[Finding]:
    """Rows expire."""
    table = deployment.stack.table
    attribute = template()["Resources"]["Table"]["Properties"]["TimeToLiveSpecification"]
    name = attribute["AttributeName"]
    found = deployment.client("dynamodb").describe_time_to_live(TableName=table)
    described = found["TimeToLiveDescription"]
    status = described["TimeToLiveStatus"]
    if status not in {"ENABLED", "ENABLING"} or described.get("AttributeName") != name:
        value = f"Enabled=true,AttributeName={name}"
        words = ("--table-name", table, "--time-to-live-specification", value)
        fix = deployment.aws("dynamodb", "update-time-to-live", *words)
        detail = f"time to live on {name} is {status}: messages and events are never deleted"
        yield Finding(detail, fix)


def recovery(deployment: Deployment) -> Iterator[Finding]:
    """Point-in-time recovery and deletion protection are as the parameters say."""
    client, table = deployment.client("dynamodb"), deployment.stack.table
    described = client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    status = described.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    wanted = deployment.parameters["PointInTimeRecovery"]
    if (status == "ENABLED") != (wanted == "on"):
        value = f"PointInTimeRecoveryEnabled={str(wanted == 'on').lower()}"
        words = ("--table-name", table, "--point-in-time-recovery-specification", value)
        fix = deployment.aws("dynamodb", "update-continuous-backups", *words)
        yield Finding(f"point-in-time recovery is {status}, the parameter says {wanted}", fix)
    protected = client.describe_table(TableName=table)["Table"].get("DeletionProtectionEnabled")
    wanted = deployment.parameters["DeletionProtection"]
    if bool(protected) != (wanted == "on"):
        flag = (
            "--deletion-protection-enabled"
            if wanted == "on"
            else "--no-deletion-protection-enabled"
        )
        fix = deployment.aws("dynamodb", "update-table", "--table-name", table, flag)
        now = "on" if protected else "off"
        yield Finding(f"deletion protection is {now}, the parameter says {wanted}", fix)
    elif wanted == "off":
        fix = deployment.sam_deploy(DeletionProtection="on")
        detail = "DynamoDB would delete the table if asked to: deletion protection is off"
        yield Finding(detail, fix, warning=True)


def indexes(deployment: Deployment) -> Iterator[Finding]:
    """The table has the indexes and the stream that the functions read."""
    table = deployment.client("dynamodb").describe_table(TableName=deployment.stack.table)["Table"]
    properties = template()["Resources"]["Table"]["Properties"]
    expected = {row["IndexName"] for row in properties["GlobalSecondaryIndexes"]}
    found = {
        row["IndexName"]
        for row in table.get("GlobalSecondaryIndexes", [])
        if row.get("IndexStatus", "ACTIVE") == "ACTIVE"
    }
    for name in sorted(expected - found):
        fix = "wait if it is being built, otherwise restore it from template.yaml"
        yield Finding(f"index {name} of the table is not active: lists are incomplete", fix)
    view = properties["StreamSpecification"]["StreamViewType"]
    if table.get("StreamSpecification", {}).get("StreamViewType") != view:
        fix = "restore StreamSpecification of the table from template.yaml"
        yield Finding(f"the table's stream is not {view}: events are not published", fix)


@contextmanager
def _suppress_code(code: str) -> Iterator[None]:
    """Suppress the error with which S3 says that a bucket has no such setting."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] != code:
            raise


def media_bucket(deployment: Deployment) -> Iterator[Finding]:
    """No file of an inbound MMS is public."""
    client, bucket = deployment.client("s3"), deployment.stack.id_of("MediaBucket")
    blocked = {}
    with _suppress_code("NoSuchPublicAccessBlockConfiguration"):
        answer = client.get_public_access_block(Bucket=bucket)
        blocked = answer["PublicAccessBlockConfiguration"]
    wanted = template()["Resources"]["MediaBucket"]["Properties"]["PublicAccessBlockConfiguration"]
    if blocked != wanted:
        value = ",".join(f"{name}=true" for name in wanted)
        words = ("--bucket", bucket, "--public-access-block-configuration", value)
        fix = deployment.aws("s3api", "put-public-access-block", *words)
        yield Finding("the bucket of inbound MMS may be made public", fix)


def media_expiry(deployment: Deployment) -> Iterator[Finding]:
    """Each file of an inbound MMS expires with its event."""
    client, bucket = deployment.client("s3"), deployment.stack.id_of("MediaBucket")
    rules = []
    with _suppress_code("NoSuchLifecycleConfiguration"):
        rules = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    expected = int(deployment.parameters["EventRetentionDays"])
    days = [row["Expiration"].get("Days") for row in rules if "Expiration" in row]
    if days != [expected]:
        fix = "restore the lifecycle of MediaBucket from template.yaml"
        kept = f"{days[0]} days" if days else "ever"
        yield Finding(f"files of inbound MMS are kept for {kept}, not {expected} days", fix)


def api_key(deployment: Deployment) -> Iterator[Finding]:
    """A Skycore API key is set and well-formed. Its value is never shown."""
    fix = f"python -m ops --stack {deployment.name} set-key"
    client, secret = deployment.client("secretsmanager"), deployment.stack.id_of("ApiKey")
    stages = client.describe_secret(SecretId=secret).get("VersionIdsToStages") or {}
    if not any("AWSCURRENT" in row for row in stages.values()):
        yield Finding("no Skycore API key is set: every send is answered 502", fix)
        return
    if not _usable(client.get_secret_value(SecretId=secret).get("SecretString") or ""):
        yield Finding("the secret holds no usable Skycore API key", fix)


def postback_token(deployment: Deployment) -> Iterator[Finding]:
    """The postback token fits into a URL and cannot be guessed. It is never shown."""
    client, secret = deployment.client("secretsmanager"), deployment.stack.id_of("PostbackToken")
    value = client.get_secret_value(SecretId=secret).get("SecretString") or ""
    if len(value) < TOKEN_LENGTH or set(value) - TOKEN_CHARACTERS:
        fix = f"python -m ops --stack {deployment.name} rotate-token, then paste the new address"
        detail = f"the postback token is not {TOKEN_LENGTH} letters and digits"
        yield Finding(detail, fix)


def _usable(text: str) -> bool:
    """Whether a secret's value has a key or a user and password, as the functions read it."""
    try:
        if text.lstrip().startswith("{"):
            value = json.loads(text)
            text = json.dumps({name: value[name] for name in _KNOWN if value.get(name)})
        credentials(text)
    except (Refused, ValueError):
        return False
    return True


_KNOWN = ("api_key", "user", "password")  # what the functions read; they ignore other fields

CHECKS = (
    Check("time-to-live", "rows of the table expire", time_to_live),
    Check("recovery", "recovery and deletion protection are as the parameters say", recovery),
    Check("table", "the table's indexes are active and its stream is on", indexes),
    Check("media-bucket", "files of inbound MMS are private", media_bucket),
    Check(
        "media-expiry",
        "files of inbound MMS expire with their events",
        media_expiry,
        only_aws="the emulator ignores a bucket's lifecycle",
    ),
    Check("api-key", "a Skycore API key is set and well-formed", api_key),
    Check("postback-token", "the postback token is well-formed", postback_token),
)
