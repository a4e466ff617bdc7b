"""The table of a test: in memory, or on DynamoDB Local with `pytest --dynamodb-local`."""

from __future__ import annotations

import os

from tests.unit.table.fake_dynamodb import FakeDynamoDB


def new_table() -> FakeDynamoDB:
    """Return an empty table, to be put in the place of PynamoDB's client."""
    url = os.environ.get("DYNAMODB_LOCAL_URL")
    if not url:
        return FakeDynamoDB()
    from tests.services.local_table import LocalTable

    return LocalTable(url)  # type: ignore[return-value] # it has what tests use of the fake
