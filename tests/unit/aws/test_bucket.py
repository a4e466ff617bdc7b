"""Links and keys of the bucket, as boto3 makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from skycore.aws import bucket, clients

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def region(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    clients.s3.cache_clear()
    yield "eu-central-1"
    clients.s3.cache_clear()


def test_a_link_is_of_the_region_signed_with_version_4_and_ends_soon(region: str) -> None:
    parts = urlsplit(bucket.link("stack-mediabucket-1", "abc/0.png"))
    query = parse_qs(parts.query)
    assert (parts.scheme, parts.path) == ("https", "/abc/0.png")
    assert parts.netloc == f"stack-mediabucket-1.s3.{region}.amazonaws.com"
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == ["900"]


def test_a_link_of_a_local_stack_leads_to_its_endpoint(
    region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert bucket.link("b", "k").startswith("http://127.0.0.1:4566/b/k?")


def test_the_files_of_two_events_never_share_a_prefix() -> None:
    prefixes = [bucket.prefix_of(id_) for id_ in ("a", "a/", "ab", "\ud800", "x" * 900)]
    assert len(set(prefixes)) == len(prefixes)
    assert all(len(prefix) == 33 and prefix.endswith("/") for prefix in prefixes)
