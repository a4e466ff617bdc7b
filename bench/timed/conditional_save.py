"""Floor of store: one conditional PynamoDB save for each postback, of a row like store's."""

import os
from itertools import count
from typing import ClassVar

from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.models import Model

from bench.timed.clock import measure
from bench.timed.receipts import receipt


class Postback(Model):
    class Meta:
        table_name: ClassVar[str] = os.environ["TABLE_NAME"]
        region: ClassVar[str] = os.environ["AWS_REGION"]

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    kind = UnicodeAttribute()
    number = UnicodeAttribute()
    day = UnicodeAttribute()
    at = UnicodeAttribute()
    expires = NumberAttribute()
    blob = BinaryAttribute(legacy_encoding=False)


numbers = count()


def call() -> None:
    number = next(numbers)
    row = Postback(
        f"tracking#{number}",
        "event",
        kind="event",
        number="number#17743190000#2026-11",
        day="day#2026-11-22#1",
        at="event#2026-11-22T10:41:15.000000Z",
        expires=1_803_120_075,
        blob=receipt(number),
    )
    row.save(Postback.pk.does_not_exist())


measure(call, 300)
