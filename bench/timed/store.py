"""Batches of receipts through store's handler: read, compared with the table, written."""

import sys
from itertools import count

import app

from bench.timed.clock import measure
from bench.timed.receipts import queue_event, receipt

size = int(sys.argv[1])
numbers = count()


def call() -> None:
    told = app.handler(queue_event([receipt(next(numbers)) for _ in range(size)]), None)
    assert told == {"batchItemFailures": []}


if "once" in sys.argv:
    call()
    print([0, size])
else:
    measure(call, max(3, 600 // size), items=size)
