"""Floor of store: one conditional PynamoDB save for each postback, of its raw body."""

import os
from itertools import count
from typing import ClassVar

from clock import measure
from pynamodb.attributes import BinaryAttribute, UnicodeAttribute
from pynamodb.models import Model
from receipts import receipt


class Postback(Model):
    class Meta:
        table_name: ClassVar[str] = os.environ["TABLE_NAME"]
        region: ClassVar[str] = os.environ["AWS_REGION"]

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    body = BinaryAttribute(legacy_encoding=False)


numbers = count()


def call() -> None:
    number = next(numbers)
    Postback(f"tracking#{number}", "event", body=receipt(number)).save(Postback.pk.does_not_exist())


measure(call, 300)
