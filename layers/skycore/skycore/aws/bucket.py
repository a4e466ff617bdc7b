"""The private bucket: the files of each inbound MMS, under a prefix of its own."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from skycore.aws import clients

if TYPE_CHECKING:
    from collections.abc import Iterator

LINK_SECONDS = 900  # for which a link to a file works, for anyone who has it


def prefix_of(event_id: str) -> str:
    """Return the key prefix of an event's files; it does not reveal the number."""
    digest = hashlib.sha256(event_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{digest[:32]}/"


def put(bucket: str, key: str, content: bytes, *, kind: str, name: str) -> None:
    """Put a file that browsers save as `name` and do not show. Raises botocore's errors."""
    clients.s3().put_object(
        Bucket=bucket,
        Key=key,
        Body=content,
        ContentType=kind,
        ContentDisposition=f'attachment; filename="{name}"',
    )


def link(bucket: str, key: str) -> str:
    """Return a URL from which anyone may download a file for LINK_SECONDS."""
    return clients.s3().generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=LINK_SECONDS
    )


def files(bucket: str, event_id: str) -> list[str]:
    """Return the keys of all files of an event. Raises botocore's errors."""
    return [key for keys in _keys(bucket, prefix_of(event_id)) for key in keys]


def delete_files(bucket: str, event_id: str) -> int:
    """Delete all files of an event, even those that no event lists; return how many there were.

    Raises botocore's errors, and RuntimeError if S3 did not delete one. Safe to repeat.
    """
    deleted = 0
    for keys in _keys(bucket, prefix_of(event_id)):
        answer = clients.s3().delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
        )
        if answer.get("Errors"):
            raise RuntimeError("S3 did not delete every file; run it again")
        deleted += len(keys)
    return deleted


def _keys(bucket: str, prefix: str) -> Iterator[list[str]]:
    pages = clients.s3().get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=bucket, Prefix=prefix):  # as many as one call deletes
        if keys := [row["Key"] for row in page.get("Contents", [])]:
            yield keys
