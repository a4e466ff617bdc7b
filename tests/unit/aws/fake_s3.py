"""S3 in memory, as the bucket's functions use it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.unit.table.fake_dynamodb import error

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = 2  # objects of a listing; S3 has a thousand


@dataclass
class FakeS3:
    """`objects` by key; `failing` calls of put_object fail before one succeeds."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    failing: int = 0
    kept_back: set[str] = field(default_factory=set)  # keys that it does not delete

    def put_object(self, *, Bucket: str, Key: str, **fields: Any) -> None:  # noqa: N803
        assert Bucket == "bucket"
        if self.failing:
            self.failing -= 1
            raise error("InternalError", "PutObject")
        self.objects[Key] = fields

    def generate_presigned_url(
        self,
        operation: str,
        *,
        Params: dict[str, str],  # noqa: N803
        ExpiresIn: int,  # noqa: N803
    ) -> str:
        assert operation == "get_object"
        return f"https://{Params['Bucket']}.s3/{Params['Key']}?X-Amz-Expires={ExpiresIn}"

    def get_paginator(self, operation: str) -> FakeS3:
        assert operation == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        assert Bucket == "bucket"
        keys = [key for key in sorted(self.objects) if key.startswith(Prefix)]
        if not keys:
            yield {"KeyCount": 0}
        for start in range(0, len(keys), PAGE):
            yield {"Contents": [{"Key": key} for key in keys[start : start + PAGE]]}

    def delete_objects(self, *, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        assert Bucket == "bucket"
        errors = []
        for row in Delete["Objects"]:
            if row["Key"] in self.kept_back:
                errors.append({"Key": row["Key"], "Code": "InternalError"})
            else:
                self.objects.pop(row["Key"], None)
        return {"Errors": errors} if errors else {}
